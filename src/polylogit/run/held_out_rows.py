"""Rows that are held out in turn: their logits from models that were fitted without them, and a calibration from these.

See also: `polylogit.fitting.out_of_fold`, which deals rows into folds.
"""

from collections.abc import Callable
from dataclasses import replace

from jaxtyping import Float, Int
from torch import Tensor

from polylogit.calibration import CalibrationFit, CalibrationMethod, fit_calibration
from polylogit.fitting.out_of_fold import FOLDS, ROWS_WANTED, HeldOutLogits, out_of_fold_logits
from polylogit.run.labelled_rows import LabelledRows

__all__ = ["calibration_of", "held_out_logits"]


def held_out_logits(
    rows: LabelledRows,
    numbers: Int[Tensor, " M"],
    fit_and_score: Callable[[Int[Tensor, " A"], Int[Tensor, " B"]], Float[Tensor, "B K"]],
    *,
    seed: int,
    folds: int = FOLDS,
    rows_wanted: int = ROWS_WANTED,
    on_fit: Callable[[int, int], None] | None = None,
) -> HeldOutLogits | None:
    """`out_of_fold_logits` of some rows, each of which is named by its number among all.

    Args:
        rows: All rows; their groups stay together.
        numbers: The rows that are dealt into folds.
        fit_and_score: Fits a model to the rows named first and gives its logits of the rows named second.
        seed: Of the draw of the folds.
        folds: How many parts the rows are dealt into.
        rows_wanted: Stop as soon as so many rows are held out.
        on_fit: Called after each fit with the number of fits done and of fits planned.

    Returns:
        The logits with the numbers of their rows; None where no class has two rows.
    """
    found = out_of_fold_logits(
        rows.targets[numbers],
        lambda fitted, scored: fit_and_score(numbers[fitted], numbers[scored]),
        seed=seed,
        groups=None if rows.groups is None else rows.groups[numbers],
        folds=folds,
        rows_wanted=rows_wanted,
        on_fit=on_fit,
    )
    return None if found is None else replace(found, rows=numbers[found.rows])


def calibration_of(
    rows: LabelledRows, numbers: Int[Tensor, " M"], logits: Float[Tensor, "M K"], method: CalibrationMethod
) -> CalibrationFit:
    """The calibration of held-out rows, with their weights and groups; their inputs are not looked at.

    Args:
        rows: All rows.
        numbers: Those that were held out.
        logits: Their logits, from models that were fitted without them.
        method: The candidates; see `fit_calibration`.

    Returns:
        The calibration and its evidence.
    """
    return fit_calibration(
        logits,
        rows.targets[numbers],
        method=method,
        sample_weight=None if rows.weights is None else rows.weights[numbers],
        groups=None if rows.groups is None else rows.groups[numbers],
    )
