"""Typical sizes of columns, from a sample of the rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from polylogit.estimators.caller_warnings import warn_caller

__all__ = ["column_moments", "warn_of_scales"]

_SAMPLED_ROWS, _LEAST_ROWS, _SAMPLED_NUMBERS = 1000, 100, 500_000
_LARGEST, _SMALLEST = 30.0, 0.03
"""Outside these sizes networks lose accuracy or calibration; docs/log.md has the measurement."""


def column_moments(rows: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # noqa: ANN401 - scipy has no types
    """Mean and standard deviation of each column over some 1,000 rows, evenly spaced, of wide tables over 100 or more.

    Args:
        rows: A numpy array, or a scipy sparse matrix, whose columns count as centred at 0 with deviation 1.

    Returns:
        Means and deviations, shape (D,) each; the deviation of a constant column is 1.

    Example:
        >>> column_moments(np.array([[1.0, 5.0], [3.0, 5.0]]))
        (array([2., 5.]), array([1., 1.]))
    """
    if sparse.issparse(rows) or not len(rows):
        return np.zeros(rows.shape[1]), np.ones(rows.shape[1])
    sample = _sampled(rows)
    mean, deviation = sample.mean(axis=0), sample.std(axis=0)
    return mean, np.where(deviation > 1e-12 * np.abs(mean), deviation, 1.0)


def _sampled(rows: NDArray[Any]) -> NDArray[np.float64]:
    wanted = min(_SAMPLED_ROWS, max(_LEAST_ROWS, _SAMPLED_NUMBERS // rows.shape[1]))
    return rows[:: max(1, len(rows) // wanted)].astype(np.float64)


def warn_of_scales(rows: Any, names: Any = None) -> None:  # noqa: ANN401 - scipy has no types
    """Warn where a column is so large, or all columns so small, that a network trains badly.

    Args:
        rows: A numpy array, or a scipy sparse matrix, which is not looked at.
        names: Names of the columns, where they have any.
    """
    if sparse.issparse(rows):
        return
    size = np.sqrt((_sampled(rows) ** 2).mean(axis=0))
    column = int(size.argmax())
    if _SMALLEST <= size[column] <= _LARGEST:
        return
    name = f"column {column}" if names is None else f'column "{names[column]}"'
    warn_caller(
        f"X is not scaled: {name} has a root mean square of {size[column]:.3g}, the largest. A network trains best on "
        "columns of about 1. Put a StandardScaler before SoftmaxClassifier.",
        UserWarning,
    )
