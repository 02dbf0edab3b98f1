"""Networks: one kind a file, each from inputs to logits, and the closed set of kinds that a model file may name.

`build_network` makes a network from plain data and never imports anything by name.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from polylogit.errors import ModelFileError, did_you_mean
from polylogit.networks.cnn import CnnNetwork
from polylogit.networks.linear import LinearNetwork
from polylogit.networks.mlp import MlpNetwork
from polylogit.networks.residual import ResidualNetwork

__all__ = ["KINDS", "CnnNetwork", "LinearNetwork", "MlpNetwork", "ResidualNetwork", "build_network"]

KINDS: Mapping[str, Callable[..., nn.Module]] = {
    "linear": LinearNetwork,
    "mlp": MlpNetwork,
    "cnn": CnnNetwork,
    "residual": ResidualNetwork,
}


def build_network(kind: str, options: Mapping[str, Any]) -> nn.Module:
    """Make a network from its kind and its options.

    Args:
        kind: One of the kinds in `KINDS`.
        options: The keyword arguments of that kind's class.

    Returns:
        The network, freshly initialised.

    Raises:
        ModelFileError: The kind is unknown, or the options are not those of the kind.

    Example:
        >>> build_network("linear", {"features": 4, "classes": 3})
        LinearNetwork(
          (linear): Linear(in_features=4, out_features=3, bias=True)
        )
    """
    if kind not in KINDS:
        raise ModelFileError(f'no network of kind "{kind}" is known here.{did_you_mean(kind, KINDS)}')
    try:
        return KINDS[kind](**options)
    except (TypeError, ValueError, RuntimeError) as fault:
        raise ModelFileError(f"the options of the {kind} network do not fit: {fault}") from fault
