"""Pictures that stay in their files until a batch needs them, for folders that are too big for memory.

A `torch.utils.data.DataLoader` reads batches in processes of its own, some batches ahead of the current one. Nothing is
drawn at random here, so a fit gives exactly the result that it gives with all pictures in memory.

See also: `polylogit.data.pictures.files`, which reads a picture.
"""

import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import overload

import torch
from jaxtyping import Int, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from polylogit.data.pictures.encoder import Background
from polylogit.data.pictures.files import raise_faults, read_pictures
from polylogit.errors import DataError
from polylogit.system.sparse_rows import SparseRows
from polylogit.system.usable_cores import usable_cores

__all__ = ["StoredPictures", "blocks_of_rows"]

_PICTURES_PER_WORKER = 256
"""A process of its own is worth its start for so many pictures."""

_PICTURES_CHECKED_AT_ONCE = 64
_SPARSE_ROWS_AT_ONCE = 8192


class StoredPictures:
    """Pictures in files, with the shape of the tensor that they would make.

    Args:
        files: Picture files.
        form: Channels (1 or 3), height and width that each is brought to.
        workers: Processes that read; None: one per core, and none where the pictures are few.
        background: The colour behind transparent pixels; None: the transparency is ignored.

    Example:
        >>> pictures = StoredPictures([Path("a.png"), Path("b.png"), Path("c.png")], (1, 28, 28))
        >>> pictures.shape, len(pictures[torch.tensor([2, 0])])
        ((3, 1, 28, 28), 2)
    """

    ndim = 4
    dtype = torch.uint8

    def __init__(
        self,
        files: Sequence[Path],
        form: tuple[int, int, int],
        *,
        workers: int | None = None,
        background: Background | None = "white",
    ) -> None:
        self._paths = tuple(files)
        self.form = form
        self.background = background
        self.workers = workers

    @property
    def files(self) -> tuple[str, ...]:
        """The file of each picture."""
        return tuple(str(path) for path in self._paths)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        return len(self._paths), *self.form

    def __len__(self) -> int:
        """N."""
        return len(self._paths)

    @overload
    def __getitem__(self, rows: int) -> UInt8[Tensor, "C H W"]: ...

    @overload
    def __getitem__(self, rows: Int[Tensor, " M"] | slice) -> "StoredPictures": ...

    def __getitem__(self, rows: int | Int[Tensor, " M"] | slice) -> "UInt8[Tensor, 'C H W'] | StoredPictures":
        """Some of the pictures, of which none is read; or the pixels of one."""
        if isinstance(rows, int):
            return read_pictures([self._paths[rows]], self.form, self.background).pixels[0]
        chosen = self._paths[rows] if isinstance(rows, slice) else [self._paths[row] for row in rows.tolist()]
        return StoredPictures(chosen, self.form, workers=self.workers, background=self.background)

    def read(self) -> UInt8[Tensor, "N C H W"]:
        """All of them at once, one after the other: batches are read side by side by processes of their own.

        Raises:
            DataError: A file is no picture, or is damaged; it is named.
        """
        return read_pictures(self._paths, self.form, self.background, threads=1).pixels

    def batches(self, rows: Sequence[Int[Tensor, " _"] | slice]) -> Iterator[UInt8[Tensor, "_ C H W"]]:
        """The pixels of one choice of rows after another.

        Args:
            rows: The rows of each batch.

        Yields:
            The pixels of each batch, in the order of its rows.

        Raises:
            DataError: Files are no pictures, or damaged; all of them are counted, the first ten are named.
        """
        loader = DataLoader(
            _Batches(self),
            sampler=[rows_of if isinstance(rows_of, slice) else rows_of.tolist() for rows_of in rows],
            batch_size=None,
            num_workers=self._processes(),
            worker_init_fn=_leave_interrupts_to_the_loop,
            generator=torch.Generator(),  # the loader draws a seed for its workers: not from the fit's own generator
        )
        for batch in loader:
            if isinstance(batch, str):
                raise_faults(self._paths)  # names those of the other batches too
                raise DataError(batch)
            yield batch

    def blocks(self, rows_at_once: int) -> Iterator[UInt8[Tensor, "_ C H W"]]:
        """The pixels of all pictures in their order, so many at a time."""
        starts = range(0, len(self), rows_at_once)
        yield from self.batches([slice(start, start + rows_at_once) for start in starts])

    def check(self, on_progress: Callable[[int, int], None] | None = None) -> None:
        """Read each picture once, so that a broken one is known.

        Args:
            on_progress: Called with the pictures read so far and all of them.

        Raises:
            DataError: A file is no picture, or is damaged; it is named.
        """
        done = 0
        for block in self.blocks(_PICTURES_CHECKED_AT_ONCE):
            done += len(block)
            if on_progress is not None:
                on_progress(done, len(self))

    def _processes(self) -> int:
        if self.workers is not None:
            return self.workers
        return min(usable_cores(), len(self) // _PICTURES_PER_WORKER)


class _Batches(Dataset[Tensor | str]):
    """Batches by their rows. A fault comes back as words: what a process raises loses its form on the way."""

    def __init__(self, pictures: StoredPictures) -> None:
        self.pictures = pictures

    def __getitem__(self, rows: list[int] | slice) -> Tensor | str:
        try:
            return self.pictures[rows if isinstance(rows, slice) else torch.tensor(rows, dtype=torch.int64)].read()
        except DataError as fault:
            return str(fault)


def _leave_interrupts_to_the_loop(worker: int) -> None:
    """Ctrl-C reaches every process of a terminal; it is the loop that decides what becomes of the fit."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@overload
def blocks_of_rows(inputs: Tensor | StoredPictures, rows_at_once: int) -> Iterator[Tensor]: ...
@overload
def blocks_of_rows(
    inputs: Tensor | StoredPictures | SparseRows, rows_at_once: int
) -> Iterator[Tensor | SparseRows]: ...
def blocks_of_rows(inputs: Tensor | StoredPictures | SparseRows, rows_at_once: int) -> Iterator[Tensor | SparseRows]:
    """Rows in their order, so many at a time, wherever they are.

    Args:
        inputs: Rows in memory, or pictures in files; sparse rows take larger blocks, which change no number.
        rows_at_once: Rows in a block.

    Yields:
        The blocks.

    Example:
        >>> [len(block) for block in blocks_of_rows(torch.zeros(5, 2), 2)]
        [2, 2, 1]
    """
    if isinstance(inputs, StoredPictures):
        yield from inputs.blocks(rows_at_once)
    elif isinstance(inputs, SparseRows):
        rows_at_once = max(rows_at_once, _SPARSE_ROWS_AT_ONCE)
        for start in range(0, max(len(inputs), 1), rows_at_once):
            yield inputs[start : start + rows_at_once]
    elif len(inputs) <= rows_at_once:
        yield inputs
    else:
        yield from torch.split(inputs, rows_at_once)
