"""The layout of a text table: where its header stands, how its columns are called, and what is no part of it."""

import codecs
import csv
import mmap
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from polylogit.data.tables.dialect import SEPARATORS, Dialect
from polylogit.data.tables.limits import current_limits
from polylogit.errors import DataError

__all__ = ["Layout", "cells_of", "empty_file", "find_layout", "is_total"]

_SEPARATOR_LINE = re.compile(r'"?sep=([,;|\t])"?[;,]*$', re.IGNORECASE)
_TOTALS = re.compile(r"(grand |sub)?totals?|sum|summe|gesamt|totaal|totale|suma|average|mean|mittelwert", re.IGNORECASE)
_LINES_COMPARED = 5
_TAIL = 2**16


@dataclass(frozen=True)
class Layout:
    """Where the header of a text table is and what stands around it.

    Args:
        separator: What stands between cells.
        names: The name of each column of the rows; None for a column that is left out.
        header_lines: How many lines of the file stand above the first row, the header included.
        header_is_plain: Whether polars finds the names in the header as they are: it has as many cells as a row, and
            no byte order mark, behind which polars takes a quotation mark for text.
        footer: Whether the last line is a row of totals, which is left out.
    """

    separator: str
    names: tuple[str | None, ...]
    header_lines: int
    header_is_plain: bool
    footer: bool

    @property
    def must_be_empty(self) -> tuple[int, ...]:
        """The places of columns that have no name since every line ends in a separator."""
        return tuple(place for place, name in enumerate(self.names) if name is None and place)


def find_layout(path: Path, content: mmap.mmap, dialect: Dialect, notes: list[str]) -> Layout:
    """The layout of a text table.

    Args:
        path: What messages name.
        content: Its bytes, UTF-8.
        dialect: What is known of it.
        notes: Gets a sentence for everything that is left out or named.

    Returns:
        The layout.

    Raises:
        DataError: There is no header, or a column name is repeated.
    """
    lines = enumerate(_lines(path, content), start=1)
    announced = None
    for number, line in lines:
        found = _SEPARATOR_LINE.match(line) if number == 1 else None
        if found:
            announced = found[1]
        elif number > dialect.skip_lines and not _is_passed_over(line, dialect):
            break
    else:
        raise empty_file(path)
    if line.count('"') % 2 and dialect.quote == '"':
        raise DataError(f"{path}: a column name holds a line break or an open quotation mark. Correct the first line.")
    separator = dialect.separator or announced or ("\t" if {".tsv", ".tab"} & set(path.suffixes) else None)
    if separator is None:
        separator = max(SEPARATORS, key=lambda candidate: len(cells_of(line, candidate, dialect)))
    names = [name.strip() for name in cells_of(line, separator, dialect)]
    current_limits().check_columns(path, len(names))
    below = list(islice((row for _, row in lines if not _is_passed_over(row, dialect)), _LINES_COMPARED))
    is_utf8 = "\N{REPLACEMENT CHARACTER}" not in line  # else the message is about the encoding, when the rows are read
    if len(names) == 1 and dialect.separator is None and is_utf8:
        _check_no_title(path, number, line, below, dialect)
    rows = [cells_of(row, separator, dialect) for row in below]
    columns = _column_names(path, names, below, rows, notes)
    footer = _footer(content, separator, columns, dialect)
    if footer is not None:
        notes.append(f'{path}: the last line starts with "{footer}" and is left out as a row of totals.')
    is_plain = len(names) == len(columns) and content[:3] != codecs.BOM_UTF8
    return Layout(separator, columns, number, is_plain, footer is not None)


def cells_of(line: str, separator: str, dialect: Dialect) -> list[str]:
    """The cells of a line."""
    if dialect.quote == "none":
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator, quotechar=dialect.quote, skipinitialspace=True), [])
    except csv.Error:
        return line.split(separator)


def empty_file(path: Path) -> DataError:
    """The error for a file without a header."""
    return DataError(f"{path}: the file is empty. Expected a header and at least two rows.")


