"""Some rows of a table, copied a few columns at a time."""

from collections.abc import Iterator

import numpy as np
import polars as pl
from jaxtyping import Int
from torch import Tensor

from polylogit.data.tables.named_column import select_named

__all__ = ["ChosenRows"]

_CELLS_AT_ONCE = 2**22


class ChosenRows:
    """Some rows of a table in its order, such as the training rows, without a copy of all of them.

    Args:
        read: The table.
        rows: Their numbers, from 0, in any order; None: all rows.

    Example:
        >>> import torch
        >>> chosen = ChosenRows(pl.DataFrame({"legs": [4, 2, 6], "tail": [1, 0, 0]}), torch.tensor([2, 0]))
        >>> chosen.height, chosen.column("legs").to_list(), [some.shape for some in chosen.by_columns()]
        (2, [4, 6], [(2, 2)])
    """

    def __init__(self, read: pl.DataFrame, rows: Int[Tensor, " A"] | None = None) -> None:
        self._read = read
        self.height = read.height
        self._is_chosen: pl.Series | None = None
        if rows is not None:  # a mask, which is several times faster than gathering the rows by number
            is_chosen = np.zeros(read.height, dtype=np.bool_)
            is_chosen[rows.numpy()] = True
            self._is_chosen = pl.Series(is_chosen)
            self.height = int(is_chosen.sum())

    def column(self, name: str) -> pl.Series:
        """The cells of one column."""
        values = self._read.get_column(name)
        return values if self._is_chosen is None else values.filter(self._is_chosen)

    def by_columns(self) -> Iterator[pl.DataFrame]:
        """The rows with a few columns at a time: together all columns, in their order."""
        if self._is_chosen is None:
            yield self._read
            return
        at_once, names = max(1, _CELLS_AT_ONCE // max(self.height, 1)), self._read.columns
        for start in range(0, len(names), at_once):
            yield select_named(self._read, names[start : start + at_once]).filter(self._is_chosen)
