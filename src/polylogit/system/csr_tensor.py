"""Sparse tensors in CSR form, made without torch's notes about them."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

__all__ = ["csr_tensor", "without_csr_warnings"]


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
