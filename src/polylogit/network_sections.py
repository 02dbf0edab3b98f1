"""The options of networks and of their fit, with the defaults and ranges that recipes and estimators share.

These sections of a recipe stand below the networks, which read their defaults from them, and import no torch.

See also: `polylogit.recipes.sections`, the other sections.
"""

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "CNN",
    "MLP",
    "NETWORK_TRAINING",
    "RESIDUAL",
    "USUAL_BATCH",
    "BackboneName",
    "CnnModel",
    "Count",
    "MlpModel",
    "MlpTraining",
    "NetworkTraining",
    "PictureTraining",
    "Positive",
    "PretrainedModel",
    "ResidualModel",
    "Section",
    "Share",
    "ZeroOrMore",
    "epochs_and_batch_size",
    "usual_batch_size",
]

Count = Annotated[int, Field(ge=1)]
NoneOrMore = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
ZeroOrMore = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
BackboneName = Literal[
    "efficientnet_lite0",
    "mobilenetv3_small_100",
    "resnet18",
    "resnet50",
    "convnext_tiny",
    "vit_small_patch14_dinov2",
]
"""The pretrained networks whose features a model can take: `polylogit.data.pictures.pretrained.catalogue.BACKBONES`."""

PictureViews = Literal["one", "mirror", "cross", "mirror-cross"]
Each = Count | Annotated[tuple[Count, ...], Field(min_length=1)]
EachOrNone = NoneOrMore | Annotated[tuple[NoneOrMore, ...], Field(min_length=1)]


USUAL_BATCH = 256
"""Rows in a step where there are enough of them."""


_FEWEST_IN_BATCH = 2
"""Batch normalisation has no variance of a single row."""


