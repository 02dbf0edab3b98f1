"""Compressed files, read like plain ones: gzip, bzip2, xz and Zstandard, by their endings."""

import bz2
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from polylogit.data.tables.limits import Unpacked
from polylogit.errors import DataError
from polylogit.system.regular_file import check_regular

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["ARROW_ENDINGS", "COMPRESSIONS", "PARQUET_ENDINGS", "is_compressed", "opened", "table_ending"]

_OPEN: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": zstd.open,
}

_AT_ONCE = 2**20

COMPRESSIONS = tuple(_OPEN)
"""The endings of compressed files that can be read."""

PARQUET_ENDINGS = (".parquet", ".pq")
ARROW_ENDINGS = (".arrow", ".feather")
"""Formats that bring types and a compression of their own."""


def is_compressed(path: Path) -> bool:
    """Whether the last ending names a compression."""
    return path.suffix.lower() in COMPRESSIONS


def table_ending(path: Path) -> str:
    """The ending that tells the format, in lower case, below that of a compression.

    Example:
        >>> table_ending(Path("a.CSV.gz")), table_ending(Path("b.parquet"))
        ('.csv', '.parquet')
    """
    return Path(path.stem).suffix.lower() if is_compressed(path) else path.suffix.lower()


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The decompressed bytes of a file, as a stream.

    Args:
        path: Any file; what its last ending names no compression of is read as it is.

    Yields:
        A binary file object, open for reading.

    Raises:
        DataError: The compressed stream is cut short or damaged, or expands beyond the limits (see `limits`).
        OSError: The file cannot be opened.
    """
    try:
        check_regular(path)
        if not is_compressed(path):
            with path.open("rb") as source:
                yield source
            return
        with _OPEN[path.suffix.lower()](path, "rb") as unpacked:
            yield io.BufferedReader(Unpacked(unpacked, path, path.stat().st_size), _AT_ONCE)
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, zstd.ZstdError) as fault:
        raise DataError(f"{path}: the compressed file is cut short or damaged ({fault}).") from fault
    except OSError as fault:
        if fault.errno is not None:  # the system's own; bzip2 tells of damage by one without a number
            raise
        raise DataError(f"{path}: the compressed file is damaged ({fault}).") from fault
