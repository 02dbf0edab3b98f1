"""Delimited text: a CSV or TSV file becomes a frame of text columns, or a clear error.

Every cell stays text without surrounding white space, and an empty cell is missing. A file that is compressed, or is
not UTF-8, or has spaces before its quotation marks, is first written to a temporary file. See also: `plain_text` for
the encoding, `layout` for the header and what stands around it, `row_lengths` for rows that do not fit it.
"""

import csv
import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from polylogit.data.tables.dialect import SEPARATORS, Dialect
from polylogit.data.tables.layout import Layout, empty_file, find_layout
from polylogit.data.tables.limits import current_limits
from polylogit.data.tables.literal_path import literal_path
from polylogit.data.tables.plain_text import check_no_nul, check_utf8, written_plain
from polylogit.data.tables.row_lengths import check_row_lengths, check_row_lengths_by_line
from polylogit.errors import DataError
from polylogit.system.out_of_memory import is_out_of_memory
from polylogit.system.temporary_folder import temporary_folder

__all__ = ["CELLS_AT_ONCE", "SEPARATORS", "Dialect", "literal_path", "read_delimited", "scan_delimited"]

CELLS_AT_ONCE = 1_000_000
"""About how many cells of a table are in memory together while it is read in batches."""

_IN_CACHE = 2**18
MOST_EMPTY_CELLS = 4_000_000
"""Empty lines are passed over, but a file in which every other line is empty is refused from so many cells on."""

_SPACE = ord(" ")


def read_delimited(path: Path, dialect: Dialect | None = None, notes: list[str] | None = None) -> pl.DataFrame:
    r"""Read a delimited text file with a header, every cell as text.

    Rows count from 1 below the header in every message about cells; lines count from 1 in the file. Empty lines are
    passed over.

    Args:
        path: A text file, perhaps compressed.
        dialect: How it is written.
        notes: Gets a sentence for everything that is read differently than it is written.

    Returns:
        A frame of String columns; missing cells are null.

    Raises:
        DataError: The file cannot be read, is empty, is not in its encoding, has no rows, repeats a column name, or
            has a row with another number of cells than its header.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "animals.csv"
        >>> _ = path.write_text("legs;type\n4; mammal\n2;\n")
        >>> read_delimited(path).rows()
        [('4', 'mammal'), ('2', None)]
    """
    with _plain(path, dialect or Dialect(), [] if notes is None else notes) as text:
        try:
            frame = pl.read_csv(literal_path(text.file), **text.options)
        except pl.exceptions.PolarsError as fault:
            raise text.at_fault(fault) from fault
        if frame.width > 1 and frame.to_series(-1).null_count():  # polars fills short rows with nulls from the right
            text.check_row_lengths()
        frame = text.without_footer(text.tidy(frame, 0))
    if frame.is_empty():
        raise DataError(f"{path}: there is a header but no row below it.")
    return frame


