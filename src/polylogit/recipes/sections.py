"""The sections of a recipe that are about networks: which one, how it is fitted, how pictures are varied.

Owns their options, ranges and defaults, one class a kind of network. What an option does stands with the code that does
it: `polylogit.networks`, `polylogit.fitting` and `polylogit.data.pictures.augmentation`. Stays free of torch.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

__all__ = [
    "AugmentationRecipe",
    "CalibrationRecipe",
    "CnnModel",
    "CrossValidationRecipe",
    "LinearModel",
    "MlpModel",
    "MlpTraining",
    "NetworkTraining",
    "PictureTraining",
    "ResidualModel",
    "Section",
    "TrainingRecipe",
]

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
PictureViews = Literal["one", "mirror", "cross", "mirror-cross"]
Each = Count | Annotated[tuple[Count, ...], Field(min_length=1)]
NoneOrMore = Annotated[int, Field(ge=0)]
EachOrNone = NoneOrMore | Annotated[tuple[NoneOrMore, ...], Field(min_length=1)]


class Section(BaseModel):
    """A closed and frozen part of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LinearModel(Section):
    """A linear model."""

    kind: Literal["linear", "mlp", "cnn", "residual"] = Field(
        default="linear",
        description="linear: softmax regression. mlp: hidden layers. cnn, residual: convolutions, for pictures.",
    )


class MlpModel(Section):
    """A multilayer perceptron: see `polylogit.networks.mlp`."""

    kind: Literal["mlp"] = Field(default="mlp", description="Which network.")
    hidden: tuple[Count, ...] = Field(default=(256,), description="Widths of the hidden layers.")
    activation: Literal["relu", "gelu", "silu", "tanh"] = Field(default="relu", description="Between the layers.")
    dropout: Share = Field(default=0.0, description="The share of hidden values set to zero in training.")
    bias: bool = Field(default=True, description="Whether each layer adds a free constant to its sums.")
    reference_class: bool = Field(
        default=False, description="Whether the first class's logit is 0, so that K - 1 are learned, as in statistics."
    )


class CnnModel(Section):
    """A plain convolutional network: see `polylogit.networks.cnn`."""

    kind: Literal["cnn"] = Field(default="cnn", description="Which network.")
    widths: tuple[Count, ...] = Field(default=(32, 64, 128), min_length=1, description="Channels after each stage.")
    kernel_sizes: Each = Field(default=(5, 3, 3), description="Side of the kernels, for all stages or one each.")
    strides: Each = Field(default=(2, 1, 1), description="Stride of the convolutions, for all stages or one each.")
    pools: Each = Field(default=(1, 2, 2), description="Side of the pooling windows, for all stages or one each.")
    blocks: EachOrNone = Field(default=0, description="Residual blocks after the stages, for all or one each.")
    padding: Literal["same", "valid"] = Field(default="same", description="same: convolutions keep the sides.")
    batch_norm: bool = Field(default=True, description="Whether each stage normalises its channels.")
    hidden: tuple[Count, ...] = Field(default=(), description="Widths of the layers between stages and last layer.")
    dropout: Share = Field(default=0.0, description="The share of the last layer's inputs set to zero in training.")
    orientations: NoneOrMore = Field(
        default=0, description="Directions of the gradients that the first stage sees; 0: it sees the pictures."
    )
    cell: Count = Field(default=4, description="Side of the cells that gradients are gathered in, in pixels.")
    views: PictureViews = Field(
        default="one",
        description="What is judged and averaged: the picture; its mirror image too; itself and moved by a pixel.",
    )


class ResidualModel(Section):
    """A residual convolutional network: see `polylogit.networks.residual`."""

    kind: Literal["residual"] = Field(default="residual", description="Which network.")
    stem: Count = Field(default=32, description="Channels after the stem.")
    stem_kernel: Count = Field(default=5, description="Side of the stem's kernels, odd.")
    widths: tuple[Count, ...] = Field(default=(64, 128), min_length=1, description="Channels of each stage.")
    blocks: Annotated[int, Field(ge=0)] = Field(default=1, description="Residual blocks in each stage.")
    dropout: Share = Field(default=0.0, description="The share of the last layer's inputs set to zero in training.")
    views: PictureViews = Field(
        default="one",
        description="What is judged and averaged: the picture; its mirror image too; itself and moved by a pixel.",
    )


