"""Bins of the numbers of a column: between their edges the effect of the column is linear, beyond the ends constant.

The piecewise-linear encoding has one feature for each bin, which rises from 0 at the lower edge to 1 at the upper one.

See also: `polylogit.data.tables.encoded_column`, whose columns hold the edges; docs/additive.md, the formulas.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

__all__ = ["ROWS_A_BIN", "clipped", "find_bin_edges", "ramp", "ramps_of"]

Numbers = npt.NDArray[np.float64]

ROWS_A_BIN = 20
"""The training rows that each bin has on average, at least: see `find_bin_edges`."""


def find_bin_edges(
    values: npt.NDArray[np.float64], most_bins: int, *, rows_a_bin: int = ROWS_A_BIN
) -> tuple[float, ...]:
    """Edges of bins that hold about equally many rows.

    A value that many rows share counts as no more rows than a bin has, so that its rows do not use up the bins of the
    others.

    Args:
        values: The numbers of the training rows; NaN is a missing value.
        most_bins: The most bins.
        rows_a_bin: Fewer training rows than this for each bin make fewer bins, but no fewer than two.

    Returns:
        Edges in ascending order, from the least to the greatest number: one where all are equal, none where there is
        no number.

    Example:
        >>> find_bin_edges(np.array([1.0, 2.0, 2.0, 3.0, 9.0, np.nan]), most_bins=2)
        (1.0, 2.0, 9.0)
        >>> find_bin_edges(np.arange(101.0), most_bins=4)
        (0.0, 25.0, 50.0, 75.0, 100.0)

    Source: Gorishniy, Rubachev and Babenko (2022), "On Embeddings for Numerical Features in Tabular Deep Learning",
    section 3.2.1, for bins of equally many rows.
    """
    there = values[~np.isnan(values)]
    distinct, rows = np.unique(there, return_counts=True)
    bins = min(most_bins, max(len(there) // rows_a_bin, 2))
    if len(distinct) <= bins + 1:
        return tuple(distinct.tolist())
    counted = rows.astype(np.float64)
    for _ in range(bins):  # each step leaves fewer rows, and with them smaller bins
        limit = counted.sum() / bins
        if counted.max() <= limit:
            break
        counted = np.minimum(counted, limit)
    below = np.cumsum(counted)
    inner = distinct[np.searchsorted(below, below[-1] * np.arange(1, bins) / bins)]
    return tuple(np.unique(np.concatenate([distinct[:1], inner, distinct[-1:]])).tolist())


def ramps_of(edges: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """The lower and the upper edge of each feature that the edges make.

    Args:
        edges: As `find_bin_edges` gives them.

    Returns:
        One pair for each bin; none for a single bin, in which the number itself is linear.

    Example:
        >>> ramps_of((0.0, 1.0, 3.0)), ramps_of((0.0, 1.0))
        (((0.0, 1.0), (1.0, 3.0)), ())
    """
    return tuple(pairwise(edges)) if len(edges) > 2 else ()


def ramp(values: Numbers, low: Numbers | float, high: Numbers | float) -> Numbers:
    """(value - low) / (high - low), but 0 below and 1 above.

    Args:
        values: Numbers; NaN stays NaN.
        low: The lower edge.
        high: The upper edge.

    Returns:
        From 0 to 1.

    Example:
        >>> ramp(np.array([0.0, 1.5, 9.0]), 1.0, 2.0).tolist()
        [0.0, 0.5, 1.0]
    """
    with np.errstate(over="ignore"):  # far outside of a narrow bin
        return np.clip((values - low) / (high - low), 0.0, 1.0)


def clipped(values: npt.NDArray[np.float64], edges: Sequence[float]) -> npt.NDArray[np.float64]:
    """The numbers, with the nearest end of the training range in place of those outside of it.

    Args:
        values: Numbers; NaN stays NaN.
        edges: Of the bins; where there are none the numbers stay as they are.

    Example:
        >>> clipped(np.array([-5.0, 0.5, 7.0]), (0.0, 1.0, 3.0)).tolist()
        [0.0, 0.5, 3.0]
    """
    return np.clip(values, edges[0], edges[-1]) if edges else values
