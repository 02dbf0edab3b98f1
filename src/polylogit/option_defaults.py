"""The defaults and ranges of options that networks, recipes, the training loop and estimators share.

Imports no torch, because recipes are read without it.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

__all__ = [
    "CNN",
    "MLP",
    "NETWORK_TRAINING",
    "RESIDUAL",
    "USUAL_BATCH",
    "ActivationName",
    "CnnDefaults",
    "Count",
    "MlpDefaults",
    "NetworkTrainingDefaults",
    "NoneOrMore",
    "PaddingName",
    "PictureViews",
    "Positive",
    "ResidualDefaults",
    "Share",
    "ZeroOrMore",
    "usual_batch_size",
]

Count = Annotated[int, Field(ge=1)]
NoneOrMore = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
ZeroOrMore = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, lt=1)]

ActivationName = Literal["relu", "gelu", "silu", "tanh"]
PaddingName = Literal["same", "valid"]
PictureViews = Literal["one", "mirror", "cross", "mirror-cross"]

USUAL_BATCH = 256
"""Rows in a step where there are enough of them."""


def usual_batch_size(rows: int) -> int:
    """Rows in a step where none are asked for: small data get small batches.

    Args:
        rows: The number of training rows.

    Example:
        >>> usual_batch_size(80), usual_batch_size(60_000)
        (10, 256)
    """
    return min(USUAL_BATCH, max(1, rows // 8))


@dataclass(frozen=True)
class MlpDefaults:
    """Defaults of `polylogit.networks.MlpNetwork`, of its recipe and of `SoftmaxClassifier`."""

    hidden: tuple[int, ...] = (256,)
    activation: ActivationName = "relu"
    dropout: float = 0.0
    bias: bool = True
    reference_class: bool = False


@dataclass(frozen=True)
class CnnDefaults:
    """Defaults of `polylogit.networks.CnnNetwork` and of its recipe."""

    widths: tuple[int, ...] = (32, 64, 128)
    kernel_sizes: int | tuple[int, ...] = (5, 3, 3)
    strides: int | tuple[int, ...] = (2, 1, 1)
    pools: int | tuple[int, ...] = (1, 2, 2)
    blocks: int | tuple[int, ...] = 0
    padding: PaddingName = "same"
    batch_norm: bool = True
    hidden: tuple[int, ...] = ()
    dropout: float = 0.0
    orientations: int = 0
    cell: int = 4
    views: PictureViews = "one"


@dataclass(frozen=True)
class ResidualDefaults:
    """Defaults of `polylogit.networks.ResidualNetwork` and of its recipe."""

    stem: int = 32
    stem_kernel: int = 5
    widths: tuple[int, ...] = (64, 128)
    blocks: int = 1
    dropout: float = 0.0
    views: PictureViews = "one"


@dataclass(frozen=True)
class NetworkTrainingDefaults:
    """Defaults of the fit of a network in a recipe and in `SoftmaxClassifier`.

    `polylogit.fitting.options.TrainingOptions` takes those that do not depend on the network from here too. Its number
    of epochs, its learning rate and its schedule are those of PyTorch's own examples, for networks of the user.
    """

    epochs: int = 30
    learning_rate: float = 0.005
    momentum: float = 0.9
    weight_decay: float = 0.01
    warmup_fraction: float = 0.3
    label_smoothing: float = 0.0
    accumulation: int = 1


MLP = MlpDefaults()
CNN = CnnDefaults()
RESIDUAL = ResidualDefaults()
NETWORK_TRAINING = NetworkTrainingDefaults()