def _lines(path: Path, content: mmap.mmap) -> Iterator[str]:
    """The lines of a file, without their ends."""
    longest, start, number = current_limits().line, 0, 1
    while start < len(content):
        end = content.find(b"\n", start, start + longest + 1)
        if end < 0 and len(content) - start > longest:
            place = f"{path}: the first line is" if number == 1 else f"{path}, line {number}:"
            raise DataError(
                f"{place} longer than {longest} bytes. Expected a header, one line of column names, and rows; is this "
                "a table? --limit line=N allows longer ones."
            )
        end = len(content) if end < 0 else end
        yield content[start:end].decode("utf-8-sig", errors="replace").rstrip("\r")
        start, number = end + 1, number + 1


def _is_passed_over(line: str, dialect: Dialect) -> bool:
    """Whether a line has no cell with text, or is a comment."""
    return not line.strip(" \r" + SEPARATORS) or (dialect.comment is not None and line.startswith(dialect.comment))


def _check_no_title(path: Path, number: int, header: str, below: list[str], dialect: Dialect) -> None:
    """Refuse a header of one cell where a separator cuts each line below it into the same number of cells."""
    for separator in SEPARATORS:
        counts = {len(cells_of(row, separator, dialect)) for row in below}
        if len(below) > 1 and len(counts) == 1 and min(counts) > 1:
            raise DataError(
                f"{path}, line {number}: expected a header of {min(counts)} cells with {separator!r} between them, as "
                f"in the lines below, got one cell, {header[:40]!r}. If it is a title: --set data.skip_lines={number}. "
                "If it is a comment: --set 'data.comment=#'. If the table has one column: --set 'data.separator=\"|\"' "
                "or another character that is not in it."
            )


def _are_row_names(cells: list[str], lines: list[str]) -> bool:
    """Whether first cells that no column name stands above are as R writes them: in quotation marks, or 1, 2, 3."""
    counted = [str(number) for number in range(1, len(cells) + 1)]
    return cells == counted or all(line.startswith('"') for line in lines)


def _column_names(
    path: Path, names: list[str], below: list[str], rows: list[list[str]], notes: list[str]
) -> tuple[str | None, ...]:
    columns: list[str | None] = list(names)
    one_more = bool(rows) and all(len(row) == len(names) + 1 for row in rows)
    if one_more and not any(row[-1].strip() for row in rows):
        columns.append("")
    elif one_more and _are_row_names([row[0].strip() for row in rows], below):
        columns.insert(0, "")
    width = len(columns)
    while len(columns) > 1 and columns[-1] == "":
        columns.pop()
    trailing = width - len(columns)
    if trailing:
        notes.append(f"{path}: the lines end in a separator; the column without a name behind it is left out.")
    if columns[0] == "" and len(columns) > 1:
        columns[0] = None
        notes.append(
            f"{path}: the first column has no name, so it is taken for the row names that pandas and R write, and is "
            "left out. Give it a name to use it."
        )
    for place, name in enumerate(columns):
        if name == "":
            columns[place] = f"column {place + 1}"
            notes.append(f'{path}: column {place + 1} of the header has no name; it is called "column {place + 1}".')
    for name, times in Counter(filter(None, columns)).items():
        if times > 1:
            raise DataError(f'{path}: {times} columns are called "{name}". Give each column a name of its own.')
    return (*columns, *[None] * trailing)


def is_total(cell: str) -> bool:
    """Whether the first cell of a row says that totals stand in it.

    Example:
        >>> is_total("Grand total:"), is_total("Totally")
        (True, False)
    """
    return _TOTALS.fullmatch(cell.strip().rstrip(":").strip()) is not None


def _footer(content: mmap.mmap, separator: str, columns: tuple[str | None, ...], dialect: Dialect) -> str | None:
    """The first cell of the last line where it is a row of totals: no other line starts so, and it has no class."""
    if dialect.class_column not in columns[1:]:
        return None
    tail = content[max(0, len(content) - _TAIL) :].decode("utf-8", errors="replace").splitlines()
    last = next((line for line in reversed(tail) if not _is_passed_over(line, dialect)), "")
    cells = [cell.strip() for cell in cells_of(last, separator, dialect)]
    word = cells[0].rstrip(":").strip() if cells else ""
    classes = columns.index(dialect.class_column)
    if not is_total(word) or any(cells[classes : classes + 1]):
        return None
    once = len(re.findall(rb"(?m)^[\" ]*" + re.escape(word.encode()), content)) == 1
    return cells[0] if once else None
