"""The numbers of a table's features: the scaled ones, and the ones that are set to 1, written block by block.

See also: `encoder.py`, which knows the places of the features.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt
import polars as pl

from polylogit.data.tables.bins import ramp
from polylogit.data.tables.column_types import LARGEST_FEATURE
from polylogit.data.tables.encoded_column import Column
from polylogit.data.tables.named_column import select_named

__all__ = ["ROWS_A_BLOCK", "ScaledNumbers", "raise_flags", "scaled_numbers", "write_standardised"]

ROWS_A_BLOCK = 8192
"""Rows that are written together, so that they stay in the processor's cache from column to column."""

_COLUMNS_A_BLOCK = 1024
"""Columns of plain numbers that are worked on as one matrix."""


@dataclass(frozen=True)
class ScaledNumbers:
    """The numbers of neighbouring scaled features before they are standardised.

    Args:
        numbers: A column for each feature; NaN where a value is missing.
        bin: The edges of the bin over which a single feature rises from 0 to 1; None: the numbers are the features.
    """

    numbers: npt.NDArray[np.float64]
    bin: tuple[float, float] | None = None

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """The features of each row, in the order of memory of the columns of a table."""
        return self.numbers if self.bin is None else ramp(self.numbers, *self.bin)


def scaled_numbers(read: pl.DataFrame, columns: Sequence[Column]) -> Iterator[ScaledNumbers]:
    """The numbers of all scaled features before they are standardised, one block of features after the other.

    Args:
        read: The cells as `read_columns` gives them.
        columns: The columns in the order of their features.

    Yields:
        Neighbouring columns of plain numbers together, every other feature alone. Those of the bins of a column share
        an array.
    """
    for is_plain, neighbours in groupby(columns, key=_is_plain_number):
        if is_plain:
            names = [column.name for column in neighbours]
            for start in range(0, len(names), _COLUMNS_A_BLOCK):
                some = select_named(read, names[start : start + _COLUMNS_A_BLOCK])
                yield ScaledNumbers(some.to_numpy(order="fortran").astype(np.float64, copy=False))
            continue
        for column in neighbours:
            for numbers in column.scaled_numbers(read[column.name]):
                yield ScaledNumbers(numbers[:, None])
            if column.ramps:
                numbers = column.binned_numbers(read[column.name])[:, None]
                for edges in column.ramps:
                    yield ScaledNumbers(numbers, edges)


def _is_plain_number(column: Column) -> bool:
    return column.type == "number" and not column.bin_edges


def write_standardised(
    features: npt.NDArray[np.float32],
    places: npt.NDArray[np.int64],
    numbers: Iterable[ScaledNumbers],
    mean: npt.NDArray[np.float64],
    scale: npt.NDArray[np.float64],
) -> tuple[int, int] | None:
    """Write (number - mean) / scale of each scaled feature, and 0 where it is missing.

    Args:
        features: One row of features a row; written to.
        places: The column of `features` for each scaled feature.
        numbers: As `scaled_numbers` gives them.
        mean: One a scaled feature.
        scale: One a scaled feature.

    Returns:
        The number of the scaled feature and of the row of the first value that single precision cannot hold; None where
        there is none.
    """
    first = 0
    for block in numbers:
        values = block.values
        here = slice(first, first + values.shape[1])
        standardised = values - mean[here]
        with np.errstate(over="ignore"):
            standardised /= scale[here]
        standardised[np.isnan(standardised)] = 0.0
        if standardised.size and max(standardised.max(), -standardised.min()) > LARGEST_FEATURE:
            feature, row = np.argwhere(np.abs(standardised.T) > LARGEST_FEATURE)[0]
            return first + int(feature), int(row)
        start, end = places[here][[0, -1]]
        neighbours = end - start == values.shape[1] - 1
        features[:, slice(start, end + 1) if neighbours else places[here]] = standardised
        first = here.stop
    return None


def raise_flags(flags: pl.DataFrame, features: npt.NDArray[np.float32]) -> None:
    """Set the named features of each row to 1.

    Args:
        flags: In each column the number of a feature, or a negative number for none.
        features: One row of features a row; written to.
    """
    groups = [series.to_numpy() for series in flags]
    for start in range(0, len(features), ROWS_A_BLOCK):
        block = features[start : start + ROWS_A_BLOCK]
        rows = np.arange(len(block))
        for group in groups:
            places = group[start : start + ROWS_A_BLOCK]
            there = places >= 0
            if there.all():
                block[rows, places] = 1.0
            else:
                block[rows[there], places[there]] = 1.0
