"""Atomic writes: a file is replaced as a whole, or keeps its old content."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from polylogit.errors import PolylogitError

__all__ = ["atomic_write"]


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` if the block succeeds.

    The bytes are flushed to disk before the rename, so that after a crash `path` has either its old content or all of
    the new. If the block raises, also by Ctrl-C, the temporary file is removed and `path` is unchanged. Missing folders
    are created.

    Args:
        path: The file to write.

    Yields:
        The path to write to.

    Raises:
        PolylogitError: The folder cannot be created or written to.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with atomic_write(folder / "new" / "a.txt") as temporary:
        ...     _ = temporary.write_text("whole")
        >>> (folder / "new" / "a.txt").read_text()
        'whole'
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    except OSError as fault:
        raise _cannot_write(path, fault) from fault
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as fault:
        raise _cannot_write(path, fault) from fault
    finally:
        temporary.unlink(missing_ok=True)
    with suppress(OSError):  # not every system lets a folder be flushed; the file itself is safe by now
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _cannot_write(path: Path, fault: OSError) -> PolylogitError:
    reason = fault.strerror or str(fault)
    return PolylogitError(f"{path}: cannot be written ({reason}). Choose another place with --out or --report.")
