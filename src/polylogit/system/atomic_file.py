"""Atomic writes: a file is replaced as a whole, or keeps its old content."""

import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from polylogit.errors import PolylogitError
from polylogit.system.temporary_folder import is_abandoned, is_locked_and_there, temporary_folder

__all__ = ["atomic_write", "atomic_write_text"]

_SUFFIX = ".part"
_LONGEST_PREFIX = 200


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` if the block succeeds.

    The bytes are flushed to disk before the rename, so that after a crash `path` has either its old content or all of
    the new. If the block raises, also by Ctrl-C or SIGTERM, the temporary file is removed and `path` is unchanged. What
    a killed process left of an earlier write of `path` is removed too. Missing folders are created.

    A symbolic link stays one: the file that it points to is replaced. A pipe or a device stays one, too: it gets the
    bytes once they are complete.

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
    if path.exists() and not path.is_file() and not path.is_dir():
        with temporary_folder() as folder:
            yield folder / path.name
            _copy(folder / path.name, path)
        return
    try:
        target = path.resolve() if path.is_symlink() else path
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(target)
        descriptor, temporary = _part(target)
    except (OSError, RuntimeError) as fault:  # RuntimeError: a loop of symbolic links
        raise _cannot_write(path, fault) from fault
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except OSError as fault:
        raise _cannot_write(path, fault) from fault
    finally:
        os.close(descriptor)
        temporary.unlink(missing_ok=True)
    with suppress(OSError):  # not every system lets a folder be flushed; the file itself is safe by now
        folder_descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder_descriptor)
        finally:
            os.close(folder_descriptor)


def atomic_write_text(path: Path, text: str) -> None:
    r"""Write a text in UTF-8, atomically.

    Args:
        path: The file to write.
        text: Its content; what UTF-8 cannot express, as half of a surrogate pair, is written as `\udc80`.

    Raises:
        PolylogitError: As for `atomic_write`.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def _part(path: Path) -> tuple[int, Path]:
    """A new file beside `path`, locked by this process, and its descriptor."""
    while True:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path), suffix=_SUFFIX)
        if is_locked_and_there(descriptor, Path(name)):
            return descriptor, Path(name)
        os.close(descriptor)  # another process has removed it between these lines


def _prefix(path: Path) -> str:
    """The start of the name of an unfinished file; cut, because a name may have 255 bytes at most."""
    start = os.fsencode(path.name)[:_LONGEST_PREFIX]
    return f".{start.decode(errors='ignore')}."


def _remove_abandoned(path: Path) -> None:
    for part in path.parent.glob(f"{glob.escape(_prefix(path))}*{_SUFFIX}"):
        if is_abandoned(part):
            part.unlink(missing_ok=True)


def _copy(content: Path, path: Path) -> None:
    try:
        with content.open("rb") as source, path.open("wb") as target:
            shutil.copyfileobj(source, target)
    except BrokenPipeError:
        raise  # the reader of the pipe has seen enough
    except OSError as fault:
        raise _cannot_write(path, fault) from fault


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _cannot_write(path: Path, fault: OSError | RuntimeError) -> PolylogitError:
    reason = getattr(fault, "strerror", None) or str(fault)
    return PolylogitError(f"{path}: cannot be written ({reason}). Choose another place with --out or --report.")
