"""How much memory a table would need, from what its files say before they are read."""

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from polylogit.data.tables.compression import ARROW_ENDINGS, PARQUET_ENDINGS, is_compressed, table_ending

if TYPE_CHECKING:
    from pyarrow.parquet import FileMetaData, RowGroupMetaData

__all__ = ["bounds_of_row_groups", "largest_row_group", "memory_of_tables", "rows_of_tables"]

_MEMORY_PER_BYTE, _MEMORY_PER_PACKED_BYTE = 4, 20
"""Of a text table: a cell of few characters becomes a text with its length and place."""

_BYTES_OF_TEXT = 16
_BYTES_OF_TYPE = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 8}


def memory_of_tables(paths: Sequence[Path]) -> int:
    """About how many bytes the tables take once they are in memory.

    Args:
        paths: Table files; of those that are not there, nothing is counted.

    Returns:
        The bytes.
    """
    return sum(_memory_of(path) for path in paths if path.is_file())


def _memory_of(path: Path) -> int:
    size, ending = path.stat().st_size, table_ending(path)
    if ending in PARQUET_ENDINGS:
        return _memory_of_parquet(path) or size
    if ending in ARROW_ENDINGS:
        return size
    return size * (_MEMORY_PER_PACKED_BYTE if is_compressed(path) else _MEMORY_PER_BYTE)


def _memory_of_parquet(path: Path) -> int:
    """As its metadata say; 0 where they cannot be read, which reading the table explains."""
    metadata = _metadata(path)
    if metadata is None:
        return 0
    return sum(_memory_of_group(metadata.row_group(place)) for place in range(metadata.num_row_groups))


def _memory_of_group(group: "RowGroupMetaData") -> int:
    total = 0
    for number in range(group.num_columns):
        column = group.column(number)
        fixed = _BYTES_OF_TYPE.get(column.physical_type)
        bytes_of_texts = column.total_uncompressed_size + _BYTES_OF_TEXT * group.num_rows
        total += bytes_of_texts if fixed is None else fixed * group.num_rows
    return total


def largest_row_group(path: Path) -> int:
    """About how many bytes the largest row group of a Parquet file takes in memory; 0 for every other file."""
    metadata = _metadata(path) if table_ending(path) in PARQUET_ENDINGS and path.is_file() else None
    if metadata is None:
        return 0
    return max((_memory_of_group(metadata.row_group(place)) for place in range(metadata.num_row_groups)), default=0)


def rows_of_tables(paths: Sequence[Path]) -> int | None:
    """How many rows Parquet files have; None where another file is among them or one cannot be read."""
    if any(table_ending(path) not in PARQUET_ENDINGS for path in paths):
        return None
    found = [_metadata(path) for path in paths]
    return None if None in found else sum(metadata.num_rows for metadata in found if metadata is not None)


def bounds_of_row_groups(path: Path) -> list[tuple[int, int]]:
    """The first row and the number of rows of each row group of a Parquet file; none where it cannot be read.

    Args:
        path: The file.

    Returns:
        A pair for each group that has rows, in their order.
    """
    metadata = _metadata(path)
    heights = [] if metadata is None else [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
    return [(first, height) for first, height in zip(accumulate([0, *heights]), heights, strict=False) if height]


def _metadata(path: Path) -> "FileMetaData | None":
    import pyarrow as pa  # noqa: PLC0415 - takes a moment, and most tables are small
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        return pq.read_metadata(path)
    except (OSError, pa.ArrowException):
        return None
