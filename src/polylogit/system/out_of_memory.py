"""Errors that mean that memory is short, whichever library raises them, and what a limit on addresses leaves."""

import errno
import os
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

__all__ = ["address_space_left", "is_out_of_memory"]

_SIGNS = (
    "Cannot allocate memory",  # the system's words
    "can't allocate memory",  # torch
    "not enough memory",  # torch
    "bad_alloc",  # C++
    "failed to map segment",  # a library that is loaded
    "os error 12",  # Rust
)


def is_out_of_memory(fault: BaseException) -> bool:
    """Whether an error says that there is not enough memory.

    Example:
        >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"))
        True
    """
    if isinstance(fault, MemoryError) or getattr(fault, "errno", None) == errno.ENOMEM:
        return True
    text = str(fault)
    return any(sign in text for sign in _SIGNS)


def address_space_left() -> int | None:
    """Bytes of addresses that `ulimit -v` leaves to this process; None where there is no such limit."""
    if resource is None:
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        return limit
    return max(0, limit - pages * os.sysconf("SC_PAGE_SIZE"))
