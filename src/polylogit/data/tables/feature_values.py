"""The numbers of a table's features: the scaled ones, and the ones that are set to 1, written block by block.

See also: `encoder.py`, which knows the places of the features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from polylogit.data.tables.bins import ramp
from polylogit.data.tables.column_types import LARGEST_FEATURE
from polylogit.data.tables.encoded_column import Column

__all__ = ["ScaledNumbers", "raise_flags", "scaled_numbers", "write_standardised"]

_ROWS_A_BLOCK = 8192
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

    def of_rows(self, rows: slice) -> npt.NDArray[np.float64]:
        """The values of some rows."""
        numbers = self.numbers[rows]
        return numbers if self.bin is None else ramp(numbers, *self.bin)


def scaled_numbers(read: pl.DataFrame, columns: Sequence[Column]) -> list[ScaledNumbers]:
    """The numbers of each scaled feature before they are standardised.

    Args:
        read: The cells as `read_columns` gives them.
        columns: The columns in the order of their features.

    Returns:
        One a scaled feature. Those of the bins of a column share an array.
    """
    features = []
    for column in columns:
        features += [ScaledNumbers(numbers) for numbers in column.scaled_numbers(read[column.name])]
        if column.ramps:
            numbers = column.binned_numbers(read[column.name])
            features += [ScaledNumbers(numbers, edges) for edges in column.ramps]
    return features


def write_standardised(
    features: npt.NDArray[np.float32],
    places: Sequence[int],
    numbers: Sequence[ScaledNumbers],
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
    for start in range(0, len(features), _ROWS_A_BLOCK):
        block = slice(start, start + _ROWS_A_BLOCK)
        for number, (place, values, middle, spread) in enumerate(zip(places, numbers, mean, scale, strict=True)):
            standardised = values.of_rows(block) - middle
            with np.errstate(over="ignore"):
                standardised /= spread
            standardised[np.isnan(standardised)] = 0.0
            if len(standardised) and max(standardised.max(), -standardised.min()) > LARGEST_FEATURE:
                return number, start + int(np.argmax(np.abs(standardised) > LARGEST_FEATURE))
            features[block, place] = standardised
    return None


def raise_flags(flags: pl.DataFrame, features: npt.NDArray[np.float32]) -> None:
    """Set the named features of each row to 1.

    Args:
        flags: In each column the number of a feature, or a negative number for none.
        features: One row of features a row; written to.
    """
    groups = [series.to_numpy() for series in flags]
    for start in range(0, len(features), _ROWS_A_BLOCK):
        block = features[start : start + _ROWS_A_BLOCK]
        rows = np.arange(len(block))
        for group in groups:
            places = group[start : start + _ROWS_A_BLOCK]
            there = places >= 0
            if there.all():
                block[rows, places] = 1.0
            else:
                block[rows[there], places[there]] = 1.0
