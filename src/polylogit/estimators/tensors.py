"""Arrays as scikit-learn's checks return them, as tensors that share their memory.

Only the crossing from numpy and scipy to torch lives here; what is acceptable input is scikit-learn's own judgement
(`sklearn.utils.validation.validate_data`).
"""

import warnings
from typing import Any

import numpy as np
import torch
from jaxtyping import Num
from scipy import sparse
from torch import Tensor

from polylogit.errors import RecipeError
from polylogit.solver.design_matrix import csr_tensor

__all__ = ["as_features", "chosen_device", "readable"]

_KEPT = {"uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"}


def chosen_device(device: str) -> torch.device:
    """The device that a name asks for; "auto" is a GPU where torch has one with float64, else the CPU.

    Raises:
        RecipeError: There is no such device, or it has no float64.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, dtype=torch.float64, device=device).device
    except (RuntimeError, TypeError, AssertionError) as fault:  # torch has one for each way in which it is not there
        reason = str(fault).splitlines()[0].rstrip(".")
        raise RecipeError(
            f'device="{device}": float64 cannot be computed there ({reason}). Take "cpu", or leave it to "auto".'
        ) from fault


def readable(values: Any) -> Any:  # noqa: ANN401 - whatever scikit-learn takes
    """A torch tensor as one that numpy can read: on the CPU, without a graph, bfloat16 widened; all else as it is."""
    if not isinstance(values, Tensor):
        return values
    values = values.detach().cpu()
    return values.float() if values.dtype is torch.bfloat16 else values


def as_features(X: Any, device: torch.device) -> Num[Tensor, "N D"]:  # noqa: ANN401 - scipy has no types
    """A checked matrix as a tensor: dense rows share memory where dtype and order allow, sparse ones become CSR."""
    if sparse.issparse(X):
        rows = X.tocsr()
        if not rows.has_canonical_format:
            rows = rows.copy()
            rows.sum_duplicates()
        values = rows.data if rows.data.dtype.name in {"float32", "float64"} else rows.data.astype(np.float64)
        starts, columns, values = (torch.from_numpy(np.array(part)) for part in (rows.indptr, rows.indices, values))
        return csr_tensor(starts, columns, values, rows.shape).to(device)
    dense = np.ascontiguousarray(X if X.dtype.name in _KEPT else X.astype(np.float64))
    with warnings.catch_warnings():
        # A read-only array (a memory map) shares its memory all the same: the solver only reads.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(dense).to(device)
