"""IDX files, the format of MNIST and its variants: read with every byte of the header checked.

The format: two zero bytes, the type, the number of axes, each axis as four big-endian bytes, then the values.
"""

import gzip
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Integer
from torch import Tensor

from polylogit.data.checksum import published_bytes
from polylogit.errors import DataError

__all__ = ["read_idx"]

_TYPES: Mapping[str, tuple[int, str]] = {"uint8": (0x08, ">u1"), "int32": (0x0C, ">i4")}
"""The format's number for each type of values, and numpy's word for it."""


def read_idx(
    path: Path, axes: int, md5: str | None = None, *, values: Literal["uint8", "int32"] = "uint8"
) -> Integer[Tensor, "..."]:
    """Read an IDX file, plain or packed with gzip.

    Args:
        path: The file; one that ends in .gz is unpacked in memory.
        axes: Axes that are expected: 1 for labels, 3 for pictures.
        md5: Checksum of the file on disk; not checked when left out.
        values: The type of values that is expected.

    Returns:
        The values.

    Raises:
        DataError: The file cannot be read, has another checksum, type or number of axes, or is cut short.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "labels-idx1-ubyte"
        >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
        >>> read_idx(path, axes=1)
        tensor([7, 8, 9], dtype=torch.uint8)

    Source: LeCun, Cortes and Burges, The MNIST database of handwritten digits, "File formats".
    """
    content = published_bytes(path, md5)
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as fault:
            raise DataError(f"{path}: not a whole gzip file ({fault}). Put the right file there.") from fault
    number, numpy_type = _TYPES[values]
    if len(content) < 4 or content[:4] != bytes([0, 0, number, axes]):
        raise DataError(
            f"{path}: expected an IDX file of {values} with {axes} axes, which starts with "
            f"00 00 {number:02x} {axes:02x}, got {content[:4].hex(' ') or 'an empty file'}."
        )
    start = 4 + 4 * axes
    sides = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
    expected = start + math.prod(sides) * np.dtype(numpy_type).itemsize
    if len(content) != expected:
        shape = " x ".join(map(str, sides))
        raise DataError(f"{path}: an IDX file of {shape} has {expected} bytes, this one {len(content)}.")
    array = np.frombuffer(content, dtype=numpy_type, offset=start).reshape(sides)
    return torch.from_numpy(array.astype(values))