def usual_batch_size(rows: int) -> int:
    """Rows in a step where none are asked for: small data get small batches, of two rows at least.

    Args:
        rows: The number of training rows.

    Example:
        >>> usual_batch_size(80), usual_batch_size(60_000)
        (10, 256)
    """
    return min(USUAL_BATCH, rows, max(_FEWEST_IN_BATCH, rows // 8))


def epochs_and_batch_size(
    rows: int, epochs: int, batch_size: int | Literal["all"], least_steps: int
) -> tuple[int, int | Literal["all"]]:
    """Epochs and rows in a step that give at least so many steps of the optimizer.

    Args:
        rows: The number of training rows.
        epochs: As set.
        batch_size: As set.
        least_steps: Fewest steps in all; 0: what is set stays.

    Returns:
        What is set, where it gives enough steps; else batches of at most an eighth of the rows, but two, and as many
        epochs as they need.

    Example:
        >>> epochs_and_batch_size(54_000, epochs=3, batch_size=512, least_steps=300)
        (3, 512)
        >>> epochs_and_batch_size(800, epochs=3, batch_size=512, least_steps=300)
        (38, 100)
    """
    size = rows if batch_size == "all" else batch_size
    if epochs * math.ceil(rows / size) >= least_steps:
        return epochs, batch_size
    if batch_size == "all":
        return least_steps, batch_size
    size = min(size, rows, max(_FEWEST_IN_BATCH, rows // 8))
    return max(epochs, math.ceil(least_steps / math.ceil(rows / size))), size


class Section(BaseModel):
    """A closed and frozen part of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MlpModel(Section):
    """A multilayer perceptron: see `polylogit.networks.mlp`."""

    kind: Literal["mlp"] = Field(default="mlp", description="Kind of model.")
    hidden: tuple[Count, ...] = Field(default=(256,), description="Widths of the hidden layers.")
    activation: Literal["relu", "gelu", "silu", "tanh"] = Field(
        default="relu", description="Activation function between the layers."
    )
    dropout: Share = Field(default=0.0, description="Dropout rate of the hidden layers.")
    bias: bool = Field(default=True, description="Whether the layers have bias terms.")
    reference_class: bool = Field(
        default=False,
        description="Whether the logit of the first class is fixed at 0, so that K - 1 logits are learned.",
    )


class CnnModel(Section):
    """A plain convolutional network: see `polylogit.networks.cnn`."""

    kind: Literal["cnn"] = Field(default="cnn", description="Kind of model.")
    widths: tuple[Count, ...] = Field(default=(32, 64, 128), min_length=1, description="Channels of each stage.")
    kernel_sizes: Each = Field(default=(5, 3, 3), description="Kernel size, one for all stages or one each.")
    strides: Each = Field(default=(2, 1, 1), description="Stride of the convolutions, one for all stages or one each.")
    pools: Each = Field(default=(1, 2, 2), description="Size of the pooling windows, one for all stages or one each.")
    blocks: EachOrNone = Field(
        default=0, description="Residual blocks after each stage, one number for all stages or one each."
    )
    padding: Literal["same", "valid"] = Field(
        default="same", description="same: convolutions keep height and width. valid: no padding."
    )
    batch_norm: bool = Field(default=True, description="Whether each stage has batch normalisation.")
    hidden: tuple[Count, ...] = Field(
        default=(), description="Widths of the dense layers between the stages and the last layer."
    )
    dropout: Share = Field(default=0.0, description="Dropout rate before the last layer.")
    orientations: NoneOrMore = Field(
        default=0,
        description="Bins of the histograms of oriented gradients that replace the pixels as input; 0: pixels.",
    )
    cell: Count = Field(default=4, description="Side of the cells of these histograms, in pixels.")
    colours: bool = Field(
        default=False,
        description="Whether mean and deviation of each colour channel in each cell are inputs beside the histograms.",
    )
    views: PictureViews = Field(
        default="one",
        description="Test-time augmentation: average the logits of the picture, its mirror image, its shifts by a "
        "pixel.",
    )


class ResidualModel(Section):
    """A residual convolutional network: see `polylogit.networks.residual`."""

    kind: Literal["residual"] = Field(default="residual", description="Kind of model.")
    stem: Count = Field(default=32, description="Channels of the stem.")
    stem_kernel: Count = Field(default=5, description="Kernel size of the stem, odd.")
    widths: tuple[Count, ...] = Field(default=(64, 128), min_length=1, description="Channels of each stage.")
    blocks: NoneOrMore = Field(default=1, description="Residual blocks in each stage.")
    dropout: Share = Field(default=0.0, description="Dropout rate before the last layer.")
    views: PictureViews = Field(
        default="one",
        description="Test-time augmentation: average the logits of the picture, its mirror image, its shifts by a "
        "pixel.",
    )


class PretrainedModel(Section):
    """Softmax regression on the features of a pretrained network: see `polylogit.data.pictures.pretrained`."""

    kind: Literal["pretrained"] = Field(default="pretrained", description="Kind of model.")
    backbone: BackboneName = Field(
        default="efficientnet_lite0", description="Pretrained network that gives the features of the pictures."
    )
    weights: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="File of its weights: .safetensors, or a state dict that torch.save wrote. Default: those of the "
        "installed package, for the network that it has; others with --allow-download.",
    )
    embed_weights: bool = Field(
        default=True,
        description="Whether the model file contains the weights of the network. false: only their digest, and the "
        "installed package must have the same.",
    )
    mirror: bool = Field(
        default=False,
        description="Whether features are averaged over a picture and its mirror image, which doubles the time.",
    )


class NetworkTraining(Section):
    """How a network is fitted: see `polylogit.fitting`."""

    start: Literal["drawn", "zeros"] = Field(
        default="drawn",
        description="Initial weights of the last layer. drawn: random. zeros: the initial loss is log K.",
    )
    epochs: Count = Field(default=30, description="Number of passes over the training rows.")
    batch_size: Count | Literal["all"] | None = Field(
        default=None, description='Rows in a step, or "all". Default: 256, or an eighth of the rows if that is fewer.'
    )
    least_steps: NoneOrMore = Field(
        default=0,
        description="Fewest steps of the optimizer. Where there are too few rows for them, batches get smaller, down "
        "to an eighth of the rows, and then epochs are added; 0: epochs and batches are as set.",
    )
    optimizer: Literal["sgd", "adam", "adamw", "muon"] = Field(default="adamw", description="Optimizer.")
    learning_rate: Positive = Field(default=0.005, description="Peak learning rate.")
    momentum: Share = Field(default=0.9, description="Momentum of SGD, or beta1 of Adam and AdamW.")
    weight_decay: float = Field(
        default=0.01,
        ge=0,
        description="Weight decay of matrices and kernels; biases have none.",
    )
    schedule: Literal["constant", "one-cycle", "cosine"] = Field(
        default="one-cycle", description="Learning rate schedule."
    )
    warmup_fraction: Share = Field(default=0.3, description="Fraction of the steps in which the learning rate rises.")
    class_weight: Literal["none", "balanced"] = Field(
        default="none", description="balanced: rows are weighted so that every class has the same total weight."
    )
    label_smoothing: Share = Field(default=0.0, description="Share of each target spread over all classes.")
    gradient_clip: float = Field(default=0.0, ge=0, description="Largest norm of the gradient; 0: no clipping.")
    accumulation: Count = Field(
        default=1,
        description="Gradient accumulation steps: parts of a batch computed in turn, to save memory.",
    )
    averaging: Share = Field(
        default=0.0, description="Decay of the exponential moving average of the weights; 0: none."
    )
    patience: NoneOrMore = Field(
        default=0, description="Early stopping: epochs without a lower validation loss before training stops; 0: never."
    )
    validation_fraction: Share | None = Field(
        default=None,
        description="Fraction of the training rows kept for validation and calibration; 0: none, and the calibration "
        "is fitted to rows of folds, from networks fitted without them. Default: a tenth, at least 2,000 rows (but no "
        "more than a fifth) and at most 10,000.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="auto: bfloat16 mixed precision where the hardware supports it and the network is large enough "
        "to gain.",
    )


class MlpTraining(NetworkTraining):
    """How an MLP is fitted."""


class PictureTraining(NetworkTraining):
    """How a convolutional network is fitted."""

    epochs: Count = Field(default=12, description="Number of passes over the training rows.")
    learning_rate: Positive = Field(default=0.01, description="Peak learning rate.")
    label_smoothing: Share = Field(default=0.1, description="Share of each target spread over all classes.")


MLP = MlpModel()
CNN = CnnModel()
RESIDUAL = ResidualModel()
NETWORK_TRAINING = NetworkTraining()
