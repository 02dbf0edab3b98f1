"""Rows of a text table that have more or fewer cells than its header."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import polars as pl

from polylogit.data.tables.dialect import Dialect
from polylogit.data.tables.layout import Layout
from polylogit.data.tables.literal_path import literal_path
from polylogit.errors import DataError
from polylogit.plural import counted

__all__ = ["check_row_lengths", "check_row_lengths_by_line"]


def check_row_lengths(path: Path, file: Path, layout: Layout, dialect: Dialect) -> None:
    """Refuse rows with more or fewer cells than the header.

    Args:
        path: What messages name.
        file: The file to read.
        layout: Its header and what stands around it.
        dialect: How it is written.

    Raises:
        DataError: There is such a row.
    """
    if dialect.quote != "none":
        check_row_lengths_by_line(path, file, layout, dialect)
        return
    # Without quotation marks a line's cells are its separators and one: that is counted many times faster.
    lines = pl.scan_csv(
        literal_path(file),
        has_header=False,
        separator="\x01",
        quote_char=None,
        schema={"line": pl.String},
        low_memory=True,
        skip_lines=layout.header_lines,
        comment_prefix=dialect.comment,
        glob=False,
    )
    line = pl.col("line").str.strip_chars_end("\r")
    cells = line.str.count_matches(layout.separator, literal=True) + 1
    ragged = (line.str.strip_chars() != "") & (cells != len(layout.names))
    try:
        any_ragged = lines.select(ragged.any()).collect(engine="streaming").item()
    except pl.exceptions.PolarsError:  # a \x01 in the text, or bytes that are not UTF-8
        any_ragged = True
    if any_ragged:
        check_row_lengths_by_line(path, file, layout, dialect)


def check_row_lengths_by_line(
    path: Path, file: Path, layout: Layout, dialect: Dialect, *, stray_quotes: bool = False
) -> None:
    """As `check_row_lengths`, line by line.

    Args:
        path: What messages name.
        file: The file to read.
        layout: Its header and what stands around it.
        dialect: How it is written.
        stray_quotes: Whether quotation marks within cells are looked for, too.

    Raises:
        DataError: There is such a row, or such a cell; the message names its line.
    """
    mark = None if dialect.quote == "none" else dialect.quote
    with file.open(encoding="utf-8-sig", newline="", errors="replace") as lines:
        for _ in range(layout.header_lines):
            lines.readline()
        numbered = _Numbered(lines, layout.header_lines, dialect.comment)
        reader = csv.reader(
            numbered,
            delimiter=layout.separator,
            quotechar=mark,
            quoting=csv.QUOTE_NONE if mark is None else csv.QUOTE_MINIMAL,
            skipinitialspace=True,
        )
        first, wrong, title = numbered.number + 1, None, True
        try:
            for cells in reader:
                if wrong is not None and any(cell.strip() for cell in cells):
                    raise wrong
                if stray_quotes and mark is not None and first == numbered.number:
                    _check_stray_quote(path, first, numbered.last, layout.separator, mark)
                if len(cells) != len(layout.names) and any(cell.strip() for cell in cells):
                    wrong = _wrong_length(path, first, numbered.number, cells, layout, title=title)
                title = title and not any(cell.strip() for cell in cells)
                first = numbered.number + 1
        except csv.Error as fault:
            raise DataError(f"{path}, line {first}: {fault}.") from fault
    if wrong is not None and not layout.footer:  # else it is the last line, the row of totals
        raise wrong


class _Numbered:
    """The lines of a file that are no comments, with the number of the last one that was read."""

    def __init__(self, lines: TextIO, before: int, comment: str | None) -> None:
        self.number = before
        self.last = ""
        self._lines = lines
        self._comment = comment

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.number += 1
            if self._comment is None or not line.startswith(self._comment):
                self.last = line
                yield line


def _check_stray_quote(path: Path, line: int, text: str, separator: str, mark: str) -> None:
    """Refuse a quotation mark within a cell that does not start with one: polars loses the cells behind it."""
    between = re.escape(separator)
    quoted, plain = rf"{mark}(?:[^{mark}]|{mark}{mark})*{mark}", f"[^{mark}{between}]*"
    stray = rf"([^{mark}{between}\s][^{mark}{between}]*{mark}[^{between}]*)"
    found = re.match(f"(?:(?:{quoted}|{plain}){between})*{stray}", text)
    if found:
        raise DataError(
            f"{path}, line {line}: a quotation mark stands within the cell {found[1].strip()}, which does not start "
            "with one. Put the cell in quotation marks and write this one twice, or, if quotation marks are text in "
            "the whole file: --set data.quote=none."
        )


def _wrong_length(path: Path, first: int, last: int, cells: list[str], layout: Layout, *, title: bool) -> DataError:
    words = f"{path}, line {first}: expected {counted(len(layout.names), 'cell')} as in the header, got {len(cells)}."
    if last > first:
        return DataError(
            f"{words} A quotation mark that opens on this line closes on line {last} only. Close it, or, if quotation "
            "marks are text in this file: --set data.quote=none."
        )
    if title and len(cells) > len(layout.names):
        return DataError(
            f"{words} If the lines above are a title: --set data.skip_lines={first - 1}. If not, a cell that holds the "
            "separator needs quotes around it."
        )
    if len(layout.names) == 1:
        return DataError(
            f"{words} Line {layout.header_lines} was read as the header, {layout.names[0]!r}. If lines of text stand "
            f"above the header: --set data.skip_lines=N, or --set 'data.comment=#' where they start with #."
        )
    return DataError(f"{words} Correct the line: a cell that holds the separator needs quotes around it.")
