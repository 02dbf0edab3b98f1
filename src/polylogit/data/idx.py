"""IDX files in: the format of MNIST and its kin, checked byte by byte.

Owns the format: two zero bytes, the type, the number of axes, each axis as four big-endian bytes, then the values.
Which files make a data set is the business of `picture_sources`.
"""

import gzip
import hashlib
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from polylogit.errors import DataError

__all__ = ["read_idx"]

_UNSIGNED_BYTE = 0x08


def read_idx(path: Path, axes: int, md5: str | None = None) -> UInt8[Tensor, "..."]:
    """Read an IDX file of bytes, plain or packed with gzip.

    Args:
        path: The file; one that ends in .gz is unpacked in memory.
        axes: Axes that are expected: 1 for labels, 3 for pictures.
        md5: Checksum of the file as it lies there; not checked when left out.

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
    try:
        content = path.read_bytes()
    except OSError as fault:
        raise DataError(f"{path}: cannot be read ({fault.strerror}).") from fault
    if md5 is not None:
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != md5:
            raise DataError(
                f"{path}: the MD5 checksum is {found}, expected {md5}: the file is cut short or is another one. "
                "Remove it, so that it is fetched again, or put the right file there."
            )
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as fault:
            raise DataError(f"{path}: not a whole gzip file ({fault}). Put the right file there.") from fault
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTE or content[3] != axes:
        raise DataError(
            f"{path}: expected an IDX file of bytes with {axes} axes, which starts with "
            f"00 00 08 {axes:02x}, got {content[:4].hex(' ') or 'an empty file'}."
        )
    start = 4 + 4 * axes
    sides = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
    expected = start + math.prod(sides)
    if len(content) != expected:
        shape = " x ".join(map(str, sides))
        raise DataError(f"{path}: an IDX file of {shape} has {expected} bytes, this one {len(content)}.")
    return torch.from_numpy(np.frombuffer(content, dtype=np.uint8, offset=start).reshape(sides).copy())
