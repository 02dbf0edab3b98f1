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

from polylogit.fitting.convex_design import csr_tensor

__all__ = ["as_features", "chosen_device"]

_KEPT = {"uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"}


def chosen_device(device: str) -> torch.device:
    """The device that a name asks for; "auto" is a GPU where torch has one with float64, else the CPU."""
    if device != "auto":
        return torch.device(device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


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
