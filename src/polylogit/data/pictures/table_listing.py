"""Pictures that a table of file names and classes lists.

See also: `polylogit.data.pictures.listing`, folders.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from polylogit.data.pictures.listing import PictureListing
from polylogit.errors import DataError, RecipeError, did_you_mean

__all__ = ["files_of_table", "list_picture_table"]

_MOST_ROWS = 10


def files_of_table(
    table: pl.DataFrame, place: str, folder: Path, *, path_column: str, must_exist: bool = True
) -> list[Path]:
    """The picture files that a table names.

    Args:
        table: A row per picture.
        place: What messages call the table.
        folder: What relative file names are relative to: the folder of the table.
        path_column: The column of the file names.
        must_exist: Whether a file that is not there is an error here.

    Returns:
        The files, in the order of the table. A name with backslashes that is no file is read as Windows reads it.

    Raises:
        RecipeError: There is no such column.
        DataError: A file name is missing, or files do not exist; the message names the rows.
    """
    if path_column not in table.columns:
        raise RecipeError(
            f'data.path: {place} has no column "{path_column}".{did_you_mean(path_column, table.columns)}'
        )
    files, faults = [], []
    for row, name in enumerate(table[path_column].cast(pl.String), start=1):
        if name is None or not name.strip():
            faults.append(f"row {row}: the file name is missing. Write one, or drop the row.")
            continue
        file = folder / name.strip()
        if not file.exists() and "\\" in name:
            file = folder / name.strip().replace("\\", "/")
        if must_exist and not file.exists():
            faults.append(f"row {row}: there is no file {file}.")
        files.append(file)
    _raise_rows(
        faults,
        place,
        path_column,
        "File names are relative to the folder of the table. --set data.broken=skip leaves out those that are missing.",
    )
    if not files:
        raise DataError(f"{place}: the table names no picture.")
    return files


def _raise_rows(faults: Sequence[str], place: str, column: str, remedy: str) -> None:
    """Raise the faults of a column, the first ten by their rows."""
    if not faults:
        return
    where = f'{place}, column "{column}"'
    if len(faults) == 1:
        raise DataError(f"{where}, {faults[0]} {remedy}".rstrip())
    more = f"\n  … and {len(faults) - _MOST_ROWS} more" if len(faults) > _MOST_ROWS else ""
    lines = "".join(f"\n  {fault}" for fault in faults[:_MOST_ROWS])
    raise DataError(f"{where}: {len(faults)} rows are at fault.{f' {remedy}' if remedy else ''}{lines}{more}")


def list_picture_table(
    table: pl.DataFrame,
    place: str,
    folder: Path,
    *,
    path_column: str,
    label_column: str,
    must_exist: bool = True,
) -> PictureListing:
    """The pictures that a table names.

    Args:
        table: A row per picture.
        place: What messages call the table.
        folder: What relative file names are relative to: the folder of the table.
        path_column: The column of the file names.
        label_column: The column of the classes.
        must_exist: Whether a file that is not there is an error here.

    Returns:
        The listing, in the order of the table.

    Raises:
        RecipeError: There is no such column.
        DataError: File names or classes are missing, or files do not exist; the message names the rows.
    """
    if label_column not in table.columns:
        raise RecipeError(
            f'data.target: {place} has no column "{label_column}".{did_you_mean(label_column, table.columns)}'
        )
    files = files_of_table(table, place, folder, path_column=path_column, must_exist=must_exist)
    columns = {name: table[name].cast(pl.String).to_list() for name in table.columns}
    labels = [str(label or "").strip() for label in columns[label_column]]
    missing = [f"row {row}: the class is missing." for row, label in enumerate(labels, start=1) if not label]
    _raise_rows(missing, place, label_column, "Write one, or drop the row.")
    return PictureListing(place, folder, tuple(files), tuple(labels), columns=columns)
