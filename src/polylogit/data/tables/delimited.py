"""Delimited text: a CSV or TSV file becomes a frame of text columns, or a clear error.

Encoding, line ends, header and row lengths are checked here. Every cell stays text without surrounding white space, and
an empty cell is missing. A file that is compressed, or is not UTF-8, is first written to a temporary UTF-8 file.
"""

import codecs
import csv
import mmap
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from polylogit.data.tables.compression import is_compressed, opened
from polylogit.data.tables.limits import current_limits
from polylogit.errors import DataError
from polylogit.system.out_of_memory import is_out_of_memory
from polylogit.system.temporary_folder import temporary_folder

__all__ = [
    "CELLS_AT_ONCE",
    "SEPARATORS",
    "Dialect",
    "literal_path",
    "read_delimited",
    "scan_delimited",
]

SEPARATORS = ",;\t|"
"""What may stand between the cells of a line."""

CELLS_AT_ONCE = 1_000_000
"""About how many cells of a table are in memory together while it is read in batches."""

_SEPARATOR_LINE = re.compile(rb'(?:\xef\xbb\xbf)?"?sep=([,;|\t])"?[;,]*\r?\n', re.IGNORECASE)
_CHUNK = 4 * 2**20
_IN_CACHE = 2**18
_SPACE = ord(" ")
_BYTE_ORDER_MARKS = ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True)
class Dialect:
    """How a text table is written.

    Args:
        separator: What stands between cells; where left out, a tab in a .tsv file, and in others that of
            `SEPARATORS` which cuts the header into the most cells.
        encoding: A name that Python knows. UTF-8 and UTF-16 with a byte order mark need no naming.
    """

    separator: str | None = None
    encoding: str = "utf-8"


