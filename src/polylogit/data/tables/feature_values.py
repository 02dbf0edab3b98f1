"""The numbers of a table's features: the scaled ones, and the ones that are set to 1, written block by block.

See also: `encoder.py`, which knows the places of the features.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from polylogit.data.tables.bins import ramp
from polylogit.data.tables.column_types import LARGEST_FEATURE
from polylogit.data.tables.encoded_column import Column

__all__ = ["ROWS_A_BLOCK", "ScaledNumbers", "raise_flags", "scaled_numbers", "write_standardised"]

ROWS_A_BLOCK = 8192
"""Rows that are written together, so that they stay in the processor's cache from column to column."""


@dataclass(frozen=True)
class ScaledNumbers:
    """The numbers of a scaled feature before they are standardised.

    Args:
        numbers: One a row; NaN where a value is missing.
        bin: The edges of the bin over which the feature rises from 0 to 1; None: the numbers are the feature.
    """

    numbers: npt.NDArray[np.float64]
    bin: tuple[float, float] | None = None

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """The feature of each row."""
        return self.numbers if self.bin is None else ramp(self.numbers, *self.bin)


def scaled_numbers(read: pl.DataFrame, columns: Sequence[Column]) -> Iterator[ScaledNumbers]:
    """The numbers of each scaled feature before they are standardised, one feature after the other.

    Args:
        read: The cells as `read_columns` gives them.
        columns: The columns in the order of their features.

    Yields:
        One a scaled feature. Those of the bins of a column share an array.
    """
    for column in columns:
        for numbers in column.scaled_numbers(read[column.name]):
            yield ScaledNumbers(numbers)
        if column.ramps:
            numbers = column.binned_numbers(read[column.name])
            for edges in column.ramps:
                yield ScaledNumbers(numbers, edges)


def write_standardised(
    features: npt.NDArray[np.float32],
    places: Sequence[int],
    numbers: Iterable[ScaledNumbers],
    mean: Sequence[float],
    scale: Sequence[float],
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
    for number, (place, feature, middle, spread) in enumerate(zip(places, numbers, mean, scale, strict=True)):
        standardised = feature.values - middle
        with np.errstate(over="ignore"):
            standardised /= spread
        standardised[np.isnan(standardised)] = 0.0
        if len(standardised) and max(standardised.max(), -standardised.min()) > LARGEST_FEATURE:
            return number, int(np.argmax(np.abs(standardised) > LARGEST_FEATURE))
        features[:, place] = standardised
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
