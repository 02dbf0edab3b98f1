"""CIFAR's batches: pickled dictionaries of bytes, read without trusting the pickle.

The format: rows of 3072 bytes, the red, green and blue planes of 32 x 32, and a list of labels. A pickle can name any
function to be called; this reader accepts numpy arrays and nothing else.
"""

import io
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from polylogit.data.checksum import published_bytes
from polylogit.errors import DataError

__all__ = ["read_cifar_batch", "read_cifar_names"]

_SIDE = 32
_ROW = 3 * _SIDE * _SIDE

_new_array: Any = np.empty(0).__reduce__()[0]  # numpy's own, whatever its module is called by now
_LET_THROUGH: Mapping[tuple[str, str], Callable[..., object]] = {
    ("numpy.core.multiarray", "_reconstruct"): _new_array,
    ("numpy._core.multiarray", "_reconstruct"): _new_array,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): lambda text, encoding: str(text).encode(str(encoding)),
}


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that makes plain data and numpy arrays, and calls nothing else."""

    def find_class(self, module: str, name: str) -> Callable[..., object]:
        try:
            return _LET_THROUGH[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no data set needs") from None


def read_cifar_batch(
    path: Path, labels: str, md5: str | None = None
) -> tuple[UInt8[Tensor, "N 3 32 32"], Int[Tensor, " N"]]:
    """Read a batch of pictures with their labels.

    Args:
        path: The file.
        labels: The name of the list of labels in it: "labels", or "fine_labels" of CIFAR-100.
        md5: Checksum of the file; not checked when left out.

    Returns:
        Pixels and class indices.

    Raises:
        DataError: The file cannot be read, has another checksum, or is no such batch.

    Source: Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images; "Python version" of the data set.
    """
    content = _content(path, md5)
    data, found = content.get("data"), content.get(labels)
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != _ROW:
        came = f"{data.dtype} {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise DataError(f'{path}: expected "data" of bytes, N x {_ROW}, got {came}. Put the right file there.')
    if not isinstance(found, list) or not all(isinstance(label, int) for label in found) or len(found) != len(data):
        count = len(found) if isinstance(found, list) else "none"
        raise DataError(f'{path}: expected {len(data)} whole numbers in "{labels}", got {count}.')
    pixels = torch.from_numpy(np.ascontiguousarray(data).reshape(-1, 3, _SIDE, _SIDE).copy())
    return pixels, torch.tensor(found, dtype=torch.int64)


def read_cifar_names(path: Path, key: str, md5: str | None = None) -> tuple[str, ...]:
    """Read the names of the classes.

    Args:
        path: The file, `batches.meta` or `meta`.
        key: The name of the list in it.
        md5: Checksum of the file; not checked when left out.

    Returns:
        The names, in the order of their indices.

    Raises:
        DataError: The file cannot be read, has another checksum, or has no such list.
    """
    names = _content(path, md5).get(key)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise DataError(f'{path}: expected the names of the classes in "{key}", got {type(names).__name__}.')
    return tuple(names)


def _content(path: Path, md5: str | None) -> Mapping[str, object]:
    packed = published_bytes(path, md5)
    try:
        content = _ArraysOnly(io.BytesIO(packed), encoding="latin1").load()
    except Exception as fault:  # a damaged pickle raises nearly anything
        raise DataError(f"{path}: not a batch of CIFAR ({fault}). Put the right file there.") from fault
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a dictionary, got {type(content).__name__}. Put the right file there.")
    return content
