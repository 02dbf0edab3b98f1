"""The sections of a recipe on model, training, calibration, cross-validation and augmentation.

See also: `polylogit.networks`, `polylogit.fitting` and `polylogit.data.pictures.augmentation`, which use them. Imports
no torch.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from polylogit.network_sections import (
    CnnModel,
    Count,
    MlpModel,
    MlpTraining,
    NetworkTraining,
    PictureTraining,
    Positive,
    PretrainedModel,
    ResidualModel,
    Section,
    Share,
)
from polylogit.recipes.data_kinds import OF_TABLES

__all__ = [
    "AdditiveModel",
    "AugmentationRecipe",
    "AutoModel",
    "AutoReference",
    "AutoTraining",
    "CalibrationRecipe",
    "CnnModel",
    "CrossValidationRecipe",
    "DecisionRecipe",
    "LinearModel",
    "MlpModel",
    "MlpOfRecipe",
    "MlpTraining",
    "NetworkTraining",
    "PictureTraining",
    "PredictionSetsRecipe",
    "PretrainedModel",
    "PretrainedTraining",
    "ResidualModel",
    "Section",
    "TrainingRecipe",
]


class LinearModel(Section):
    """A linear model: softmax regression."""

    kind: Literal["linear"] = Field(default="linear", description="Kind of model.")


class AdditiveModel(Section):
    """An additive model: softmax regression on piecewise-linear functions of the numbers, see docs/additive.md."""

    kind: Literal["additive"] = Field(default="additive", description="Kind of model.")
    bins: int = Field(
        default=16,
        ge=2,
        le=256,
        description="Most bins of a column of numbers or dates. The effect of the column is linear in each bin and "
        "constant beyond the training range; small tables and columns of few values have fewer bins.",
    )


def _bins(bins: int) -> int:
    if bins == 1:
        raise ValueError("expected 0 (no bins) or at least 2")
    return bins


class MlpOfRecipe(MlpModel):
    """A multilayer perceptron, and how it is fitted as several: see docs/networks.md."""

    members: Annotated[int, Field(ge=1, le=64)] = Field(
        default=1,
        description="Networks that the hidden units are fitted as, side by side; the model has the mean of their "
        "logits, and is one network. Divides the width of the hidden layer, of which there is one. 1: no parts.",
    )
    bins: Annotated[int, Field(ge=0, le=256), AfterValidator(_bins), OF_TABLES] = Field(
        default=0,
        description="Most bins of a column of numbers or dates, whose piecewise-linear features stand beside it, as "
        "for an additive model; values beyond the training range count as its ends. 0: no bins.",
    )


def _candidates(kinds: tuple[str, ...]) -> tuple[str, ...]:
    known = [kind for kind in ("linear", "additive", "mlp") if kind in kinds]
    if list(kinds) != known:
        raise ValueError(f"expected each kind once, from the simplest to the most complex ({', '.join(known)})")
    return kinds


class AutoModel(Section):
    """The kind of model is chosen from the data: see docs/choosing.md."""

    kind: Literal["auto"] = Field(default="auto", description="Kind of model.")
    candidates: Annotated[
        tuple[Literal["linear", "additive", "mlp"], ...], Field(min_length=1), AfterValidator(_candidates)
    ] = Field(
        default=("linear", "additive", "mlp"),
        description="Kinds of model that are compared, from the simplest to the most complex.",
    )


class AutoReference(Section):
    """What the candidates are compared with: see docs/choosing.md."""

    reference: bool = Field(
        default=False,
        description="Whether boosted trees (scikit-learn's HistGradientBoosting) are scored on the same folds, to say "
        "where they would be far ahead. They are never chosen.",
    )


class AutoTraining(Section):
    """What the fits of all candidates share."""

    class_weight: Literal["none", "balanced"] = Field(
        default="none", description="balanced: rows are weighted so that every class has the same total weight."
    )


class AugmentationRecipe(Section):
    """Augmentation of the training pictures: see `polylogit.data.pictures.augmentation`."""

    flip: bool = Field(default=False, description="Whether to mirror pictures left to right, with probability 1/2.")
    shift: Annotated[int, Field(ge=0)] = Field(default=0, description="Largest random shift, in pixels.")
    edge: Literal["black", "nearest"] = Field(
        default="black",
        description="What comes in at the edge of a shifted picture. nearest: the nearest pixel of the picture.",
    )
    cutout: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Side of a random square that is blacked out, in pixels; 0: none."
    )


def _folds(folds: int) -> int:
    if folds == 1:
        raise ValueError("expected 0 (no cross-validation) or at least 2 folds")
    return folds


class TrainingRecipe(Section):
    """How a linear model is fitted: see `polylogit.solver`."""

    C: Positive | Literal["auto"] = Field(
        default="auto",
        description="Inverse strength of the penalty, as scikit-learn's: C * losses + penalty, which is |weights|²/2 "
        "unless l1_ratio is set, with one vector of weights for two classes. auto: chosen by the log loss of held-out "
        "training rows.",
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


class PretrainedTraining(TrainingRecipe):
    """How a linear model on the features of a pretrained network is fitted, and whether the network is fine-tuned."""

    finetune: Literal["none", "last", "all"] = Field(
        default="none",
        description="What is fine-tuned after the exact fit on the features of the network as it is. last: its last "
        "block. all: the whole network. Kept only if the log loss of validation pictures improves by more than a "
        "standard error.",
    )
    finetune_epochs: Count = Field(
        default=10, description="Most epochs of the fine-tuning; it stops when the validation loss no longer falls."
    )
    finetune_learning_rate: Positive = Field(default=3e-4, description="Peak learning rate of the fine-tuning.")


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
