"""The sections of a recipe on model, training, calibration, cross-validation and augmentation.

See also: `polylogit.networks`, `polylogit.fitting` and `polylogit.data.pictures.augmentation`, which use them. Imports
no torch.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from polylogit.option_defaults import (
    CNN,
    MLP,
    NETWORK_TRAINING,
    RESIDUAL,
    ActivationName,
    Count,
    NoneOrMore,
    PaddingName,
    PictureViews,
    Share,
)

__all__ = [
    "AugmentationRecipe",
    "CalibrationRecipe",
    "CnnModel",
    "CrossValidationRecipe",
    "DecisionRecipe",
    "LinearModel",
    "MlpModel",
    "MlpTraining",
    "NetworkTraining",
    "PictureTraining",
    "PredictionSetsRecipe",
    "ResidualModel",
    "Section",
    "TrainingRecipe",
]

Each = Count | Annotated[tuple[Count, ...], Field(min_length=1)]
EachOrNone = NoneOrMore | Annotated[tuple[NoneOrMore, ...], Field(min_length=1)]


class Section(BaseModel):
    """A closed and frozen part of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LinearModel(Section):
    """A linear model: softmax regression."""

    kind: Literal["linear"] = Field(default="linear", description="Kind of model.")


class MlpModel(Section):
    """A multilayer perceptron: see `polylogit.networks.mlp`."""

    kind: Literal["mlp"] = Field(default="mlp", description="Kind of model.")
    hidden: tuple[Count, ...] = Field(default=MLP.hidden, description="Widths of the hidden layers.")
    activation: ActivationName = Field(default=MLP.activation, description="Activation function between the layers.")
    dropout: Share = Field(default=MLP.dropout, description="Dropout rate of the hidden layers.")
    bias: bool = Field(default=MLP.bias, description="Whether the layers have bias terms.")
    reference_class: bool = Field(
        default=MLP.reference_class,
        description="Whether the logit of the first class is fixed at 0, so that K - 1 logits are learned.",
    )


class CnnModel(Section):
    """A plain convolutional network: see `polylogit.networks.cnn`."""

    kind: Literal["cnn"] = Field(default="cnn", description="Kind of model.")
    widths: tuple[Count, ...] = Field(default=CNN.widths, min_length=1, description="Channels of each stage.")
    kernel_sizes: Each = Field(default=CNN.kernel_sizes, description="Kernel size, one for all stages or one each.")
    strides: Each = Field(
        default=CNN.strides, description="Stride of the convolutions, one for all stages or one each."
    )
    pools: Each = Field(default=CNN.pools, description="Size of the pooling windows, one for all stages or one each.")
    blocks: EachOrNone = Field(
        default=CNN.blocks, description="Residual blocks after each stage, one number for all stages or one each."
    )
    padding: PaddingName = Field(
        default=CNN.padding, description="same: convolutions keep height and width. valid: no padding."
    )
    batch_norm: bool = Field(default=CNN.batch_norm, description="Whether each stage has batch normalisation.")
    hidden: tuple[Count, ...] = Field(
        default=CNN.hidden, description="Widths of the dense layers between the stages and the last layer."
    )
    dropout: Share = Field(default=CNN.dropout, description="Dropout rate before the last layer.")
    orientations: NoneOrMore = Field(
        default=CNN.orientations,
        description="Bins of the histograms of oriented gradients that replace the pixels as input; 0: pixels.",
    )
    cell: Count = Field(default=CNN.cell, description="Side of the cells of these histograms, in pixels.")
    views: PictureViews = Field(
        default=CNN.views,
        description="Test-time augmentation: average the logits of the picture, its mirror image, its shifts by a "
        "pixel.",
    )


class ResidualModel(Section):
    """A residual convolutional network: see `polylogit.networks.residual`."""

    kind: Literal["residual"] = Field(default="residual", description="Kind of model.")
    stem: Count = Field(default=RESIDUAL.stem, description="Channels of the stem.")
    stem_kernel: Count = Field(default=RESIDUAL.stem_kernel, description="Kernel size of the stem, odd.")
    widths: tuple[Count, ...] = Field(default=RESIDUAL.widths, min_length=1, description="Channels of each stage.")
    blocks: Annotated[int, Field(ge=0)] = Field(default=RESIDUAL.blocks, description="Residual blocks in each stage.")
    dropout: Share = Field(default=RESIDUAL.dropout, description="Dropout rate before the last layer.")
    views: PictureViews = Field(
        default=RESIDUAL.views,
        description="Test-time augmentation: average the logits of the picture, its mirror image, its shifts by a "
        "pixel.",
    )


