"""The memory that this process can still allocate, also inside a container."""

import os
from collections.abc import Iterator
from pathlib import Path

import torch

__all__ = ["available_memory", "in_words"]

_UNLIMITED = 2**60


def available_memory(
    device: torch.device, *, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Bytes that this process can still allocate on a device; None where the system does not report them.

    On Linux's CPU, the minimum of what the kernel reports as available and of what the limit of each control group of
    the process leaves, as in a container. Memory that only caches files counts as free.

    Args:
        device: The CPU or a GPU.
        proc: The kernel's file system of processes.
        cgroups: The kernel's file system of control groups.

    Returns:
        The bytes.

    Example:
        >>> available_memory(torch.device("cpu")) is None or available_memory(torch.device("cpu")) > 0
        True

    Source: Linux kernel documentation, proc(5) "MemAvailable" and "Control Group v2", memory.max and memory.current.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type != "cpu":
        return None
    known = [*_of_the_system(proc), *_of_control_groups(proc, cgroups)]
    return max(min(known), 0) if known else None


def _of_the_system(proc: Path) -> Iterator[int]:
    for line in _read(proc / "meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            yield int(value.split()[0]) * 1024
            return
    if "SC_PHYS_PAGES" in os.sysconf_names and not proc.exists():  # not Linux: all that there is, at most
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _of_control_groups(proc: Path, cgroups: Path) -> Iterator[int]:
    """What the limits of the process's control groups leave, in version 2 and in version 1 of the interface."""
    for line in _read(proc / "self" / "cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            root, limit, usage = cgroups, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            root, limit, usage = cgroups / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        inner = root / group.strip("/")
        # In a container the path may be that of the host; the container's own limit is then at the root.
        for folder in dict.fromkeys([inner, *inner.parents, root]):
            most, taken = _read(folder / limit).strip(), _read(folder / usage).strip()
            if most.isdigit() and taken.isdigit() and int(most) < _UNLIMITED:
                yield int(most) - int(taken) + _cached(folder)
            if folder == root:
                break


def _cached(folder: Path) -> int:
    """Bytes of a control group that only cache files that nobody reads now; the kernel gives them up on demand."""
    for line in _read(folder / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            return int(value)
    return 0


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def in_words(size: int) -> str:
    """Bytes in the unit that suits them.

    Example:
        >>> in_words(999), in_words(5 * 2**20), in_words(3 * 2**30)
        ('999 bytes', '5.0 MiB', '3.0 GiB')
    """
    for power, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 2**power:
            return f"{size / 2**power:,.1f} {unit}"
    return f"{size} bytes"
