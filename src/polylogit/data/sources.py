"""What the word DATA on the command line may mean, and the rows behind it.

Owns the names of the bundled data and the choice by file ending. It does not look into the cells.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from polylogit.data.tables import SEPARATORS, read_table
from polylogit.errors import DataError, did_you_mean

__all__ = ["BUNDLED", "TableSource", "open_source"]

BUNDLED = {"zoo": ("zoo.csv", "type")}
"""Data that comes with the package: its file and its target column."""


@dataclass(frozen=True)
class TableSource:
    """A table and what is known of it before anybody looks into its cells.

    Args:
        name: What messages and results call it: the bundled name or the path as given.
        frame: All columns, as read.
        target: The target column, where the source itself knows it.
        fingerprint: SHA-256 of the file's bytes; tells whether a model saw this very file in training.
    """

    name: str
    frame: pl.DataFrame
    target: str | None
    fingerprint: str


def open_source(data: str) -> TableSource:
    """Read the rows that DATA names.

    Args:
        data: A bundled name or the path of a table file.

    Returns:
        The table.

    Raises:
        DataError: Nothing of that name is there, or it cannot be read.

    Example:
        >>> source = open_source("zoo")
        >>> source.frame.shape, source.target
        ((101, 17), 'type')
    """
    target = None
    path = Path(data)
    if data in BUNDLED:
        file, target = BUNDLED[data]
        path = Path(__file__).parent / file
    elif path.is_dir():
        raise DataError(f"{data}: is a folder. Expected a bundled name ({', '.join(BUNDLED)}) or a table file.")
    elif not path.exists():
        raise DataError(f"{data}: there is no such file or data name.{did_you_mean(data, _nearby(path))}")
    elif path.suffix.lower() not in SEPARATORS:
        raise DataError(f"{data}: the ending {path.suffix!r} is not known. Expected one of {', '.join(SEPARATORS)}.")
    frame = read_table(path)
    return TableSource(name=data, frame=frame, target=target, fingerprint=_fingerprint(path))


def _nearby(path: Path) -> list[str]:
    """The bundled names, and the table files in the folder that the path names."""
    try:
        files = [str(file) for file in sorted(path.parent.iterdir()) if file.suffix.lower() in SEPARATORS]
    except OSError:
        files = []
    return [*BUNDLED, *files]


def _fingerprint(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
