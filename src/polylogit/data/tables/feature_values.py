"""The numbers of a table's features: the scaled ones, and the ones that are set to 1, written block by block.

See also: `encoder.py`, which knows the places of the features.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from polylogit.data.tables.column_types import LARGEST_FEATURE
from polylogit.data.tables.encoded_column import Column

__all__ = ["raise_flags", "scaled_numbers", "write_standardised"]

_ROWS_A_BLOCK = 8192
"""Rows that are written together, so that they stay in the processor's cache from column to column."""


def scaled_numbers(read: pl.DataFrame, columns: Sequence[Column]) -> list[npt.NDArray[np.float64]]:
    """The numbers of each scaled feature before they are standardised.

    Args:
        read: The cells as `read_columns` gives them.
        columns: The columns in the order of their features.

    Returns:
        One array a scaled feature; NaN where a value is missing.
    """
    numbers = []
    for column in columns:
        if column.type in ("number", "boolean"):  # tables may have thousands of these: polars' expressions take longer
            numbers.append(read[column.name].cast(pl.Float64).to_numpy())
        elif column.scaled_names:
            numbers += [series.to_numpy() for series in read.select(column.scaled_expressions())]
    return numbers


def write_standardised(
    features: npt.NDArray[np.float32],
    places: Sequence[int],
    numbers: Sequence[npt.NDArray[np.float64]],
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
            standardised = values[block] - middle
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
