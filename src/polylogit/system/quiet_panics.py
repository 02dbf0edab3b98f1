"""What polars prints on standard error when it panics on a damaged file: held back, because the error says it.

Rust's panic handler writes to the file descriptor 2 of the process, past Python. What is written there before a
panic, and without one, is passed on.
"""

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

__all__ = ["quiet_panics"]

_STANDARD_ERROR = 2
_PANIC = re.compile(rb"^\n?thread '[^\n]*panicked at", re.MULTILINE)


class _Held:
    """Standard error, held back while at least one thread asks for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.real = -1
        self.file: BinaryIO | None = None


_held = _Held()


@contextmanager
def quiet_panics() -> Iterator[None]:
    """Hold back the messages of Rust's panics, in the whole process, for the length of a short call."""
    with _held.lock:
        if not _held.users:
            _begin()
        _held.users += 1
    try:
        yield
    finally:
        with _held.lock:
            _held.users -= 1
            if not _held.users:
                _end()


def _begin() -> None:
    try:
        _held.real = os.dup(_STANDARD_ERROR)
    except OSError:  # there is no standard error
        _held.real = -1
        return
    _held.file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by _end
    os.dup2(_held.file.fileno(), _STANDARD_ERROR)


def _end() -> None:
    if _held.file is None:
        return
    os.dup2(_held.real, _STANDARD_ERROR)
    os.close(_held.real)
    _held.file.seek(0)
    others = _PANIC.split(_held.file.read(), maxsplit=1)[0]
    _held.file.close()
    _held.file = None
    if others:
        os.write(_STANDARD_ERROR, others)
