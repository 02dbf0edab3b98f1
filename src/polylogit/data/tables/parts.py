"""A folder of table files that are parts of one table: which files, in which order, with which columns."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import polars as pl

from polylogit.data.tables.compression import table_ending
from polylogit.data.tables.dialect import Dialect
from polylogit.data.tables.named_column import select_named
from polylogit.data.tables.reading import ENDINGS, is_table, read_table, scan_table
from polylogit.errors import DataError

__all__ = ["part_paths", "read_parts", "scan_parts"]

_OFTEN_BESIDE = (".txt", ".json", ".zip")
"""Files with these endings often describe a table that they stand beside; they are parts where there are no others."""


def part_paths(folder: Path) -> list[Path]:
    """The parts of a table in the order of their names; hidden files and those that start with `_` are none.

    Args:
        folder: A folder.

    Returns:
        At least one path.

    Raises:
        DataError: There is no table in the folder, or there are tables of several formats.
    """
    paths = sorted(path for path in folder.iterdir() if path.is_file() and path.name[0] not in "._" and is_table(path))
    if not paths:
        raise DataError(
            f"{folder}: neither tables nor folders of pictures are in this folder. Expected files that end in "
            f"{', '.join(ENDINGS)}, or one folder per class with its pictures in it."
        )
    paths = [path for path in paths if table_ending(path) not in _OFTEN_BESIDE] or paths
    endings = sorted({table_ending(path) for path in paths})
    if len(endings) > 1:
        raise DataError(f"{folder}: parts of several formats ({', '.join(endings)}). Keep those of one table.")
    return paths


def read_parts(
    paths: Sequence[Path],
    dialect: Dialect | None = None,
    notes: list[str] | None = None,
    *,
    stored: bool = False,
    on_rows: Callable[[int], None] | None = None,
) -> tuple[pl.DataFrame, list[int]]:
    """The rows of all parts, one below the other; the columns stand as in the first part.

    Args:
        paths: At least one table file.
        dialect: How text tables are written.
        notes: Gets a sentence for everything that is read differently than it is written.
        stored: Whether the frame is kept in mapped files and not in memory.
        on_rows: As for `read_table`.

    Returns:
        One frame, and how many rows of it are from each part.

    Raises:
        DataError: A part cannot be read, or disagrees with the first on a column.
    """
    frames: list[pl.DataFrame] = []
    for path in paths:
        frame = read_table(path, dialect, notes, stored=stored, on_rows=on_rows)
        frames.append(_like(frames[0], frame, paths[0], path) if frames else frame)
    heights = [frame.height for frame in frames]
    return frames[0] if len(frames) == 1 else pl.concat(frames, how="vertical_relaxed"), heights


def scan_parts(
    paths: Sequence[Path], dialect: Dialect | None = None, notes: list[str] | None = None
) -> Iterator[tuple[Path, pl.DataFrame]]:
    """The rows of all parts in batches, each with the part that it is from.

    Args:
        paths: At least one table file.
        dialect: How text tables are written.
        notes: As for `read_parts`.

    Yields:
        A part's path and some of its rows.

    Raises:
        DataError: As `read_parts`, raised when it is reached.
    """
    first: pl.DataFrame | None = None
    for path in paths:
        for batch in scan_table(path, dialect, notes):
            first = batch.clear() if first is None else first
            yield path, _like(first, batch, paths[0], path)


def _like(first: pl.DataFrame, part: pl.DataFrame, first_path: Path, path: Path) -> pl.DataFrame:
    """The part with its columns in the order of the first."""
    if part.schema == first.schema:
        return part
    for there, here, at, other in ((first, part, path, first_path), (part, first, first_path, path)):
        known = set(here.columns)
        missing = [name for name in there.columns if name not in known]
        if missing:
            raise DataError(
                f'{at}: the column "{missing[0]}" is not there, but {other} has it. '
                "The parts of a table must have the same columns."
            )
    types = part.schema
    for name, expected in first.schema.items():
        found = types[name]
        alike = expected == found or pl.Null in (expected, found) or (expected.is_numeric() and found.is_numeric())
        if not alike:
            raise DataError(
                f'{path}, column "{name}": values of type {found}, but {first_path} has {expected}. '
                "Write all parts with the same types."
            )
    return select_named(part, first.columns)