def read_delimited(path: Path, dialect: Dialect | None = None) -> pl.DataFrame:
    r"""Read a delimited text file with a header, every cell as text.

    Rows count from 1 below the header in every message about cells; lines count from 1 in the file. Empty lines are
    passed over.

    Args:
        path: A text file, perhaps compressed.
        dialect: How it is written.

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
    with _plain(path, dialect or Dialect()) as text:
        try:
            frame = pl.read_csv(
                literal_path(text.file),
                separator=text.separator,
                infer_schema=False,
                skip_lines=text.lines_above,
                glob=False,
            )
        except pl.exceptions.PolarsError as fault:
            raise text.at_fault(fault) from fault
        if frame.width > 1 and frame.to_series(-1).null_count():  # polars fills short rows with nulls from the right
            text.check_row_lengths()
        frame = text.tidy(frame)
    if frame.is_empty():
        raise DataError(f"{path}: there is a header but no row below it.")
    return frame


def scan_delimited(path: Path, dialect: Dialect | None = None) -> Iterator[pl.DataFrame]:
    """The rows of `read_delimited` in batches, without ever holding them all.

    Args:
        path: A text file, perhaps compressed.
        dialect: How it is written.

    Yields:
        Frames of String columns.

    Raises:
        DataError: As `read_delimited`, but a fault far down in the file is raised when it is reached.
    """
    with _plain(path, dialect or Dialect()) as text:
        text.check_row_lengths()
        found = False
        try:
            scan = pl.scan_csv(
                literal_path(text.file),
                separator=text.separator,
                infer_schema=False,
                low_memory=True,
                skip_lines=text.lines_above,
                glob=False,
            )
            rows = max(1, CELLS_AT_ONCE // text.columns)
            for batch in scan.collect_batches(chunk_size=rows, maintain_order=True):
                tidy = text.tidy(batch)
                found = found or not tidy.is_empty()
                yield tidy
        except pl.exceptions.PolarsError as fault:
            raise text.at_fault(fault) from fault
    if not found:
        raise DataError(f"{path}: there is a header but no row below it.")


@dataclass(frozen=True)
class _Text:
    """A plain UTF-8 file with line feeds, and the path that messages name.

    Args:
        path: What the user named.
        file: The file to read: the same, or a temporary copy.
        separator: What stands between its cells.
        columns: How many cells its header has.
        quoted: Whether a quotation mark occurs in it.
        padded: Whether white space may stand around its cells.
        lines_above: The number of lines above the header: 1 where a spreadsheet wrote `sep=;` there.
    """

    path: Path
    file: Path
    separator: str
    columns: int
    quoted: bool
    padded: bool
    lines_above: int

    def tidy(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Without white space around names and cells, and without empty lines."""
        frame = frame.rename({name: name.strip() for name in frame.columns if name != name.strip()})
        if self.padded or self.quoted:
            frame = frame.with_columns(pl.all().str.strip_chars().replace("", None))
        if frame.width > 1 and frame.height and all(series.null_count() for series in frame):
            frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
        return frame

    def at_fault(self, fault: Exception) -> DataError:
        """What is wrong with a file that polars gave up on."""
        if is_out_of_memory(fault):
            raise MemoryError from fault
        try:
            _check_encoding(self.path, self.file)
            self._check_row_lengths_by_line()
        except DataError as found:
            return found
        return DataError(f"{self.path}: cannot be read as a table ({str(fault).splitlines()[0]}).")

    def check_row_lengths(self) -> None:
        """Refuse rows with more or fewer cells than the header."""
        if self.quoted:
            self._check_row_lengths_by_line()
            return
        # Without quotation marks a line's cells are its separators and one: that is counted many times faster.
        lines = pl.scan_csv(
            literal_path(self.file),
            has_header=False,
            separator="\x01",
            quote_char=None,
            schema={"line": pl.String},
            low_memory=True,
            skip_lines=self.lines_above,
            glob=False,
        )
        line = pl.col("line").str.strip_chars_end("\r")
        ragged = (line != "") & (line.str.count_matches(self.separator, literal=True) + 1 != self.columns)
        try:
            any_ragged = lines.select(ragged.any()).collect(engine="streaming").item()
        except pl.exceptions.PolarsError:  # a \x01 in the text, or bytes that are not UTF-8
            any_ragged = True
        if any_ragged:
            self._check_row_lengths_by_line()

    def _check_row_lengths_by_line(self) -> None:
        with self.file.open(encoding="utf-8-sig", newline="", errors="replace") as lines:
            for _ in range(self.lines_above):
                lines.readline()
            reader = csv.reader(lines, delimiter=self.separator)
            line = 1 + self.lines_above
            try:
                for cells in reader:
                    if cells and len(cells) != self.columns:
                        raise DataError(
                            f"{self.path}, line {line}: expected {self.columns} cells as in the header, got "
                            f"{len(cells)}. Mend the line: a cell that holds the separator needs quotes around it."
                        )
                    line = reader.line_num + 1 + self.lines_above
            except csv.Error as fault:
                raise DataError(f"{self.path}, line {line}: {fault}.") from fault


def literal_path(path: Path) -> str:
    """The path in a form that polars takes as it is: neither `~` nor the start of a URL has a meaning in it.

    Readers must be given `glob=False` besides, so that `*`, `?` and brackets have none.
    """
    return str(path.absolute())


@contextmanager
def _plain(path: Path, dialect: Dialect) -> Iterator[_Text]:
    """The file as plain UTF-8, checked as far as that is cheap."""
    try:
        with temporary_folder() as folder:
            file = _written_plain(path, dialect, folder)
            if not file.stat().st_size:
                raise _empty(path)
            with file.open("rb") as plain, mmap.mmap(plain.fileno(), 0, access=mmap.ACCESS_READ) as content:
                _check_no_nul(path, content)
                separator, names, lines_above = _header(path, content, dialect)
                for _ in current_limits().blocks_of_lines(path, content):
                    pass
                quoted = content.find(b'"') >= 0
                padded = _padded(content, separator.encode())
            yield _Text(path, file, separator, len(names), quoted, padded, lines_above)
    except OSError as fault:
        if is_out_of_memory(fault):
            raise MemoryError from fault
        raise DataError(f"{path}: cannot be read ({fault.strerror or fault}).") from fault


