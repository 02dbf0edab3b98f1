"""Large arrays in files that are mapped into memory: the system keeps in memory what is in use, and no more.

A file has no name any more once it is mapped: its room on the disk is free again as soon as nothing uses the array, and
after a crash, too.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import torch
from jaxtyping import Num
from torch import Tensor

from polylogit.errors import DataError
from polylogit.system.available_memory import in_words
from polylogit.system.cache_folder import cache_folder
from polylogit.system.temporary_folder import temporary_folder

__all__ = ["check_room", "is_mapped", "mapped_numbers", "mapped_zeros", "new_mapped_file", "store_folder"]


def store_folder() -> Path:
    """Where the files lie: the cache of polylogit, or the system's temporary files where there is no cache."""
    return cache_folder() or Path(tempfile.gettempdir())


@contextmanager
def new_mapped_file() -> Iterator[Path]:
    """A path for a file to be written and mapped within the block; its name is removed at the end.

    Raises:
        DataError: The disk is full, or the folder cannot be written to.
    """
    parent = store_folder()
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(parent) as folder:
            yield folder / "store"
    except OSError as fault:
        if fault.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(parent, "more room") from fault
        raise DataError(
            f"{parent}: a table that is larger than memory is kept in files there, but they cannot be written "
            f"({fault.strerror or fault}). Name another folder in the environment variable POLYLOGIT_CACHE."
        ) from fault


def check_room(size: int) -> None:
    """Raise an error where the disk of `store_folder` has not so many bytes left.

    Raises:
        DataError: It has less.
    """
    folder = store_folder()
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if shutil.disk_usage(there).free < size:
        raise _full(folder, in_words(size))


def _full(folder: Path, needed: str) -> DataError:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return DataError(
        f"{folder}: a table that is larger than memory is kept in files there, which needs {needed}, and "
        f"{in_words(shutil.disk_usage(there).free)} are free on its disk. Make room, or name a folder on another disk "
        "in the environment variable POLYLOGIT_CACHE."
    )


def mapped_zeros(count: int, dtype: torch.dtype = torch.float32) -> Num[Tensor, " N"]:
    """Zeros in a mapped file.

    Args:
        count: How many.
        dtype: Their type.

    Raises:
        DataError: The disk has no room for them.

    Example:
        >>> numbers = mapped_zeros(3)
        >>> numbers.sum().item(), is_mapped(numbers), is_mapped(torch.zeros(3))
        (0.0, True, False)
    """
    if not count:
        return torch.zeros(0, dtype=dtype)
    size = count * dtype.itemsize
    check_room(size)
    with new_mapped_file() as path:
        with path.open("wb") as file:
            # Room is claimed now: where a page of a mapped file finds none later, the system ends the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
        return torch.from_file(str(path), shared=True, size=count, dtype=dtype)


def mapped_numbers(blocks: Iterable[Sequence[Tensor]]) -> tuple[Tensor, ...]:
    """The vectors of all blocks, joined by their place in a block, each in a mapped file of its own.

    Args:
        blocks: At least one; each has as many vectors, of the same types. One block at a time is in memory.

    Raises:
        DataError: The disk is full.

    Example:
        >>> mapped_numbers((torch.tensor([place]), torch.ones(2)) for place in range(3))
        (tensor([0, 1, 2]), tensor([1., 1., 1., 1., 1., 1.]))
    """
    dtypes: list[torch.dtype] = []
    counts: list[int] = []
    paths: list[Path] = []
    files: list[BinaryIO] = []
    with ExitStack() as stack:
        for block in blocks:
            if not files:
                dtypes, counts = [numbers.dtype for numbers in block], [0] * len(block)
                paths = [stack.enter_context(new_mapped_file()) for _ in block]
                files = [stack.enter_context(path.open("wb")) for path in paths]
            for place, numbers in enumerate(block):
                files[place].write(numbers.contiguous().numpy().data)
                counts[place] += len(numbers)
        for file in files:
            file.flush()
        return tuple(
            torch.from_file(str(path), shared=True, size=count, dtype=dtype) if count else torch.zeros(0, dtype=dtype)
            for path, count, dtype in zip(paths, counts, dtypes, strict=True)
        )


def is_mapped(tensor: Tensor) -> bool:
    """Whether the numbers of a tensor are in a mapped file."""
    return tensor.device.type == "cpu" and tensor.untyped_storage().filename is not None