class NetworkTraining(Section):
    """How a network is fitted: see `polylogit.fitting`."""

    start: Literal["drawn", "zeros"] = Field(
        default="drawn",
        description="The last layer's first weights. zeros: all classes are alike at first, so the loss is log K.",
    )
    epochs: Count = Field(default=30, description="Times that every training row is seen.")
    batch_size: Count | Literal["all"] | None = Field(
        default=None, description='Rows in a step, or "all". Left out: 256, or an eighth of the rows if that is fewer.'
    )
    optimizer: Literal["sgd", "adam", "adamw", "muon"] = Field(
        default="adamw", description="What turns gradients into steps."
    )
    learning_rate: float = Field(default=0.005, gt=0, description="At its height.")
    momentum: Share = Field(default=0.9, description="Of SGD, or the first beta of Adam and AdamW.")
    weight_decay: float = Field(default=0.01, ge=0, description="Pull of matrices and kernels towards zero.")
    schedule: Literal["constant", "one-cycle", "cosine"] = Field(
        default="one-cycle", description="How the learning rate moves."
    )
    warmup_fraction: Share = Field(default=0.3, description="The share of the steps in which the rate rises.")
    class_weight: Literal["none", "balanced"] = Field(
        default="none", description="balanced: every class counts alike, however many rows it has."
    )
    label_smoothing: Share = Field(default=0.0, description="The share of each target that is spread over all classes.")
    gradient_clip: float = Field(default=0.0, ge=0, description="The greatest norm of a gradient; 0: no limit.")
    accumulation: Count = Field(default=1, description="Parts that a batch is worked through in, to save memory.")
    averaging: Share = Field(default=0.0, description="Decay of the averaged weights that are kept; 0: the last ones.")
    patience: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Epochs without a better validation loss before the fit stops; 0: all epochs are run."
    )
    validation_fraction: Share | None = Field(
        default=None,
        description="The share of the training rows kept for validation and calibration; 0: none. Left out: a tenth, "
        "at least 2,000 rows (but no more than a fifth) and at most 10,000.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="auto: bfloat16 for pictures where the hardware has it and the network gains."
    )


class MlpTraining(NetworkTraining):
    """How an MLP is fitted."""


class PictureTraining(NetworkTraining):
    """How a convolutional network is fitted."""

    epochs: Count = Field(default=12, description="Times that every training row is seen.")
    learning_rate: float = Field(default=0.01, gt=0, description="At its height.")
    label_smoothing: Share = Field(default=0.1, description="The share of each target that is spread over all classes.")


class AugmentationRecipe(Section):
    """How training pictures are varied: see `polylogit.data.pictures.augmentation`."""

    flip: bool = Field(default=False, description="Mirror every second picture left to right.")
    shift: Annotated[int, Field(ge=0)] = Field(default=0, description="The most pixels that a picture is moved by.")
    cutout: Annotated[int, Field(ge=0)] = Field(default=0, description="Side of a black square; 0: none.")


def _folds(folds: int) -> int:
    if folds == 1:
        raise ValueError("one fold would leave nothing to train on; 0 switches cross-validation off")
    return folds


class TrainingRecipe(Section):
    """How the weights of a linear model are found."""

    C: float = Field(
        default=1.0,
        gt=0,
        description="Inverse strength of the penalty, as scikit-learn's: C * losses + |weights|²/2, with one vector of "
        "weights for two classes.",
    )
    class_weight: Literal["none", "balanced"] = Field(
        default="none", description="balanced: every class counts alike, however many rows it has."
    )
    tolerance: float = Field(
        default=1e-6, gt=0, lt=1, description="Stop when the objective is certified to be this near its optimum."
    )
    epochs: int = Field(default=1000, ge=1, description="The most outer iterations of the solver.")


class CalibrationRecipe(Section):
    """How the probabilities are made believable."""

    method: Literal["temperature", "vector", "none"] = Field(
        default="temperature",
        description="temperature: one number, fitted on training rows that the model behind it has not seen. vector: a "
        "scale and a bias for each class besides, where these rows show that it helps.",
    )


class CrossValidationRecipe(Section):
    """How a small table is judged: by folds of all its rows, beside the rows held out."""

    folds: Annotated[int, Field(ge=0), AfterValidator(_folds)] | None = Field(
        default=None,
        description="Into how many parts the rows are dealt; 0: none. Left out: 5 for a linear model of a table of "
        "fewer than 1,000 rows.",
    )
    repeats: int = Field(default=5, ge=1, description="How often the rows are dealt anew.")
