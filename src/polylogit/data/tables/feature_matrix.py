"""The matrix of the encoded features: float32, with aligned rows, and its sparse form for categories of many levels."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.system.csr_tensor import without_csr_warnings

__all__ = ["ALIGNMENT", "aligned_zeros", "sparse_where_mostly_zero"]

ALIGNMENT = 16
"""Numbers of float32 in 64 bytes, a line of the cache and the widest register."""

_FEWEST_COLUMNS = 256
_MOST_FILLED = 0.1
_ROWS_SAMPLED = 1000


def aligned_zeros(rows: int, *shape: int) -> Float[Tensor, "N ..."]:
    """Float32 zeros whose rows, where they are vectors, start a multiple of `ALIGNMENT` numbers apart.

    A matrix product adds up a row in an order that depends on where in memory it starts.

    Example:
        >>> aligned_zeros(2, 3).stride()
        (16, 1)
    """
    if len(shape) != 1:
        return torch.zeros(rows, *shape)
    return torch.zeros(rows, -(-shape[0] // ALIGNMENT) * ALIGNMENT)[:, : shape[0]]


def sparse_where_mostly_zero(features: Float[Tensor, "N D"], rows: Int[Tensor, " A"]) -> Tensor | None:
    """Some rows in CSR form where at most a tenth of many columns is filled; else None.

    A sparse product takes time in proportion to the filled cells: for a category of thousands of levels one in each
    row.

    Args:
        features: Dense features.
        rows: The numbers of the rows wanted.

    Returns:
        The rows, or None where a dense product takes less time.

    Example:
        >>> sparse_where_mostly_zero(torch.eye(300), torch.arange(200)).layout
        torch.sparse_csr
    """
    if features.shape[1] < _FEWEST_COLUMNS:
        return None
    sample = features[rows[:: max(1, len(rows) // _ROWS_SAMPLED)]]
    if int(sample.count_nonzero()) > _MOST_FILLED * sample.numel():
        return None
    with without_csr_warnings():
        return features.index_select(0, rows).to_sparse_csr()
