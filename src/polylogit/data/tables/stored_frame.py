"""Tables in mapped files: a frame like any other, of whose columns only those in use are in memory.

See also: `polylogit.system.mapped_file`; `polylogit.data.tables.table_size`, how much memory a table would need.
"""

import mmap
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from polylogit.system.mapped_file import new_mapped_file

__all__ = ["rows_of_a_block", "stored_frame", "stored_rows"]

BYTES_OF_A_BLOCK = 2**26
"""About how much of a table is in memory together while it is written to its file.

In few and large blocks, the cells of a column stand in few places of the file. Where a system reads far ahead (8 MiB a
place, of the disks of some clouds), what it reads is then still in memory when the next columns want it.
"""

_BYTES_OF_TEXT = 32

_LINE = 64
"""Bytes that the place of each block is a multiple of, as Arrow recommends."""


def rows_of_a_block(columns: pl.DataFrame) -> int:
    """How many rows of a table one block has.

    Args:
        columns: A frame with the columns of the table; its rows do not matter.

    Example:
        >>> rows_of_a_block(pl.DataFrame(schema={"near": pl.Float32, "far": pl.Float64}))
        5592405
    """
    bytes_of_a_row = 0
    for kind in columns.dtypes:
        if kind in (pl.Float32, pl.Int32, pl.UInt32, pl.Date):
            bytes_of_a_row += 4
        elif kind.is_numeric() or kind.is_temporal() or kind == pl.Boolean:
            bytes_of_a_row += 8
        else:
            bytes_of_a_row += _BYTES_OF_TEXT
    return max(1, BYTES_OF_A_BLOCK // max(1, bytes_of_a_row))


def stored_frame(blocks: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """The rows of all blocks, one below the other, in a mapped file.

    Args:
        blocks: At least one frame; each with the same columns and types. One at a time is in memory.

    Returns:
        The frame.

    Raises:
        DataError: The disk is full.

    Example:
        >>> stored_frame(pl.DataFrame({"legs": [legs], "skin": ["fur"]}) for legs in (4, 2)).rows()
        [(4, 'fur'), (2, 'fur')]
    """
    import pyarrow as pa  # noqa: PLC0415 - takes a moment, and most tables are small

    with new_mapped_file() as path:
        bounds = []
        with path.open("wb") as file:
            for block in blocks:
                start = file.tell()
                table = block.to_arrow(compat_level=pl.CompatLevel.newest())
                with pa.ipc.new_stream(file, table.schema) as stream:
                    stream.write_table(table)
                bounds.append((start, file.tell() - start))
                file.write(bytes(-file.tell() % _LINE))
        # Each block is a stream of its own, because the levels of categoricals may differ from block to block.
        content = pa.py_buffer(_mapped(path))
        frames = [pl.from_arrow(pa.ipc.open_stream(content.slice(*place)).read_all()) for place in bounds]
    return pl.concat([frame for frame in frames if isinstance(frame, pl.DataFrame)])


def _mapped(path: Path) -> mmap.mmap:
    """A file whose pages are read one by one as they are needed.

    A column stands in the file in one place of each block, some hundred KiB of it where there are hundreds of columns.
    What the system reads ahead from there belongs to other columns, and where memory is scarce it is gone before these
    are wanted.
    """
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if hasattr(mapped, "madvise"):
        mapped.madvise(mmap.MADV_RANDOM)
    return mapped


def stored_rows(frame: pl.DataFrame, numbers: npt.NDArray[np.int64]) -> pl.DataFrame:
    """Some rows of a frame that is kept in a mapped file; many of them in another.

    Args:
        frame: The frame.
        numbers: The numbers of the rows wanted, from 0.

    Example:
        >>> stored_rows(pl.DataFrame({"legs": [4, 2, 6]}), np.array([2, 0])).rows()
        [(6,), (4,)]
    """
    at_once = rows_of_a_block(frame)
    if len(numbers) <= at_once:
        return frame[numbers]
    return stored_frame(frame[numbers[start : start + at_once]] for start in range(0, len(numbers), at_once))
