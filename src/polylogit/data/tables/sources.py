"""DATA as given on the command line: bundled tables, files and folders of parts, and their rows."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import polars as pl

from polylogit.data.pictures.names import stands_for_pictures
from polylogit.data.tables.data_names import STANDARD_INPUT, named_files
from polylogit.data.tables.dialect import Dialect
from polylogit.data.tables.named_column import named, select_named
from polylogit.data.tables.parts import part_paths, read_parts
from polylogit.data.tables.reading import ENDINGS, is_table
from polylogit.data.tables.standard_input import STANDARD_INPUT_NAME, standard_input_file, without_its_path
from polylogit.errors import DataError, did_you_mean

__all__ = ["BUNDLED", "TableSource", "below", "fingerprint", "open_source", "source_paths"]

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
        files: The files whose rows stand one below the other, each with their number.
        rows_to_train: Number of rows before those of a second table, which is the test set.
        notes: What was read differently than it is written, in sentences.
        stored: Whether the frame, and what is made of it, are kept in mapped files and not in memory.
        note_on_storage: Where they are kept and why, in a sentence; empty where they are in memory.
    """

    name: str
    frame: pl.DataFrame
    target: str | None
    fingerprint: str
    files: tuple[tuple[str, int], ...]
    rows_to_train: int = 0
    notes: tuple[str, ...] = ()
    stored: bool = False
    note_on_storage: str = ""

    @property
    def locate(self) -> Callable[[int], tuple[str | None, int]]:
        """From a row to its file, where there are several, and its number in it; both numbers count from 1.

        The function does not keep the table in memory.
        """
        return partial(_located, self.files)

    def place_of(self, row: int, column: str) -> str:
        """What messages call a cell.

        Args:
            row: The number of its row in the table, from 1.
            column: Its column.

        Returns:
            Words as in `animals.csv, column "legs", row 3`.
        """
        file, row = self.locate(row)
        return f'{file or self.name}, column "{column}", row {row}'

    def with_test(self, test: "TableSource") -> "TableSource":
        """This table and below it the rows of another, which are the test set.

        Args:
            test: A table with the same columns, in any order; others may stand beside them.

        Returns:
            Both as one table, with the name and the fingerprint of this one.

        Raises:
            DataError: A column is not there, or its values are of another type; text stands for any type.
        """
        return replace(
            self,
            frame=below(self, test),
            files=(*self.files, *test.files),
            rows_to_train=self.frame.height,
            notes=(*self.notes, *test.notes),
        )


def open_source(
    data: str,
    dialect: Dialect | None = None,
    *,
    stored: bool = False,
    on_rows: Callable[[int], None] | None = None,
) -> TableSource:
    """Read the rows that DATA names.

    Args:
        data: As for `source_paths`.
        dialect: How a text table is written.
        stored: Whether its rows are kept in mapped files and not in memory.
        on_rows: Called with the rows of each block as they are read, where they are stored.

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
    notes: list[str] = []
    try:
        frame, heights = read_parts(paths, dialect, notes, stored=stored, on_rows=on_rows)
    except DataError as fault:
        raise DataError(without_its_path(str(fault))) if data == STANDARD_INPUT else fault from fault
    files = tuple((str(path), height) for path, height in zip(paths, heights, strict=True))
    name = data
    if data == STANDARD_INPUT:
        name, notes = STANDARD_INPUT_NAME, [without_its_path(note) for note in notes]
    return TableSource(name, frame, target, fingerprint(paths), files, notes=tuple(notes), stored=stored)


def _located(files: Sequence[tuple[str, int]], row: int) -> tuple[str | None, int]:
    if len(files) == 1:
        return None, row
    for file, rows in files:
        if row <= rows:
            return file, row
        row -= rows
    raise IndexError(f"row {row}: the table has fewer")


def below(first: TableSource, second: TableSource) -> pl.DataFrame:
    """The rows of two tables, the second's columns put in the order of the first's; others of the second are left out.

    Raises:
        DataError: As `TableSource.with_test`.
    """
    types = second.frame.schema
    missing = [name for name in first.frame.columns if name not in types]
    if missing:
        raise DataError(
            f'{second.name}: the column "{missing[0]}" is not there, but {first.name} has it.'
            f"{did_you_mean(missing[0], second.frame.columns)}"
        )
    frames = [first.frame, select_named(second.frame, first.frame.columns)]
    for name, expected in first.frame.schema.items():
        found = types[name]
        if expected == found or (expected.is_numeric() and found.is_numeric()) or pl.Null in (expected, found):
            continue
        if pl.String not in (expected, found) or expected.is_nested() or found.is_nested():
            raise DataError(
                f'{second.name}, column "{name}": values of type {found}, but {first.name} has {expected}. '
                "Write both with the same types."
            )
        frames = [frame.with_columns(named(name).cast(pl.String)) for frame in frames]
    return pl.concat(frames, how="vertical_relaxed")


def source_paths(data: str) -> list[Path]:
    """The table files that DATA names.

    Args:
        data: A bundled name, or the path of a table file or of a folder of such parts, or several of these, or "-" for
            standard input.

    Returns:
        At least one path.

    Raises:
        DataError: Nothing of that name is there, it is no table, or its name is not UTF-8.
    """
    if data == STANDARD_INPUT:
        return [standard_input_file()]
    paths = _source_paths(data)
    for path in paths:
        if any("\ud800" <= letter <= "\udfff" for letter in str(path)):  # what stands for such a byte in Python
            raise DataError(f"{path}: the name of the file is not UTF-8, so it cannot be read. Rename the file.")
    return paths


def _source_paths(data: str) -> list[Path]:
    files = named_files(data)
    if len(files) > 1:
        return [path for file in files for path in source_paths(file)]
    path = Path(data)
    if data in BUNDLED:
        return [Path(__file__).parent / BUNDLED[data][0]]
    if stands_for_pictures(data):
        raise DataError(f"{data}: pictures came where a table is expected, which ends in {', '.join(ENDINGS)}.")
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