def scan_delimited(
    path: Path, dialect: Dialect | None = None, notes: list[str] | None = None
) -> Iterator[pl.DataFrame]:
    """The rows of `read_delimited` in batches, without ever holding them all.

    Args:
        path: A text file, perhaps compressed.
        dialect: How it is written.
        notes: As for `read_delimited`.

    Yields:
        Frames of String columns.

    Raises:
        DataError: As `read_delimited`, but a fault far down in the file is raised when it is reached.
    """
    with _plain(path, dialect or Dialect(), [] if notes is None else notes) as text:
        text.check_row_lengths()
        found, before, rows = False, None, 0
        try:
            scan = pl.scan_csv(literal_path(text.file), low_memory=True, **text.options)
            at_once = max(1, CELLS_AT_ONCE // len(text.layout.names))
            for batch in scan.collect_batches(chunk_size=at_once, maintain_order=True):
                tidy = text.tidy(batch, rows)
                rows += batch.height
                if before is not None:
                    found = found or not before.is_empty()
                    yield before
                before = tidy
        except pl.exceptions.PolarsError as fault:
            raise text.at_fault(fault) from fault
        if before is not None:
            before = text.without_footer(before)
            found = found or not before.is_empty()
            yield before
    if not found:
        raise DataError(f"{path}: there is a header but no row below it.")


@dataclass(frozen=True)
class _Text:
    """A plain UTF-8 file with line feeds, and the path that messages name.

    Args:
        path: What the user named.
        file: The file to read: the same, or a temporary copy.
        layout: Its header and what stands around it.
        dialect: How it is written; its quotation mark is "none" where the file has none that opens a cell.
        padded: Whether white space may stand around its cells.
    """

    path: Path
    file: Path
    layout: Layout
    dialect: Dialect
    padded: bool

    @property
    def quoted(self) -> bool:
        return self.dialect.quote != "none"

    @property
    def options(self) -> dict[str, Any]:
        """How polars reads the file."""
        options: dict[str, Any] = {
            "separator": self.layout.separator,
            "quote_char": self.dialect.quote if self.quoted else None,
            "infer_schema": False,
            "comment_prefix": self.dialect.comment,
            "glob": False,
        }
        if self.layout.header_is_plain:
            return options | {"skip_lines": self.layout.header_lines - 1}
        schema = {f"column {place}": pl.String for place in range(len(self.layout.names))}
        return options | {"skip_lines": self.layout.header_lines, "has_header": False, "schema": schema}

    def tidy(self, frame: pl.DataFrame, rows_before: int) -> pl.DataFrame:
        """With the names of the layout, and without white space around cells and without empty lines."""
        names = self.layout.names
        for place in self.layout.must_be_empty:
            self._check_empty(frame.to_series(place), rows_before)
        columns = [series.alias(name) for series, name in zip(frame, names, strict=True) if name is not None]
        frame = pl.DataFrame(columns)
        if self.padded or self.quoted:
            frame = frame.with_columns(pl.all().str.strip_chars().replace("", None))
        if frame.width > 1 and frame.height and all(series.null_count() for series in frame):
            frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
        return frame

    def without_footer(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Without the row of totals, where the last row is one."""
        return frame.head(-1) if self.layout.footer else frame

    def at_fault(self, fault: Exception) -> DataError:
        """What is wrong with a file that polars gave up on."""
        if is_out_of_memory(fault):
            raise MemoryError from fault
        try:
            check_utf8(self.path, self.file)
            check_row_lengths_by_line(self.path, self.file, self.layout, self.dialect, stray_quotes=True)
        except DataError as found:
            return found
        return DataError(f"{self.path}: cannot be read as a table ({str(fault).splitlines()[0]}).")

    def check_row_lengths(self) -> None:
        """Refuse rows with more or fewer cells than the header."""
        check_row_lengths(self.path, self.file, self.layout, self.dialect)

    def _check_empty(self, cells: pl.Series, rows_before: int) -> None:
        filled = cells.str.strip_chars().fill_null("") != ""
        if filled.any():
            row = int(filled.arg_max() or 0)
            raise DataError(
                f'{self.path}, row {rows_before + row + 1}: "{cells[row]}" stands in a column without a name. Give the '
                "column a name in the header."
            )


@contextmanager
def _plain(path: Path, dialect: Dialect, notes: list[str]) -> Iterator[_Text]:
    """The file as plain UTF-8, checked as far as that is cheap."""
    try:
        with temporary_folder() as folder:
            file = written_plain(path, dialect.encoding, folder, notes)
            if not file.stat().st_size:
                raise empty_file(path)
            size = file.stat().st_size
            with file.open("rb") as plain, mmap.mmap(plain.fileno(), 0, access=mmap.ACCESS_READ) as content:
                check_no_nul(path, content)
                layout = find_layout(path, content, dialect, notes)
                lines, pairs = _counted_lines(path, content)
                dialect = _with_quotes_used(path, content, layout, dialect, notes)
                padded = _padded(content, layout.separator.encode())
                spaced = dialect.quote != "none" and re.search(
                    re.escape(layout.separator.encode()) + b" +" + re.escape(dialect.quote.encode()), content
                )
            if spaced:
                file = _without_spaces(file, layout, dialect, folder / "rewritten.csv")
            text = _Text(path, file, layout, dialect, padded)
            if lines * len(layout.names) > max(size, MOST_EMPTY_CELLS):  # some lines are too short for a row
                if 4 * pairs > lines:  # polars would make a row of nulls of each empty line
                    raise DataError(f"{path}: many of its {lines} lines are empty. Remove the empty lines.")
                text.check_row_lengths()
            yield text
    except OSError as fault:
        if is_out_of_memory(fault):
            raise MemoryError from fault
        raise DataError(f"{path}: cannot be read ({fault.strerror or fault}).") from fault


def _counted_lines(path: Path, content: mmap.mmap) -> tuple[int, int]:
    """The number of lines, and of pairs of neighbouring line ends, which are at least half as many as empty lines."""
    lines = pairs = 0
    for start, end in current_limits().blocks_of_lines(path, content):
        block = content[start:end]
        lines += block.count(b"\n")
        pairs += block.count(b"\n\n") + block.count(b"\n\r\n")
    return lines, pairs


def _with_quotes_used(path: Path, content: mmap.mmap, layout: Layout, dialect: Dialect, notes: list[str]) -> Dialect:
    """The dialect, without a quotation mark where none opens a cell, as in a column of inches: `5" pipe`."""
    if dialect.quote == "none":
        return dialect
    mark = dialect.quote.encode()
    stray = content.find(mark)
    opens = stray >= 0 and re.search(b"(?:^|[\\n" + re.escape(layout.separator.encode()) + b"]) *" + mark, content)
    if opens:
        return dialect
    if stray >= 0:
        line = content[:stray].count(b"\n") + 1
        notes.append(f"{path}, line {line}: quotation marks open no cell in this file, and are read as text.")
    return Dialect(**{**vars(dialect), "quote": "none"})


def _without_spaces(file: Path, layout: Layout, dialect: Dialect, copy: Path) -> Path:
    """A copy without the spaces between a separator and a quotation mark, with which the mark would be text."""
    with file.open(encoding="utf-8-sig", newline="") as source, copy.open("w", encoding="utf-8", newline="") as target:
        for _ in range(layout.header_lines - 1):
            target.write(source.readline())
        rows = csv.reader(source, delimiter=layout.separator, quotechar=dialect.quote, skipinitialspace=True)
        csv.writer(target, delimiter=layout.separator, quotechar=dialect.quote, lineterminator="\n").writerows(rows)
    return copy


def _padded(content: mmap.mmap, separator: bytes) -> bool:
    """Whether white space may stand around a cell: a space at its edge, or any tab that is not the separator."""
    if separator != b"\t" and content.find(b"\t") >= 0:
        return True
    if content.find(b" ") < 0:
        return False
    is_edge = np.zeros(256, dtype=np.bool_)
    is_edge[[*separator, *b"\r\n"]] = True
    text = np.frombuffer(content, dtype=np.uint8)
    for start in range(0, len(text), _IN_CACHE):
        block = text[start : start + _IN_CACHE + 1]  # the last byte of a block is the first of the next, too
        spaces = np.flatnonzero(block == _SPACE)
        before, after = np.maximum(spaces - 1, 0), np.minimum(spaces + 1, len(block) - 1)
        if is_edge[block[before]].any() or is_edge[block[after]].any():
            return True
    return bool(text[-1] == _SPACE)
