"""Sparse rows for networks: made dense a batch at a time."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["SparseRows"]


class SparseRows:
    """Rows of a sparse matrix, looked up by their index.

    The inputs of a fit or a prediction are `indices`, and `prepare` turns a batch of them into features, so that only
    the rows of one batch are dense at a time.

    Args:
        matrix: A scipy CSR matrix of float32.

    Example:
        >>> from scipy import sparse
        >>> rows = SparseRows(sparse.csr_array(np.eye(3, dtype=np.float32)))
        >>> rows.prepare(rows.indices[1:])
        tensor([[0., 1., 0.],
                [0., 0., 1.]])
    """

    def __init__(self, matrix: Any) -> None:  # noqa: ANN401 - scipy has no types
        self._matrix = matrix

    @property
    def indices(self) -> Int[Tensor, "N 1"]:
        """The index of every row."""
        return torch.arange(self._matrix.shape[0])[:, None]

    def prepare(self, indices: Int[Tensor, "M 1"]) -> Float[Tensor, "M D"]:
        """The rows of these indices, on the device of the indices."""
        rows = self._matrix[indices[:, 0].cpu().numpy()].toarray()
        return torch.from_numpy(np.ascontiguousarray(rows)).to(indices.device)
