"""Loss arithmetic outside autocast: it would round sums of weights and of probabilities to half precision."""

from collections.abc import Callable
from typing import ParamSpec

import torch
from torch import Tensor

from polylogit.system import torch_private

__all__ = ["autocast_dtype", "without_autocast"]

P = ParamSpec("P")


def autocast_dtype(tensor: Tensor) -> torch.dtype | None:
    """The dtype that autocast computes matrix products on the tensor's device in; None outside autocast.

    Example:
        >>> with torch.autocast("cpu", torch.bfloat16):
        ...     autocast_dtype(torch.zeros(1))
        torch.bfloat16
    """
    device = tensor.device.type
    if device == "meta" or not torch.is_autocast_enabled(device):
        return None
    return torch.get_autocast_dtype(device)


def without_autocast(compute: Callable[P, Tensor], *arguments: P.args, **options: P.kwargs) -> Tensor:
    """The result of a function, with autocast switched off on the device of its first argument.

    Example:
        >>> with torch.autocast("cpu", torch.bfloat16):
        ...     without_autocast(torch.mm, torch.ones(1, 2), torch.ones(2, 1)).dtype
        torch.float32
    """
    scores = arguments[0]
    if not torch_private.autocast_is_enabled() or not isinstance(scores, Tensor) or autocast_dtype(scores) is None:
        return compute(*arguments, **options)
    with torch.autocast(scores.device.type, enabled=False):
        return compute(*arguments, **options)
