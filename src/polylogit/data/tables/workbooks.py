"""Sheets of workbooks (.xlsx, .ods), with the types that their cells have."""

from pathlib import Path

import polars as pl

from polylogit.data.tables.dialect import Dialect
from polylogit.data.tables.layout import is_total
from polylogit.data.tables.limits import current_limits
from polylogit.data.tables.workbook_size import check_workbook_size
from polylogit.errors import DataError, did_you_mean
from polylogit.system.optional import import_extra

__all__ = ["WORKBOOK_ENDINGS", "read_workbook"]

WORKBOOK_ENDINGS = (".xlsx", ".xlsb", ".xls", ".ods")
"""Endings of workbooks; those of the binary formats are known so that an error says what to do."""

_UNNAMED = "__UNNAMED__"


def read_workbook(path: Path, dialect: Dialect, notes: list[str]) -> pl.DataFrame:
    """Read a sheet of a workbook.

    Args:
        path: A workbook.
        dialect: Names the sheet and the lines above the header.
        notes: Gets a sentence where a sheet was chosen or a column left out.

    Returns:
        A frame; a column of mixed types is text.

    Raises:
        DataError: The workbook is damaged or encrypted, or which sheet is meant is not clear.
        MissingExtraError: The package that reads workbooks is not installed.
    """
    fastexcel = import_extra("fastexcel")
    check_workbook_size(path)
    try:
        workbook = fastexcel.read_excel(path)
        sheets = {}
        for name in (
            workbook.sheet_names if dialect.sheet is None else [_known(path, dialect.sheet, workbook.sheet_names)]
        ):
            loaded = workbook.load_sheet(name, header_row=dialect.skip_lines, schema_sample_rows=None)
            current_limits().check_columns(path, loaded.width)
            if loaded.width and loaded.height:
                sheets[name] = loaded.to_polars()
    except DataError:
        raise
    except Exception as fault:  # fastexcel's errors have no common base but Exception
        raise DataError(
            f"{path}: cannot be read as a workbook ({str(fault).splitlines()[0]}). Is it whole, without a password?"
        ) from fault
    if not sheets:
        raise DataError(f"{path}: no sheet has a header and rows.")
    if len(sheets) > 1:
        raise DataError(f"{path}: several sheets have rows: {', '.join(sheets)}. Name one with --set data.sheet=NAME.")
    name, frame = next(iter(sheets.items()))
    if len(workbook.sheet_names) > 1 and dialect.sheet is None:
        notes.append(f'{path}: the sheet "{name}" is read; the others are empty.')
    return _without_totals(path, _tidy(path, frame, notes), dialect, notes)


def _known(path: Path, sheet: str, names: list[str]) -> str:
    if sheet not in names:
        raise DataError(f'{path}: there is no sheet "{sheet}".{did_you_mean(sheet, names)}')
    return sheet


def _without_totals(path: Path, frame: pl.DataFrame, dialect: Dialect, notes: list[str]) -> pl.DataFrame:
    """Without a last row of totals, as for text: no other row starts so, and it has no class."""
    if dialect.class_column not in frame.columns[1:] or frame.is_empty():
        return frame
    first = frame.to_series(0)
    word, label = first[-1], frame[dialect.class_column][-1]
    if not isinstance(word, str) or not is_total(word) or label is not None or (first == word).sum() > 1:
        return frame
    notes.append(f'{path}: the last row starts with "{word}" and is left out as a row of totals.')
    return frame.head(-1)


def _tidy(path: Path, frame: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """Without empty rows, and without columns that have no name and are empty or hold row names."""
    unnamed = [name for name in frame.columns if name.startswith(_UNNAMED)]
    left_out = [name for name in unnamed if frame[name].null_count() == frame.height]
    if unnamed and unnamed[0] == frame.columns[0] and unnamed[0] not in left_out:
        left_out.append(unnamed[0])
        notes.append(
            f"{path}: the first column has no name, so it is taken for row names, and is left out. Give it a name to "
            "use it."
        )
    frame = frame.drop(left_out)
    renamed = {name: f"column {frame.columns.index(name) + 1}" for name in unnamed if name not in left_out}
    notes += [f'{path}: a column of the header has no name; it is called "{name}".' for name in renamed.values()]
    frame = frame.rename(renamed | {name: name.strip() for name in frame.columns if name not in renamed})
    return frame.filter(~pl.all_horizontal(pl.all().is_null())) if frame.width else frame
