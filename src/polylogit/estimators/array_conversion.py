"""Arrays of any kind as numpy arrays or tensors that share their memory, and answers in the caller's kind of array.

See also `sklearn.utils.validation.validate_data`, which decides what is acceptable input.
"""

import warnings
from typing import Any

import numpy as np
import torch
from jaxtyping import Num
from numpy.typing import NDArray
from scipy import sparse
from sklearn import get_config
from torch import Tensor

from polylogit.system.csr_tensor import csr_tensor

__all__ = ["as_features", "as_numpy", "in_namespace_of", "native_byte_order"]

_KEPT = {"uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"}


def as_numpy(values: Any) -> Any:  # noqa: ANN401 - whatever scikit-learn takes
    """Arrays of other libraries as numpy arrays; everything else as it is.

    Args:
        values: A tensor on any device, with or without a graph, dense or CSR; an array of any library that follows the
            array API standard; or anything else.

    Returns:
        A numpy array that shares the memory where it is on the CPU; a CSR tensor becomes a scipy CSR array, and
        bfloat16, which numpy lacks, becomes float32. Lists, frames, numpy arrays and scipy matrices are handed back.

    Example:
        >>> as_numpy(torch.tensor([1.0, 2.0], requires_grad=True))
        array([1., 2.], dtype=float32)
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = values.float() if values.dtype is torch.bfloat16 else values
        if values.layout == torch.sparse_csr:
            parts = (values.values().numpy(), values.col_indices().numpy(), values.crow_indices().numpy())
            return sparse.csr_array(parts, shape=tuple(values.shape))
        return (values.to_dense() if values.layout != torch.strided else values).numpy()
    if isinstance(values, np.ndarray | np.generic) or not hasattr(values, "__array_namespace__"):
        return values
    try:
        return np.from_dlpack(values, device="cpu")
    except (BufferError, RuntimeError, TypeError, ValueError):  # dtypes and devices that the exchange does not know
        return np.asarray(values)


def in_namespace_of(caller: Any, answer: NDArray[Any]) -> Any:  # noqa: ANN401 - the caller's kind of array
    """An answer as the caller's kind of array, on its device, if scikit-learn is set to `array_api_dispatch`.

    Args:
        caller: The rows as they came.
        answer: Numbers or labels.

    Returns:
        An array of the caller's library; without `array_api_dispatch`, and for labels of text, which other libraries
        lack, the numpy array itself.

    Example:
        >>> in_namespace_of(torch.zeros(3), np.array([1.0]))
        array([1.])
    """
    if not get_config()["array_api_dispatch"] or isinstance(caller, np.ndarray) or answer.dtype.kind not in "biuf":
        return answer
    if isinstance(caller, Tensor):
        values = torch.from_numpy(np.ascontiguousarray(answer))
        lacks_float64 = caller.device.type == "mps" and values.dtype is torch.float64
        return (values.float() if lacks_float64 else values).to(caller.device)
    if hasattr(caller, "__array_namespace__"):
        return caller.__array_namespace__().asarray(answer, device=caller.device)
    return answer


def native_byte_order(X: Any) -> Any:  # noqa: ANN401 - scipy has no types
    """The same matrix with numbers in this machine's byte order, which is the only one that torch reads."""
    values = X.data if sparse.issparse(X) else X
    return X if values.dtype.isnative else X.astype(values.dtype.newbyteorder("="))


def as_features(X: Any, device: torch.device) -> Num[Tensor, "N D"]:  # noqa: ANN401 - scipy has no types
    """A checked matrix as a tensor: dense rows share memory where dtype and order allow, sparse ones become CSR."""
    X = native_byte_order(X)
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
