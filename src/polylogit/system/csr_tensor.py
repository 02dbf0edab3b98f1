"""Sparse tensors in CSR form, made without torch's notes about them."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from polylogit.system.mapped_file import is_mapped, mapped_numbers, mapped_zeros

__all__ = ["csr_tensor", "csr_values_as", "transposed_csr", "without_csr_warnings"]

_NUMBERS_A_BLOCK = 2**22


@contextmanager
def without_csr_warnings() -> Iterator[None]:
    """Without torch's notes, once a process, that the CSR layout is "beta" and that its indices go unchecked.

    The products that the solver needs are long-standing, and the indices come from a checked matrix.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
        warnings.filterwarnings("ignore", message="Sparse invariant checks are implicitly disabled")
        yield


def csr_tensor(starts: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """A sparse CSR tensor that shares the memory of its parts.

    Args:
        starts: Where each row starts among the values, and where the last ends.
        columns: Column of each value, rising within a row.
        values: The stored values.
        shape: Rows and columns.

    Returns:
        The matrix.
    """
    with without_csr_warnings():
        return torch.sparse_csr_tensor(starts, columns, values, shape, check_invariants=False)


def csr_values_as(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """A CSR matrix with its values in a type; without a copy where they have it, and in a mapped file if they are.

    Args:
        matrix: The matrix.
        dtype: The type.

    Raises:
        DataError: The disk has no room for the values.
    """
    values = matrix.values()
    if not is_mapped(values) or values.dtype == dtype:
        return matrix.to(dtype)
    (converted,) = mapped_numbers((some.to(dtype),) for some in torch.split(values, _NUMBERS_A_BLOCK))
    return csr_tensor(matrix.crow_indices(), matrix.col_indices(), converted, (matrix.shape[0], matrix.shape[1]))


def transposed_csr(matrix: Tensor) -> Tensor:
    """The transpose of a CSR matrix, in CSR form too; of a matrix in mapped files, in others.

    Args:
        matrix: The matrix.

    Raises:
        DataError: The disk has no room for the transpose.

    Example:
        >>> transposed_csr(csr_tensor(torch.tensor([0, 1, 2]), torch.tensor([2, 0]), torch.ones(2), (2, 3))).to_dense()
        tensor([[0., 1.],
                [0., 0.],
                [1., 0.]])
    """
    rows, width = matrix.shape
    if not is_mapped(matrix.values()):
        with without_csr_warnings():
            by_column = matrix.to_sparse_csc()
        return csr_tensor(by_column.ccol_indices(), by_column.row_indices(), by_column.values(), (width, rows))
    starts, columns, values = matrix.crow_indices(), matrix.col_indices(), matrix.values()
    counts = torch.zeros(width, dtype=torch.int64)
    for some in torch.split(columns, _NUMBERS_A_BLOCK):
        counts += torch.bincount(some, minlength=width)
    ends = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    free = ends[:-1].clone()
    row_of_each, moved = mapped_zeros(len(values), columns.dtype), mapped_zeros(len(values), values.dtype)
    for first in range(0, len(values), _NUMBERS_A_BLOCK):
        last = min(first + _NUMBERS_A_BLOCK, len(values))
        sorted_columns, order = torch.sort(columns[first:last], stable=True)
        counts = torch.bincount(sorted_columns, minlength=width)
        places = torch.arange(last - first) + (free - (counts.cumsum(0) - counts))[sorted_columns]
        row_of_each[places] = (torch.searchsorted(starts, order + first, right=True) - 1).to(columns.dtype)
        moved[places] = values[first:last][order]
        free += counts
    return csr_tensor(ends.to(starts.dtype), row_of_each, moved, (width, rows))
