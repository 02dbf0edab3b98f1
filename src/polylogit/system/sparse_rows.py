"""Encoded rows of which few numbers are not 0: the only sparse form of the inputs of a model.

Rows of text and of categories with very many levels have this form; all other rows are plain tensors.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.system.csr_tensor import csr_tensor
from polylogit.system.mapped_file import is_mapped, mapped_numbers

__all__ = [
    "SparseRows",
    "joined_columns",
    "joined_rows",
    "joined_sparse_rows",
    "stored_sparse_rows",
    "taken_sparse_rows",
]

_NUMBERS_A_BLOCK = 2**20
_ROWS_COPIED_AT_ONCE = 8192


class SparseRows:
    """Rows of float32 of which only some numbers are stored.

    It has what the code that passes rows on asks of a tensor: length, shape, slices, chosen rows and device.

    Args:
        starts: Where the numbers of each row start, from 0, and where those of the last end.
        columns: The column of each number, rising within a row.
        values: The numbers.
        width: D, the number of columns.

    Example:
        >>> rows = SparseRows(torch.tensor([0, 2, 2]), torch.tensor([0, 3]), torch.tensor([1.0, 0.5]), width=4)
        >>> rows.shape, rows[torch.tensor([1, 0])].dense()
        (torch.Size([2, 4]), tensor([[0.0000, 0.0000, 0.0000, 0.0000],
                [1.0000, 0.0000, 0.0000, 0.5000]]))
        >>> rows.product(torch.tensor([[1.0, 1.0, 1.0, 2.0]]))
        tensor([[2.],
                [0.]])
    """

    ndim: ClassVar[int] = 2
    dtype: ClassVar[torch.dtype] = torch.float32

    def __init__(
        self, starts: Int[Tensor, " N1"], columns: Int[Tensor, " S"], values: Float[Tensor, " S"], width: int
    ) -> None:
        self.starts, self.columns, self.values, self.width = starts, columns, values, width

    def __len__(self) -> int:
        """N, the number of rows."""
        return len(self.starts) - 1

    @property
    def shape(self) -> torch.Size:
        """N and D."""
        return torch.Size((len(self), self.width))

    @property
    def device(self) -> torch.device:
        """Where the numbers are."""
        return self.values.device

    def __getitem__(self, chosen: slice | Sequence[int] | Tensor) -> "SparseRows":
        """Some rows: neighbouring ones share the memory of these, chosen ones are copied."""
        if isinstance(chosen, slice):
            first, last, step = chosen.indices(len(self))
            if step == 1:
                starts = self.starts[first : max(last, first) + 1]
                some = slice(int(starts[0]), int(starts[-1]))
                return SparseRows(starts - starts[0], self.columns[some], self.values[some], self.width)
            chosen = torch.arange(first, last, step)
        chosen = torch.as_tensor(chosen, device=self.device)
        return self.index_select(0, chosen.nonzero()[:, 0] if chosen.dtype == torch.bool else chosen)

    def index_select(self, axis: int, index: Int[Tensor, " M"]) -> "SparseRows":
        """The rows with these numbers, in this order.

        Args:
            axis: 0: rows are chosen, and nothing else can be.
            index: Row numbers.
        """
        del axis  # what a tensor is asked
        first = self.starts[:-1][index]
        counts = self.starts[1:][index] - first
        ends = counts.cumsum(0)
        places = torch.arange(int(ends[-1]) if len(ends) else 0, device=self.device)
        places += (first - (ends - counts)).repeat_interleave(counts)
        starts = torch.cat([ends.new_zeros(1), ends])
        return SparseRows(starts, self.columns[places], self.values[places], self.width)

    def to(self, device: torch.device) -> "SparseRows":
        """The rows on a device."""
        return SparseRows(self.starts.to(device), self.columns.to(device), self.values.to(device), self.width)

    def clone(self) -> "SparseRows":
        """A copy."""
        return SparseRows(self.starts.clone(), self.columns.clone(), self.values.clone(), self.width)

    def csr(self) -> Tensor:
        """The rows as torch's CSR tensor, for the solver."""
        index = torch.int32 if len(self.values) < 2**31 else torch.int64  # MKL takes int32 without a copy
        return csr_tensor(self.starts.to(index), self.columns.to(index), self.values, (len(self), self.width))

    def dense(self) -> Float[Tensor, "N D"]:
        """The rows as a plain tensor."""
        dense = torch.zeros(len(self), self.width, device=self.device)
        dense[self._row_of_each(), self.columns.long()] = self.values
        return dense

    def product(self, weight: Float[Tensor, "K D"], bias: Float[Tensor, " K"] | None = None) -> Float[Tensor, "N K"]:
        """X W' + b in float64, rounded to float32.

        A row is added up in the order of its columns, whatever the rows beside it.

        Args:
            weight: Weights, one row an output.
            bias: What is added to each output; None: nothing.
        """
        used, places = torch.unique(self.columns.long(), return_inverse=True)
        narrow = weight[:, used].T.double().contiguous()
        products = torch.zeros(len(self), len(weight), dtype=torch.float64, device=self.device)
        rows, values = self._row_of_each(), self.values.double()
        at_once = max(1, _NUMBERS_A_BLOCK // max(len(weight), 1))
        for start in range(0, len(values), at_once):
            some = slice(start, start + at_once)
            products.index_add_(0, rows[some], narrow[places[some]] * values[some, None])
        return (products if bias is None else products + bias.double()).float()

    def shuffled_columns(self, columns: slice, order: Int[Tensor, " N"]) -> "SparseRows":
        """The rows with the numbers of some neighbouring columns taken from other rows.

        Args:
            columns: First column, and the one after the last.
            order: For each row the row that the numbers of these columns come from.
        """
        within = (self.columns >= columns.start) & (self.columns < columns.stop)
        return joined_columns([self._kept(~within), self._kept(within)[order]])

    def _kept(self, kept: Tensor) -> "SparseRows":
        """The rows without some of their numbers."""
        starts = torch.cat([kept.new_zeros(1, dtype=torch.int64), kept.long().cumsum(0)])[self.starts]
        return SparseRows(starts, self.columns[kept], self.values[kept], self.width)

    def _row_of_each(self) -> Int[Tensor, " S"]:
        return torch.arange(len(self), device=self.device).repeat_interleave(self.starts.diff())


def joined_rows(parts: Sequence[Tensor | SparseRows]) -> Tensor | SparseRows:
    """Rows of several parts, one below the other; the parts are of one form.

    Args:
        parts: At least one.
    """
    sparse = [part for part in parts if isinstance(part, SparseRows)]
    return joined_sparse_rows(sparse) if sparse else torch.cat([part for part in parts if isinstance(part, Tensor)])


def joined_sparse_rows(parts: Sequence[SparseRows]) -> SparseRows:
    """Sparse rows of several parts, one below the other.

    Args:
        parts: At least one.
    """
    if len(parts) == 1:
        return parts[0]
    counts = torch.cat([part.starts.diff() for part in parts])
    return SparseRows(
        torch.cat([counts.new_zeros(1), counts.cumsum(0)]),
        torch.cat([part.columns for part in parts]),
        torch.cat([part.values for part in parts]),
        parts[0].width,
    )


def stored_sparse_rows(blocks: Iterable[SparseRows]) -> SparseRows:
    """Sparse rows of several blocks, one below the other, whose columns and values are in mapped files.

    Args:
        blocks: At least one, of the same width. One at a time is in memory.

    Raises:
        DataError: The disk is full.
    """
    counts, widths = [torch.zeros(1, dtype=torch.int64)], [0]

    def columns_and_values() -> Iterator[tuple[Tensor, Tensor]]:
        for block in blocks:
            counts.append(block.starts.diff())
            widths.append(block.width)
            yield block.columns, block.values

    columns, values = mapped_numbers(columns_and_values())
    return SparseRows(torch.cat(counts).cumsum(0), columns, values, widths[-1])


def taken_sparse_rows(rows: SparseRows, index: Int[Tensor, " M"]) -> SparseRows:
    """A copy of some rows; of rows in mapped files, in others.

    Args:
        rows: The rows.
        index: The numbers of those wanted.
    """
    if not is_mapped(rows.values):
        return rows[index]
    return stored_sparse_rows(rows[some] for some in torch.split(index, _ROWS_COPIED_AT_ONCE))


def joined_columns(parts: Sequence[SparseRows]) -> SparseRows:
    """Rows whose numbers are those of several parts with other columns each.

    Args:
        parts: At least one, of as many rows and the same width, with no column in two of them.
    """
    if len(parts) == 1:
        return parts[0]
    rows = torch.cat([part._row_of_each() for part in parts])
    columns = torch.cat([part.columns for part in parts])
    order = torch.from_numpy(np.argsort((rows * parts[0].width + columns).numpy(), kind="stable"))  # few sorted runs
    starts = sum((part.starts for part in parts[1:]), parts[0].starts)
    return SparseRows(starts, columns[order], torch.cat([part.values for part in parts])[order], parts[0].width)
