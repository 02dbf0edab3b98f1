"""The bytes of a published file, verified by its MD5 checksum."""

import hashlib
from pathlib import Path

from polylogit.errors import DataError

__all__ = ["published_bytes"]


def published_bytes(path: Path, md5: str | None = None) -> bytes:
    """Read a whole file and compare its checksum.

    Args:
        path: The file.
        md5: Its checksum, in hexadecimal; not checked when left out.

    Returns:
        Its bytes.

    Raises:
        DataError: The file cannot be read, or has another checksum.
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
    return content
