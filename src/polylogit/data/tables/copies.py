"""Exact copies of rows: which rows are copies of each other, and whether chance explains them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

__all__ = ["Copies", "find_copies"]

Hashes = npt.NDArray[np.uint64]

_EXCESS, _EXCESS_OF_FEW_VALUES = 4.0, 100.0
"""Copies are unlikely to be chance where there are more than so many times the expected pairs."""

_FEWEST_DISTINCT, _FEWEST_DISTINCT_OF_CLASS = 20, 5
_MOST_ROWS = 50_000
_FEWEST_ROWS = 2000
_CELLS = 2_000_000


@dataclass(frozen=True, eq=False)
class Copies:
    """The sets of rows that are the same in every feature and in their class.

    Args:
        groups: A number for each row, the same for rows that are copies of each other.
        repeats: How many rows repeat an earlier one.
        by_chance: Whether as many copies are expected of different observations, since the columns have few values.
    """

    groups: npt.NDArray[np.int64]
    repeats: int
    by_chance: bool


def find_copies(
    read: pl.DataFrame, targets: npt.NDArray[np.int64] | None, hashes: pl.Series | None = None
) -> Copies | None:
    """The exact copies among the rows of a table.

    Chance explains the copies where there is one column only, or fewer than 20 distinct rows or five for each class.
    Else the pairs of rows are counted that agree in all columns but one. Were that column independent of the others, it
    would agree too as often as in any two distinct rows; this gives the expected pairs of copies. The column that
    explains the most of them counts, because the others may determine the rest. Chance does not explain more than four
    times as many pairs; where no column has more distinct values than the square root of the number of rows, such as
    the answers of a questionnaire, which depend on each other, not more than a hundred times.

    Args:
        read: The feature columns, as read.
        targets: Class indices, -1 for rows that are of no class; None without a target.
        hashes: A hash of each row of `read`, where it is known.

    Returns:
        The copies; None where no two rows of one class agree.

    Example:
        >>> weights = np.random.default_rng(0).normal(size=30).tolist()
        >>> copies = find_copies(pl.DataFrame({"weight": [*weights, *weights[:2]], "legs": [4.0, 2.0] * 16}), None)
        >>> copies.groups[-3:].tolist(), copies.repeats, copies.by_chance
        ([29, 0, 1], 2, False)
    """
    known = np.ones(read.height, dtype=np.bool_) if targets is None else targets >= 0
    classes = pl.Series("", np.zeros(read.height, np.int64) if targets is None else targets)
    hashes = read.hash_rows() if hashes is None else hashes
    hashes = pl.select(pl.struct(hashes.alias("row"), classes.alias("class")).hash()).to_series()
    if hashes.filter(pl.Series(known)).n_unique() == int(known.sum()):
        return None
    _, first, groups = np.unique(hashes.to_numpy(), return_index=True, return_inverse=True)
    groups = np.argsort(np.argsort(first))[groups]  # numbered in the order of the rows, whatever the hashes are
    counts = np.bincount(groups[known])
    few_values = all(series.n_unique() <= np.sqrt(read.height) for series in read)
    excess = _EXCESS_OF_FEW_VALUES if few_values else _EXCESS
    distinct = int((counts > 0).sum())
    by_chance = (
        read.width == 1
        or distinct < max(_FEWEST_DISTINCT, _FEWEST_DISTINCT_OF_CLASS * classes.filter(pl.Series(known)).n_unique())
        or _pairs(counts) <= excess * _pairs_expected(read, classes, known)
    )
    return Copies(groups, int(known.sum()) - distinct, by_chance)


def _pairs_expected(read: pl.DataFrame, classes: pl.Series, known: npt.NDArray[np.bool_]) -> float:
    """How many pairs of rows are expected to be copies, were all of them different observations."""
    rows = np.flatnonzero(known)
    most = min(_MOST_ROWS, max(_FEWEST_ROWS, _CELLS // max(read.width, 1)))
    sample = rows[:: max(1, -(-len(rows) // most))]
    if len(sample) < 2:
        return 0.0
    columns = [_hashes(series.gather(sample), seed) for seed, series in enumerate(read, start=1)]
    whole = _hashes(classes.gather(sample), 0)
    for column in columns:
        whole = whole + column
    copies = _pairs_alike(whole)
    _, first = np.unique(whole, return_index=True)
    expected = 0.0
    for column in columns:
        near = _pairs_alike(whole - column) - copies
        distinct = len(first) * (len(first) - 1) / 2
        alike = _pairs_alike(column[first]) / distinct if distinct else 1.0
        expected = max(expected, np.inf if alike == 1 and near else near * alike / max(1 - alike, 1e-12))
    return expected * (len(rows) / len(sample)) ** 2


def _hashes(series: pl.Series, seed: int) -> Hashes:
    """Hashes of cells, by a function of its own for each column: rows are compared by the sum of theirs."""
    return series.alias("cells").hash(seed).to_numpy()


def _pairs_alike(hashes: Hashes) -> float:
    return _pairs(np.unique(hashes, return_counts=True)[1])


def _pairs(counts: npt.NDArray[np.int64]) -> float:
    """How many pairs of two are in sets of these sizes."""
    return float((counts * (counts - 1.0)).sum() / 2)