def _written_plain(path: Path, dialect: Dialect, folder: Path) -> Path:
    """The path itself where it is plain UTF-8 with line feeds already; else a copy of it in `folder` that is."""
    with opened(path) as source:
        start = source.read(_CHUNK)
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if start.startswith(mark)), dialect.encoding)
    old_line_ends = b"\r" in start and b"\n" not in start
    is_utf8 = codecs.lookup(encoding).name in ("utf-8", "ascii", "utf-8-sig")
    copy = folder / "plain.csv"
    if is_utf8 and not old_line_ends:
        if not is_compressed(path):
            return path
        with opened(path) as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target, _CHUNK)
        return copy
    with opened(path) as source, copy.open("w", encoding="utf-8", newline="") as target:
        decoder = codecs.getincrementaldecoder(encoding)()
        at = 0
        try:
            while chunk := source.read(_CHUNK):
                target.write(_line_feeds(decoder.decode(chunk), old_line_ends))
                at += len(chunk)
            target.write(_line_feeds(decoder.decode(b"", final=True), old_line_ends))
        except UnicodeError as fault:
            raise DataError(
                f"{path}: the text is not {encoding}, at or after byte {at} ({fault}). "
                "Say what it is with --set data.encoding=NAME."
            ) from fault
    return copy


def _line_feeds(text: str, old_line_ends: bool) -> str:
    return text.replace("\r", "\n") if old_line_ends else text


def _empty(path: Path) -> DataError:
    return DataError(f"{path}: the file is empty. Expected a header and at least two rows.")


def _check_no_nul(path: Path, content: mmap.mmap) -> None:
    nul = content.find(b"\0")
    if nul >= 0:
        line = content[:nul].count(b"\n") + 1
        raise DataError(f"{path}, line {line}: a NUL byte. This is not a text table; export it again as CSV.")


def _check_encoding(path: Path, file: Path) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines = 1
    with file.open("rb") as source:
        while chunk := source.read(_CHUNK):
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as fault:
                line = lines + fault.object.count(b"\n", 0, fault.start)
                raise DataError(
                    f"{path}, line {line}: byte 0x{fault.object[fault.start]:02x} is not UTF-8. Save the file as UTF-8 "
                    "(in a spreadsheet: 'CSV UTF-8'), or say what it is: --set data.encoding=cp1252."
                ) from fault
            lines += chunk.count(b"\n")


def _header(path: Path, content: mmap.mmap, dialect: Dialect) -> tuple[str, list[str], int]:
    """The separator, the checked column names, and the number of lines above them."""
    announced = _SEPARATOR_LINE.match(content)
    start = announced.end() if announced else 0
    longest = current_limits().line
    end = content.find(b"\n", start, start + longest)
    if end < 0 and len(content) > longest:
        raise DataError(
            f"{path}: the first line is longer than {longest} bytes. Expected a header, one line of column names; "
            "is this a table? --limit line=N allows longer ones."
        )
    header = content[start : end if end >= 0 else len(content)].decode("utf-8-sig", errors="replace").strip("\r")
    if header.count('"') % 2:
        raise DataError(f"{path}: a column name holds a line break or an open quotation mark. Mend the first line.")
    separator = dialect.separator or (announced[1].decode() if announced else None)
    separator = separator or ("\t" if ".tsv" in path.suffixes else None)
    if separator is None:
        separator = max(SEPARATORS, key=lambda candidate: len(_cells(header, candidate)))
    names = [name.strip() for name in _cells(header, separator)]
    if not any(names) and not content[:longest].strip():
        raise _empty(path)
    current_limits().check_columns(path, len(names))
    _check_column_names(path, names)
    return separator, names, int(announced is not None)


def _cells(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return line.split(separator)


def _check_column_names(path: Path, names: list[str]) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            called = f'"{name}"' if name else "without a name"
            raise DataError(f"{path}: {times} columns are called {called}. Give each column a name of its own.")
        if not name:
            raise DataError(f"{path}: column {names.index(name) + 1} of the header has no name. Give it one.")


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
