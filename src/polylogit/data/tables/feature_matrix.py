"""The matrix of the encoded features: float32, with aligned rows, and its sparse form for categories of many levels."""

from typing import overload

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from polylogit.system.csr_tensor import without_csr_warnings
from polylogit.system.mapped_file import is_mapped, mapped_zeros
from polylogit.system.sparse_rows import SparseRows, stored_sparse_rows, taken_sparse_rows

__all__ = ["ALIGNMENT", "aligned_zeros", "sparse_where_mostly_zero", "taken_rows"]

ALIGNMENT = 16
"""Numbers of float32 in 64 bytes, a line of the cache and the widest register."""

_FEWEST_COLUMNS = 256
_MOST_FILLED = 0.1
_ROWS_SAMPLED = 1000
_ROWS_COPIED_AT_ONCE = 8192


def aligned_zeros(rows: int, *shape: int, mapped: bool = False) -> Float[Tensor, "N ..."]:
    """Float32 zeros whose rows, where they are vectors, start a multiple of `ALIGNMENT` numbers apart.

    A matrix product adds up a row in an order that depends on where in memory it starts.

    Args:
        rows: N.
        shape: Of a row.
        mapped: Whether vectors are kept in a mapped file and not in memory.

    Example:
        >>> aligned_zeros(2, 3).stride()
        (16, 1)
    """
    if len(shape) != 1:
        return torch.zeros(rows, *shape)
    stride = -(-shape[0] // ALIGNMENT) * ALIGNMENT
    zeros = mapped_zeros(rows * stride).view(rows, stride) if mapped else torch.zeros(rows, stride)
    return zeros[:, : shape[0]]


@overload
def taken_rows(features: SparseRows, rows: Int[Tensor, " A"]) -> SparseRows: ...


@overload
def taken_rows(features: Num[Tensor, "N ..."], rows: Int[Tensor, " A"]) -> Num[Tensor, "A ..."]: ...


def taken_rows(
    features: Num[Tensor, "N ..."] | SparseRows, rows: Int[Tensor, " A"]
) -> Num[Tensor, "A ..."] | SparseRows:
    """A copy of some rows; of features in mapped files, in others.

    Args:
        features: Rows.
        rows: The numbers of those wanted.

    Example:
        >>> taken_rows(torch.eye(3), torch.tensor([2, 0])).tolist()
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    if isinstance(features, SparseRows):
        return taken_sparse_rows(features, rows)
    if not is_mapped(features) or features.ndim != 2 or features.dtype != torch.float32:
        # Copying whole rows is many times faster than indexing, which looks up every value's place.
        return features.index_select(0, rows)
    taken = aligned_zeros(len(rows), features.shape[1], mapped=True)
    for start in range(0, len(rows), _ROWS_COPIED_AT_ONCE):
        some = rows[start : start + _ROWS_COPIED_AT_ONCE]
        taken[start : start + len(some)] = features.index_select(0, some)
    return taken


def sparse_where_mostly_zero(features: Float[Tensor, "N D"], rows: Int[Tensor, " A"]) -> Tensor | None:
    """Some rows in CSR form where at most a tenth of many columns is filled; else None.

    A sparse product takes time in proportion to the filled cells: for a category of thousands of levels one in each
    row.

    Args:
        features: Dense features.
        rows: The numbers of the rows wanted.

    Returns:
        The rows, or None where a dense product takes less time. Those of features in a mapped file are in others.

    Raises:
        DataError: The disk has no room for them.

    Example:
        >>> sparse_where_mostly_zero(torch.eye(300), torch.arange(200)).layout
        torch.sparse_csr
    """
    if features.shape[1] < _FEWEST_COLUMNS:
        return None
    sample = features[rows[:: max(1, len(rows) // _ROWS_SAMPLED)]]
    if int(sample.count_nonzero()) > _MOST_FILLED * sample.numel():
        return None
    if is_mapped(features):
        blocks = torch.split(rows, _ROWS_COPIED_AT_ONCE)
        return stored_sparse_rows(_without_zeros(features.index_select(0, some)) for some in blocks).csr()
    with without_csr_warnings():
        return features.index_select(0, rows).to_sparse_csr()


def _without_zeros(dense: Float[Tensor, "N D"]) -> SparseRows:
    with without_csr_warnings():
        csr = dense.to_sparse_csr()
    return SparseRows(csr.crow_indices(), csr.col_indices(), csr.values(), dense.shape[1])
