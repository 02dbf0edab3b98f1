"""A control group that limits the memory of one command, page cache included, where this machine lets one be made."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MemoryGroup", "memory_group"]

ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class MemoryGroup:
    """A control group without a process.

    Args:
        folder: Its folder.
        peak_file: Where the kernel keeps the most memory that it has taken.
    """

    folder: Path
    peak_file: str

    def enter(self) -> None:
        """Move this process into the group; for `preexec_fn` of a command."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")

    @property
    def peak(self) -> int:
        """The most bytes that its processes and the pages of files that they read have taken together."""
        return int((self.folder / self.peak_file).read_text(encoding="ascii"))


@contextmanager
def memory_group(limit: int | None = None) -> Iterator[MemoryGroup]:
    """A new group below that of this process (version 1) or below the root (version 2), removed at the end.

    Args:
        limit: The most bytes that it may take: anonymous memory, page cache and the kernel's own; None: no limit.

    Raises:
        OSError: No group can be made here: other rights, no controller of memory, or a container without one.

    Source: Linux kernel documentation, "Memory Resource Controller" and "Control Group v2".
    """
    lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    own = next((line.split(":", 2)[2] for line in lines if "memory" in line.split(":", 2)[1].split(",")), None)
    if own is None:
        parent, limit_file, peak_file = ROOT, "memory.max", "memory.peak"
        (ROOT / "cgroup.subtree_control").write_text("+memory", encoding="ascii")
    else:
        parent, limit_file, peak_file = (
            ROOT / "memory" / own.strip("/"),
            "memory.limit_in_bytes",
            "memory.max_usage_in_bytes",
        )
    folder = parent / f"polylogit-{os.getpid()}"
    folder.mkdir()
    try:
        if limit is not None:
            (folder / limit_file).write_text(str(limit), encoding="ascii")
        yield MemoryGroup(folder, peak_file)
    finally:
        folder.rmdir()
