"""A lock that one process at a time can hold on what it writes, and that ends with the process however it ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from polylogit.errors import PolylogitError

try:
    import fcntl
except ImportError:  # Windows, where two runs into one place are not noticed
    fcntl = None  # type: ignore[assignment]

__all__ = ["exclusive_lock"]


@contextmanager
def exclusive_lock(written: Path) -> Iterator[None]:
    """Hold a lock file beside a file while it is written; the lock file is removed at the end.

    Args:
        written: The file that nobody else may write meanwhile; its folder is made where it is missing.

    Raises:
        PolylogitError: Another process holds the lock, or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with exclusive_lock(folder / "model.safetensors"):
        ...     [path.name for path in folder.iterdir()]
        ['.model.safetensors.lock']
        >>> list(folder.iterdir())
        []
    """
    if fcntl is None:
        yield
        return
    lock = written.with_name(f".{written.name}.lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _locked(lock)
    except BlockingIOError:
        raise PolylogitError(
            f"{written}: another run is writing this file now. Wait until it ends, or name another file with --out."
        ) from None
    except OSError as fault:
        raise PolylogitError(
            f"{lock.parent}: cannot be written ({fault.strerror}). Name another place with --out."
        ) from fault
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()
        os.close(descriptor)


def _locked(lock: Path) -> int:
    """The descriptor of the lock file, locked and still under its name."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise
        except OSError:  # a file system without locks
            return descriptor
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), lock.stat()):
                return descriptor
        os.close(descriptor)  # the process before has removed it between these lines
