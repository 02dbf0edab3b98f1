"""Input must be a file: a pipe would be waited for without end, and a device may never end."""

import errno
import stat
from pathlib import Path

__all__ = ["check_regular"]


def check_regular(path: Path) -> None:
    """Raise an error if a path names a pipe, a device or a socket.

    Args:
        path: The path; that nothing is there, or a folder, is for the caller to find.

    Raises:
        OSError: It does, or the system does not take the path.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "a pipe or a device, where a file is expected", str(path))
