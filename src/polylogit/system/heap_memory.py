"""Freed memory that the C library keeps for the next request, for the time of a fit.

glibc takes every block of more than 32 MiB from the system and gives it back when it is freed. A training step that
makes such tensors, as the maps of a convolution are, then has all their pages cleared by the system again in every
step: a quarter of the time of a step and more. Here freed blocks stay with the process while a fit runs.

`torch` has no cache of its own for memory on a CPU, and a block that oneDNN needs for a moment comes from the C library
too, so that reusing tensors does not suffice.
"""

import ctypes
import platform
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["LARGEST_BLOCK_OF_THE_HEAP", "give_back_freed_memory", "keeping_freed_memory"]

LARGEST_BLOCK_OF_THE_HEAP = 32 << 20
"""Bytes from which on glibc takes every block from the system."""

# The parameters of glibc's mallopt, from its malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4

_KEEPING = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1}
_USUAL = {_MMAP_MAX: 65_536, _MMAP_THRESHOLD: LARGEST_BLOCK_OF_THE_HEAP, _TRIM_THRESHOLD: 2 * LARGEST_BLOCK_OF_THE_HEAP}
"""What glibc's own adjustment arrives at once a block of 32 MiB has been freed."""

_lock = threading.Lock()
_keeping = 0


def _glibc() -> ctypes.CDLL | None:
    if platform.libc_ver()[0] != "glibc":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None


_LIBRARY = _glibc()


@contextmanager
def keeping_freed_memory(*, wanted: bool = True) -> Iterator[None]:
    """Keep memory that is freed within the block for what is made there next; give it back to the system afterwards.

    Without glibc nothing changes. Several blocks may be open at a time, in any number of threads. Afterwards glibc's
    thresholds are those that it adjusts itself to in a process that has freed a block of 32 MiB.

    Args:
        wanted: False: change nothing.

    Example:
        >>> import torch
        >>> with keeping_freed_memory():
        ...     maps = torch.zeros(10_000_000)
    """
    if _LIBRARY is None or not wanted:
        yield
        return
    _count(1, _KEEPING, _LIBRARY.mallopt)
    try:
        yield
    finally:
        _count(-1, _USUAL, _LIBRARY.mallopt)
        give_back_freed_memory()


def give_back_freed_memory() -> None:
    """Give all pages back to the system that hold nothing; without glibc do nothing.

    After a block of `keeping_freed_memory`, what is freed in the midst of the heap stays with the process until then.
    """
    if _LIBRARY is not None:
        _LIBRARY.malloc_trim(ctypes.c_size_t(0))


def _count(change: int, parameters: dict[int, int], mallopt: Callable[[int, int], int]) -> None:
    """Note that a block opens or closes, and set the parameters where it is the first or the last one."""
    global _keeping  # noqa: PLW0603 - the C library's state is the process's
    with _lock:
        _keeping += change
        if _keeping == max(change, 0):
            for parameter, value in parameters.items():
                mallopt(parameter, value)