class NetworkTraining(Section):
    """How a network is fitted: see `polylogit.fitting`."""

    start: Literal["drawn", "zeros"] = Field(
        default="drawn",
        description="Initial weights of the last layer. drawn: random. zeros: the initial loss is log K.",
    )
    epochs: Count = Field(default=NETWORK_TRAINING.epochs, description="Number of passes over the training rows.")
    batch_size: Count | Literal["all"] | None = Field(
        default=None, description='Rows in a step, or "all". Default: 256, or an eighth of the rows if that is fewer.'
    )
    optimizer: Literal["sgd", "adam", "adamw", "muon"] = Field(default="adamw", description="Optimizer.")
    learning_rate: float = Field(default=NETWORK_TRAINING.learning_rate, gt=0, description="Peak learning rate.")
    momentum: Share = Field(
        default=NETWORK_TRAINING.momentum, description="Momentum of SGD, or beta1 of Adam and AdamW."
    )
    weight_decay: float = Field(
        default=NETWORK_TRAINING.weight_decay,
        ge=0,
        description="Weight decay of matrices and kernels; biases have none.",
    )
    schedule: Literal["constant", "one-cycle", "cosine"] = Field(
        default="one-cycle", description="Learning rate schedule."
    )
    warmup_fraction: Share = Field(
        default=NETWORK_TRAINING.warmup_fraction, description="Fraction of the steps in which the learning rate rises."
    )
    class_weight: Literal["none", "balanced"] = Field(
        default="none", description="balanced: rows are weighted so that every class has the same total weight."
    )
    label_smoothing: Share = Field(
        default=NETWORK_TRAINING.label_smoothing, description="Share of each target spread over all classes."
    )
    gradient_clip: float = Field(default=0.0, ge=0, description="Largest norm of the gradient; 0: no clipping.")
    accumulation: Count = Field(
        default=NETWORK_TRAINING.accumulation,
        description="Gradient accumulation steps: parts of a batch computed in turn, to save memory.",
    )
    averaging: Share = Field(
        default=0.0, description="Decay of the exponential moving average of the weights; 0: none."
    )
    patience: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Early stopping: epochs without a lower validation loss before training stops; 0: never."
    )
    validation_fraction: Share | None = Field(
        default=None,
        description="Fraction of the training rows kept for validation and calibration; 0: none. Default: a tenth, at "
        "least 2,000 rows (but no more than a fifth) and at most 10,000.",
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
    learning_rate: float = Field(default=0.01, gt=0, description="Peak learning rate.")
    label_smoothing: Share = Field(default=0.1, description="Share of each target spread over all classes.")


class AugmentationRecipe(Section):
    """Augmentation of the training pictures: see `polylogit.data.pictures.augmentation`."""

    flip: bool = Field(default=False, description="Whether to mirror pictures left to right, with probability 1/2.")
    shift: Annotated[int, Field(ge=0)] = Field(default=0, description="Largest random shift, in pixels.")
    cutout: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Side of a random square that is blacked out, in pixels; 0: none."
    )


def _folds(folds: int) -> int:
    if folds == 1:
        raise ValueError("expected 0 (no cross-validation) or at least 2 folds")
    return folds


class TrainingRecipe(Section):
    """How a linear model is fitted: see `polylogit.solver`."""

    C: float = Field(
        default=1.0,
        gt=0,
        description="Inverse strength of the penalty, as scikit-learn's: C * losses + penalty, which is |weights|²/2 "
        "unless l1_ratio is set, with one vector of weights for two classes.",
    )
    l1_ratio: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of the L1 norm in the penalty: 0 is L2, 1 is L1, between them is the elastic net. With an "
        "L1 norm many weights are exactly 0.",
    )
    class_weight: Literal["none", "balanced"] = Field(
        default="none", description="balanced: rows are weighted so that every class has the same total weight."
    )
    tolerance: float = Field(
        default=1e-6,
        gt=0,
        lt=1,
        description="The solver stops when the objective is certified to be this close to its optimum.",
    )
    epochs: int = Field(default=1000, ge=1, description="Largest number of outer iterations of the solver.")


class CalibrationRecipe(Section):
    """How the probabilities are calibrated."""

    method: Literal["auto", "temperature", "vector", "none"] = Field(
        default="auto",
        description="The candidate calibrations, fitted and compared by cross-validation on training rows that the "
        "model has not seen; the simplest whose log loss is within one standard error of the best is chosen, which may "
        "be none. auto: all methods. temperature: those that keep the order of the classes. vector: these, and a scale "
        "and a bias for each class. none: no calibration.",
    )


class PredictionSetsRecipe(Section):
    """The rows behind prediction sets: see docs/prediction_sets.md."""

    held_out_fraction: Share = Field(
        default=0.0,
        description="Fraction of the training rows that serve only for prediction sets, whose coverage is then "
        "guaranteed; 0: the rows of the calibration serve, and the coverage is approximate.",
    )


class DecisionRecipe(Section):
    """How the class is chosen: see docs/decision_costs.md."""

    costs: dict[str, dict[str, float]] | None = Field(
        default=None,
        description="Costs by true class and decision, for every pair of classes; --set takes a .csv or .json file. "
        "The class of the least expected cost is chosen. Default: each error costs 1.",
    )
    prior: dict[str, Annotated[float, Field(ge=0)]] | None = Field(
        default=None,
        description="Share of each class where the model is used; --set takes a .csv or .json file. Changes the choice "
        "of the class, not the probabilities. Default: as in training.",
    )


class CrossValidationRecipe(Section):
    """Repeated cross-validation of a small table, in addition to the test set."""

    folds: Annotated[int, Field(ge=0), AfterValidator(_folds)] | None = Field(
        default=None,
        description="Number of folds; 0: no cross-validation. Default: 5 for a linear model of a table of fewer than "
        "1,000 rows.",
    )
    repeats: int = Field(default=5, ge=1, description="Number of repeats, each with another split into folds.")
