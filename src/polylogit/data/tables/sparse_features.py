"""The features of a table as sparse rows: where a table has text, or categories of very many levels.

See also: `feature_values.py`, the same in a dense matrix.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.data.tables.encoded_column import Column
from polylogit.data.tables.text.weighting import WeightedTerms
from polylogit.system.sparse_rows import SparseRows

__all__ = ["has_many_levels", "sparse_flags", "sparse_nonzeros", "sparse_numbers", "sparse_terms"]


_LEAST_LEVELS = 0.95

MANY_LEVELS = 4096
"""From so many levels of all categories together on the features of a table are sparse rows."""


def has_many_levels(columns: Sequence[Column]) -> bool:
    """Whether so few features of a row are not 0 that sparse rows take less time and memory."""
    width = sum(column.width for column in columns)
    levels = sum(len(column.levels) for column in columns)
    return levels >= MANY_LEVELS and levels >= _LEAST_LEVELS * width


def sparse_numbers(numbers: npt.NDArray[np.float32], places: Sequence[int], width: int) -> SparseRows:
    """Features that every row has.

    Args:
        numbers: One row of them a row.
        places: The number of each among all features, rising.
        width: How many features there are in all.
    """
    rows, columns = numbers.shape
    return SparseRows(
        torch.arange(rows + 1) * columns,
        torch.tensor(places, dtype=torch.int32).repeat(rows),
        torch.from_numpy(np.ascontiguousarray(numbers).ravel()),
        width,
    )


def sparse_flags(flags: pl.DataFrame, width: int) -> SparseRows:
    """Features that are 1.

    Args:
        flags: In each column the number of a feature, or a negative number for none; rising from column to column.
        width: How many features there are in all.

    Example:
        >>> sparse_flags(pl.DataFrame({"a": [0, -1], "b": [3, 2]}), width=4).dense().tolist()
        [[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]]
    """
    places = flags.select(pl.all().cast(pl.Int32)).to_numpy()
    there = places >= 0
    starts = torch.zeros(flags.height + 1, dtype=torch.int64)
    starts[1:] = torch.from_numpy(there.sum(1)).cumsum(0)
    columns = torch.from_numpy(places[there])
    return SparseRows(starts, columns, torch.ones(len(columns)), width)


def sparse_nonzeros(features: Float[Tensor, "N E"], places: Sequence[int], width: int) -> SparseRows:
    """Features that are not 0.

    Args:
        features: Some of the features, dense.
        places: The number of each among all features, rising.
        width: How many features there are in all.
    """
    rows, columns = features.nonzero(as_tuple=True)
    starts = torch.zeros(len(features) + 1, dtype=torch.int64)
    starts[1:] = torch.bincount(rows, minlength=len(features)).cumsum(0)
    return SparseRows(starts, torch.tensor(places, dtype=torch.int32)[columns], features[rows, columns], width)


def sparse_terms(found: WeightedTerms, at: int, width: int) -> SparseRows:
    """The weights of the terms of a text column.

    Args:
        found: The terms of each row.
        at: The number of the feature of the first term.
        width: How many features there are in all.
    """
    return SparseRows(
        torch.from_numpy(found.starts),
        torch.from_numpy(found.terms + np.int32(at)),
        torch.from_numpy(found.weights),
        width,
    )
