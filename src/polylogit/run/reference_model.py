"""Boosted trees as a reference for the choice of the kind of model: scored on the same folds, and never saved.

See also: `polylogit.run.model_selection`, which compares the log loss of the chosen kind with theirs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.data.tables.encoded_column import days
from polylogit.data.tables.encoder import TableEncoder
from polylogit.fitting.out_of_fold import HeldOutLogits
from polylogit.recipes import AutoRecipe
from polylogit.run.fold_scores import calibrated_on_other_folds
from polylogit.run.held_out_rows import held_out_logits
from polylogit.run.task import Task

__all__ = ["REFERENCE", "Reference", "reference_scores", "why_no_reference"]

REFERENCE = "HistGradientBoosting"
"""What messages call it: the name of scikit-learn."""

MOST_PRODUCTS = 20_000_000
"""Of rows, columns and classes; trees of more would take minutes."""

MOST_LEVELS = 255
"""The most levels of a category that the trees take; rarer ones count as missing."""

WIDE_MARGIN = 0.1
"""The share of the chosen kind's log loss by which that of the trees is lower where they are far ahead."""

_LEAST_PROBABILITY = 1e-15


@dataclass(frozen=True)
class Reference:
    """How well boosted trees did on the rows that the kinds of model were compared on.

    Attributes:
        log_loss: Mean log loss, in nats, of rows that the trees were not fitted on, after calibration.
        accuracy: Their accuracy.
        lead: By how much the log loss is below that of the chosen kind; negative where it is above.
        standard_error: Of `lead`, from the differences row by row.
        seconds: Wall time of the fits.
    """

    log_loss: float
    accuracy: float
    lead: float
    standard_error: float
    seconds: float

    @property
    def far_ahead(self) -> bool:
        """Whether the lead is more than a standard error, and a tenth or more of the log loss of the chosen kind."""
        return self.lead > self.standard_error and self.lead >= WIDE_MARGIN * (self.log_loss + self.lead)

    @property
    def in_words(self) -> str:
        """The comparison as a sentence."""
        place = "below" if self.lead > 0 else "above"
        return (
            f"For reference, boosted trees ({REFERENCE} with its defaults) have a log loss of {self.log_loss:.4f} on "
            f"the same folds, {abs(self.lead):.4f} {place} that of the chosen kind (standard error "
            f"{self.standard_error:.4f})."
        )


def why_no_reference(task: Task) -> str | None:
    """Why there are no boosted trees to compare with, in words; None where there are.

    Args:
        task: The rows that the kinds of model are compared on.
    """
    columns = _columns(task)
    if not columns:
        return "it takes no text, and the table has no other columns"
    if len(task.rows) * len(columns) * len(task.class_names) > MOST_PRODUCTS:
        return "the table has too many columns and classes for it to be compared"
    return None


def reference_scores(
    task: Task, recipe: AutoRecipe, *, folds: int, on_fit: Callable[[int, int], None] | None = None
) -> HeldOutLogits | None:
    """Logits of all rows from boosted trees that were fitted without the row, calibrated as those of the candidates.

    Numbers, booleans and dates are given to them as numbers, categories as categories; text is left out.

    Args:
        task: The rows that the kinds of model are compared on.
        recipe: Seed, class weights and calibration.
        folds: Number of folds; they are those of the candidates.
        on_fit: Called after each fit with the number of fits done and of fits planned.

    Returns:
        The logits, with the row numbers of the task; None where no class has two rows.

    Source: Ke, Meng, Finley and others (2017), "LightGBM: a highly efficient gradient boosting decision tree", in the
        form of `sklearn.ensemble.HistGradientBoostingClassifier`.
    """
    columns = _columns(task)
    features = np.column_stack([numbers for numbers, _ in columns])
    categories = [is_category for _, is_category in columns]
    targets = task.rows.targets.numpy()
    weights = None if task.rows.weights is None else task.rows.weights.numpy()

    def fit_and_score(fitted: Int[Tensor, " A"], held_out: Int[Tensor, " B"]) -> Float[Tensor, "B K"]:
        from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - takes a second, and is rare

        trees = HistGradientBoostingClassifier(
            categorical_features=categories,
            class_weight="balanced" if recipe.training.class_weight == "balanced" else None,
            random_state=recipe.seed % 2**32,
        )
        train = fitted.numpy()
        trees.fit(features[train], targets[train], None if weights is None else weights[train])
        probabilities = np.zeros((len(held_out), len(task.class_names)))
        probabilities[:, trees.classes_] = trees.predict_proba(features[held_out.numpy()])
        return torch.from_numpy(np.log(probabilities.clip(_LEAST_PROBABILITY)))

    known = task.rows.known
    found = held_out_logits(
        task.rows, known, fit_and_score, seed=recipe.seed, folds=folds, rows_wanted=len(known) + 1, on_fit=on_fit
    )
    method = recipe.calibration.method
    if found is None or method == "none":
        return found
    return replace(found, logits=calibrated_on_other_folds(found, task.rows, method))


def _columns(task: Task) -> list[tuple[npt.NDArray[np.float64], bool]]:
    """The numbers of each column that trees take, NaN where missing, and whether they stand for categories."""
    if not isinstance(task.encoder, TableEncoder) or task.cells is None:
        raise TypeError("expected the rows of a table")
    columns = []
    for name, reading in task.encoder.readings.items():
        cells = task.cells.get_column(name)
        match reading.type:
            case "number" | "boolean":
                columns.append((cells.cast(pl.Float64).to_numpy(), False))
            case "date":
                columns.append((days(cells), False))
            case "category":
                columns.append((_codes(cells), True))
    return columns


def _codes(cells: pl.Series) -> npt.NDArray[np.float64]:
    """The number of each cell's level among the most frequent ones."""
    counts = (
        cells.alias("level").drop_nulls().value_counts(name="rows").sort(["rows", "level"], descending=[True, False])
    )
    levels = pl.Enum(counts["level"].head(MOST_LEVELS))
    return cells.cast(levels, strict=False).to_physical().cast(pl.Float64).to_numpy()
