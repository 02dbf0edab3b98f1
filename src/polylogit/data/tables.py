"""Tables in: a CSV or TSV file becomes a frame of text columns, or a clear error.

Owns what can be wrong with the file itself: its encoding, its header, its rows. Every cell stays text with the white
space around it removed, and an empty cell is missing; what a column means is the encoder's business.
"""

import csv
from collections import Counter
from pathlib import Path

import polars as pl

from polylogit.errors import DataError

__all__ = ["SEPARATORS", "read_table"]

SEPARATORS = {".csv": ",", ".tsv": "\t"}
"""The endings of the table files that can be read, and what stands between their cells."""


def read_table(path: Path) -> pl.DataFrame:
    r"""Read a delimited text file with a header, every cell as text.

    Rows count from 1 below the header in every message about cells; lines count from 1 in the file. Empty lines are
    passed over.

    Args:
        path: A file that ends in one of `SEPARATORS`, in UTF-8.

    Returns:
        A frame of String columns; missing cells are null.

    Raises:
        DataError: The file cannot be read, is empty, is not UTF-8, has no rows, repeats a column name, or has a
            row with another number of cells than its header.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "animals.csv"
        >>> _ = path.write_text("legs,type\n4, mammal\n2,\n")
        >>> read_table(path).rows()
        [('4', 'mammal'), ('2', None)]
    """
    separator = SEPARATORS[path.suffix.lower()]
    try:
        content = path.read_bytes()
    except OSError as fault:
        raise DataError(f"{path}: cannot be read ({fault.strerror}).") from fault
    if not content.strip():
        raise DataError(f"{path}: the file is empty. Expected a header and at least two rows.")
    _refuse_other_encodings(path, content)
    _refuse_repeated_names(path, separator)
    try:
        frame = pl.read_csv(content, separator=separator, infer_schema=False)
    except pl.exceptions.PolarsError as fault:
        _refuse_ragged_rows(path, separator)
        raise DataError(f"{path}: cannot be read as a table ({str(fault).splitlines()[0]}).") from fault
    frame = frame.with_columns(pl.all().str.strip_chars().replace("", None))
    if frame.width > 1:
        if frame.to_series(-1).null_count():  # polars fills short rows from the right with nulls
            _refuse_ragged_rows(path, separator)
        frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    if frame.is_empty():
        raise DataError(f"{path}: there is a header but no row below it.")
    return frame


def _refuse_other_encodings(path: Path, content: bytes) -> None:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        raise DataError(
            f"{path}, line {line}: byte 0x{content[fault.start]:02x} is not UTF-8. "
            "Save the file as UTF-8 (in a spreadsheet: 'CSV UTF-8'), or convert it, say with iconv."
        ) from fault
    nul = content.find(b"\0")
    if nul >= 0:
        line = content.count(b"\n", 0, nul) + 1
        raise DataError(f"{path}, line {line}: a NUL byte. This is not a text table; export it anew as CSV.")


def _refuse_repeated_names(path: Path, separator: str) -> None:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        names = [name.strip() for name in next(csv.reader(lines, delimiter=separator), [])]
    for name, times in Counter(names).items():
        if times > 1:
            called = f'"{name}"' if name else "without a name"
            raise DataError(f"{path}: {times} columns are called {called}. Give each column a name of its own.")
        if not name:
            raise DataError(f"{path}: column {names.index(name) + 1} of the header has no name. Give it one.")


def _refuse_ragged_rows(path: Path, separator: str) -> None:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.reader(lines, delimiter=separator)
        expected = len(next(reader))
        line = reader.line_num + 1
        try:
            for cells in reader:
                if cells and len(cells) != expected:
                    raise DataError(
                        f"{path}, line {line}: expected {expected} cells as in the header, got {len(cells)}. "
                        "Mend the line: a cell that holds the separator needs quotes around it."
                    )
                line = reader.line_num + 1
        except csv.Error as fault:
            raise DataError(f"{path}, line {line}: {fault}.") from fault
