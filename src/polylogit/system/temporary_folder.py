"""Temporary files that are removed in every case: at the end, after a signal, or by the next run.

A process holds a lock on what it has made. What nobody holds a lock on was left by a process that was killed. See also:
`atomic_file`, whose unfinished files are found in the same way.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where the system refuses to remove a file that is open
    fcntl = None  # type: ignore[assignment]

__all__ = ["is_abandoned", "is_locked_and_there", "temporary_folder"]

_PREFIX = "polylogit-"
_LOCK = "lock"


@contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """A new folder for temporary files, which is removed with all that is in it.

    Folders that a killed process of this user left behind are removed, too.

    Args:
        parent: Where it is made; None: in the system's folder for temporary files.

    Yields:
        The folder. The name `lock` in it is taken.

    Example:
        >>> with temporary_folder() as folder:
        ...     _ = (folder / "plain.csv").write_text("legs")
        >>> folder.exists()
        False
    """
    parent = Path(tempfile.gettempdir()) if parent is None else parent
    _remove_abandoned(parent)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        if is_locked_and_there(descriptor, folder / _LOCK):
            break
        os.close(descriptor)  # another process has removed the folder between these lines
    try:
        yield folder
    finally:
        os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)


def is_locked_and_there(descriptor: int, path: Path) -> bool:
    """Lock an open file for this process, and say whether it still has its name.

    Args:
        descriptor: The file, open. The lock ends when it is closed.
        path: Its name.

    Returns:
        False if another process has removed it meanwhile.
    """
    if fcntl is None:
        return True
    with suppress(OSError):  # a file system without locks
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def is_abandoned(path: Path) -> bool:
    """Whether no process holds a lock on a file of this user, so that nobody will finish it.

    Args:
        path: A file that `is_locked_and_there` was called for when it was made.
    """
    if fcntl is None:
        return True
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def _remove_abandoned(parent: Path) -> None:
    for lock in parent.glob(f"{_PREFIX}*/{_LOCK}"):
        if not lock.parent.is_symlink() and is_abandoned(lock):
            shutil.rmtree(lock.parent, ignore_errors=True)
