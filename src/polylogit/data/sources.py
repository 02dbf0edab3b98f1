"""What the word DATA on the command line may mean, and the rows behind it.

Owns the names of the bundled data and the choice by file ending. It does not look into the cells.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from polylogit.data.delimited import Dialect
from polylogit.data.parts import part_paths, read_parts
from polylogit.data.tables import ENDINGS, is_table
from polylogit.errors import DataError, did_you_mean

__all__ = ["BUNDLED", "TableSource", "fingerprint", "open_source", "source_paths"]

BUNDLED = {"zoo": ("zoo.csv", "type"), "eight-rows": ("eight_rows.csv", "class")}
"""Data that comes with the package: its file and its target column."""


@dataclass(frozen=True)
class TableSource:
    """A table and what is known of it before anybody looks into its cells.

    Args:
        name: What messages and results call it: the bundled name or the path as given.
        frame: All columns, as read.
        target: The target column, where the source itself knows it.
        fingerprint: SHA-256 of the bytes of the file, or of all parts; tells whether a model saw these very data in
            training.
    """

    name: str
    frame: pl.DataFrame
    target: str | None
    fingerprint: str


def open_source(data: str, dialect: Dialect | None = None) -> TableSource:
    """Read the rows that DATA names.

    Args:
        data: A bundled name, or the path of a table file or of a folder of such parts.
        dialect: How a text table is written.

    Returns:
        The table.

    Raises:
        DataError: Nothing of that name is there, or it cannot be read.

    Example:
        >>> source = open_source("zoo")
        >>> source.frame.shape, source.target
        ((101, 17), 'type')
    """
    paths = source_paths(data)
    target = BUNDLED[data][1] if data in BUNDLED else None
    frame = read_parts(paths, dialect)
    return TableSource(name=data, frame=frame, target=target, fingerprint=fingerprint(paths))


def source_paths(data: str) -> list[Path]:
    """The table files that DATA names.

    Args:
        data: A bundled name, or the path of a table file or of a folder of such parts.

    Returns:
        At least one path.

    Raises:
        DataError: Nothing of that name is there, or it is no table.
    """
    path = Path(data)
    if data in BUNDLED:
        return [Path(__file__).parent / BUNDLED[data][0]]
    if path.is_dir():
        return part_paths(path)
    if not path.exists():
        raise DataError(f"{data}: there is no such file or data name.{did_you_mean(data, _nearby(path))}")
    if not is_table(path):
        raise DataError(
            f"{data}: the ending {path.suffix!r} is not known. Expected one of {', '.join(ENDINGS)} "
            "(text tables also with .gz, .bz2, .xz or .zst after it)."
        )
    return [path]


def fingerprint(paths: Sequence[Path]) -> str:
    """SHA-256 of the bytes of all files, one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(2**20):
                digest.update(chunk)
    return digest.hexdigest()


def _nearby(path: Path) -> list[str]:
    """The bundled names, and the table files in the folder that the path names."""
    try:
        files = [str(file) for file in sorted(path.parent.iterdir()) if is_table(file)]
    except OSError:
        files = []
    return [*BUNDLED, *files]
