"""The fits of all folds and values of C at once, where the problem is small."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from polylogit.estimators.devices import find_device
from polylogit.estimators.labelled_rows import LabelledRows
from polylogit.solver.linear_fit import LinearFit
from polylogit.solver.newton_of_folds import FoldFits, NewtonOfFolds
from polylogit.solver.penalties import inverse_penalty

__all__ = ["small_fits_of_folds"]

MOST_NUMBERS = 1 << 24
"""Most numbers in an array of the folds that are fitted at once: 128 MiB."""


def small_fits_of_folds(
    estimator: Any,  # noqa: ANN401 - SoftmaxRegressionCV
    rows: LabelledRows,
    folds: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]],
    Cs: NDArray[np.float64],
) -> list[list[LinearFit | None]] | None:
    """The fit of each fold at each C by `NewtonOfFolds`.

    Args:
        estimator: Its parameters say how to fit.
        rows: All rows.
        folds: The rows that each fold fits to, and the rows that it is scored on.
        Cs: Finite values of C, in the order in which to fit them.

    Returns:
        For each fold its fits, with None for those that have not converged; None where folds are to be fitted one by
        one: rows are sparse, many, or on another device, the penalty has an L1 norm, a fold lacks a class, or each step
        is to be printed.
    """
    classes, intercept = len(rows.classes), bool(estimator.fit_intercept)
    if (
        estimator.l1_ratio
        or estimator.verbose
        or not isinstance(rows.rows, np.ndarray)
        or find_device(estimator.device).type != "cpu"
        or not np.isfinite(Cs).all()
        or not NewtonOfFolds.is_applicable(len(rows.labels), rows.columns + intercept, classes)
    ):
        return None
    fitted = [of_fold for of_fold, _ in folds]
    if not all(_has_every_class(rows, of_fold) for of_fold in fitted):
        return None
    at_once = max(1, MOST_NUMBERS // (len(rows.labels) * max(rows.columns + intercept, classes)))
    batches = [fitted[first : first + at_once] for first in range(0, len(fitted), at_once)]
    return [fits for batch in batches for fits in _fits_at_once(estimator, rows, batch, Cs)]


def _has_every_class(rows: LabelledRows, fitted: NDArray[np.intp]) -> bool:
    """Whether every class has a row with a weight among those that a fold fits to."""
    targets = rows.targets[fitted]
    if rows.weights is not None:
        targets = targets[rows.weights[fitted] > 0]
    return len(np.unique(targets)) == len(rows.classes)


def _fits_at_once(
    estimator: Any,  # noqa: ANN401 - SoftmaxRegressionCV
    rows: LabelledRows,
    fitted: Sequence[NDArray[np.intp]],
    Cs: NDArray[np.float64],
) -> list[list[LinearFit | None]]:
    classes = len(rows.classes)
    newton = NewtonOfFolds(
        torch.from_numpy(rows.rows.astype(np.float64)),
        torch.from_numpy(rows.targets),
        torch.from_numpy(_weights_of_folds(rows, fitted)),
        classes=classes,
        fit_intercept=bool(estimator.fit_intercept),
        tolerance=estimator.tol,
        max_iterations=estimator.max_iter,
    )
    by_C = [newton.fit(inverse_penalty(float(C), classes)) for C in Cs]
    return [[_converged_fit(fits, fold, estimator.tol) for fits in by_C] for fold in range(len(fitted))]


def _weights_of_folds(rows: LabelledRows, fitted: Sequence[NDArray[np.intp]]) -> NDArray[np.float64]:
    """The weight of each row in each fold, which can fit to a row several times."""
    weights = np.zeros((len(fitted), len(rows.labels)))
    for of_fold, chosen in zip(weights, fitted, strict=True):
        np.add.at(of_fold, chosen, 1.0)
    return weights if rows.weights is None else weights * rows.weights


def _converged_fit(fits: FoldFits, fold: int, tolerance: float) -> LinearFit | None:
    """The fit of a fold; None where its gap is above the tolerance."""
    gap = float(fits.gap[fold])
    if not gap <= tolerance:
        return None
    return LinearFit(
        weight=fits.weight[fold],
        bias=fits.bias[fold],
        objective=float(fits.objective[fold]),
        optimality_gap=gap,
        iterations=int(fits.iterations[fold]),
        stop_reason="tolerance",
        message=f"the certified relative gap {gap:.1e} is within {tolerance:.1e}",
    )
