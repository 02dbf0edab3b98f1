"""Table files: one file of any known format becomes a frame, or a clear error.

The format is chosen by the ending. See also: `delimited` for text, `parts` for folders, `columns` for cells.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import polars as pl

from polylogit.data.tables.archives import table_in_archive
from polylogit.data.tables.column_types import FIRST_DAY, LAST_DAY
from polylogit.data.tables.compression import ARROW_ENDINGS, PARQUET_ENDINGS, is_compressed, opened, table_ending
from polylogit.data.tables.delimited import CELLS_AT_ONCE, read_delimited, scan_delimited
from polylogit.data.tables.dialect import Dialect
from polylogit.data.tables.json_lines import check_json_lines, check_lines
from polylogit.data.tables.limits import current_limits
from polylogit.data.tables.literal_path import literal_path
from polylogit.data.tables.missing_markers import unused_markers, without_markers
from polylogit.data.tables.records import read_records
from polylogit.data.tables.stored_frame import rows_of_a_block, stored_frame
from polylogit.data.tables.table_size import bounds_of_row_groups
from polylogit.data.tables.workbooks import WORKBOOK_ENDINGS, read_workbook
from polylogit.errors import DataError
from polylogit.system.out_of_memory import address_space_left, is_out_of_memory
from polylogit.system.quiet_panics import quiet_panics
from polylogit.system.regular_file import check_regular
from polylogit.system.temporary_folder import temporary_folder

__all__ = ["DELIMITED_ENDINGS", "ENDINGS", "is_table", "read_table", "scan_table"]

DELIMITED_ENDINGS = (".csv", ".tsv", ".tab", ".txt")
_JSON_ENDINGS = (".jsonl", ".ndjson")

_BINARY_ENDINGS = (*PARQUET_ENDINGS, *ARROW_ENDINGS)

_RECORDS_ENDING = ".json"
_ARCHIVE_ENDING = ".zip"

ENDINGS = (
    *(*DELIMITED_ENDINGS, *PARQUET_ENDINGS, *ARROW_ENDINGS, *_JSON_ENDINGS, _RECORDS_ENDING),
    *(*WORKBOOK_ENDINGS, _ARCHIVE_ENDING),
)
"""The endings of the table files that can be read; text files may be compressed too, as in `.csv.gz`."""

_A_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}

_MEMORY_PER_BYTE = 4
_ADDRESSES_TO_READ, _ADDRESSES_PER_CPU = 2**30, 2**27
"""What the threads of polars and the allocators map before the first row is read; without it they abort or wait."""

_FAULTS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError)


def is_table(path: Path) -> bool:
    """Whether the ending is one that `read_table` takes.

    Example:
        >>> is_table(Path("a.csv.gz")), is_table(Path("a.parquet")), is_table(Path("a.parquet.gz"))
        (True, True, False)
    """
    texts = (*DELIMITED_ENDINGS, *_JSON_ENDINGS, _RECORDS_ENDING)
    return table_ending(path) in (texts if is_compressed(path) else ENDINGS)


def read_table(
    path: Path,
    dialect: Dialect | None = None,
    notes: list[str] | None = None,
    *,
    stored: bool = False,
    on_rows: Callable[[int], None] | None = None,
) -> pl.DataFrame:
    r"""Read a table file.

    Args:
        path: A file for which `is_table` holds.
        dialect: How it is written.
        notes: Gets a sentence for everything that is read differently than it is written.
        stored: Whether the frame is kept in a mapped file and not in memory.
        on_rows: Called with the rows of each block as they are read, where the frame is stored.

    Returns:
        A frame. Cells of delimited text are String and null where empty; the other formats keep their types.

    Raises:
        DataError: The file cannot be read, is cut short or damaged, or has no columns or rows.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "animals.jsonl"
        >>> _ = path.write_text('{"legs": 4, "type": "mammal"}\n{"legs": 2}\n')
        >>> read_table(path).rows()
        [(4, 'mammal'), (2, None)]
    """
    _check_memory(path, 0 if stored else _MEMORY_PER_BYTE)
    dialect, notes = dialect or Dialect(), [] if notes is None else notes
    match table_ending(path):
        case ending if ending == _ARCHIVE_ENDING:
            with _unpacked(path, notes) as (table, own_notes):
                return read_table(table, dialect, own_notes, stored=stored, on_rows=on_rows)
        case _ if stored:
            frame = stored_frame(_counted(_read_batches(path, dialect, notes, to_store=True), on_rows))
        case ending if ending in DELIMITED_ENDINGS:
            frame = read_delimited(path, dialect, notes)
        case ending if ending in WORKBOOK_ENDINGS:
            frame = read_workbook(path, dialect, notes)
        case ending if ending == _RECORDS_ENDING:
            frame = read_records(path)
        case _:
            with _scanned(path) as scan, quiet_panics():
                frame = scan.collect()
    check_dates(frame, str(path))
    if frame.is_empty():
        raise DataError(f"{path}: the table has {frame.width} columns but no row.")
    notes += [
        f'{path}: no cell is "{marker}", which data.missing names.' for marker in unused_markers(frame, dialect.missing)
    ]
    if stored and dialect.missing:
        blocks = frame.iter_slices(rows_of_a_block(frame))
        return stored_frame(without_markers(block, dialect.missing) for block in blocks)
    return without_markers(frame, dialect.missing)


def _check_memory(path: Path, per_byte: int = 0) -> None:
    """Raise an error before reading a table that `ulimit -v` leaves no room for: libraries abort, and do not raise."""
    left = address_space_left()
    if left is None or not path.is_file():
        return
    to_read = _ADDRESSES_TO_READ + _ADDRESSES_PER_CPU * (os.cpu_count() or 1)
    if to_read + per_byte * path.stat().st_size > left:
        raise MemoryError


def scan_table(path: Path, dialect: Dialect | None = None, notes: list[str] | None = None) -> Iterator[pl.DataFrame]:
    """The rows of `read_table` in batches, without ever holding them all, but for workbooks and JSON records.

    Args:
        path: A file for which `is_table` holds.
        dialect: How it is written.
        notes: As for `read_table`.

    Yields:
        Frames, in the order of the rows.

    Raises:
        DataError: As `read_table`, but a fault far down in the file is raised when it is reached.
    """
    dialect, notes = dialect or Dialect(), [] if notes is None else notes
    ending = table_ending(path)
    if ending == _ARCHIVE_ENDING:
        with _unpacked(path, notes) as (table, own_notes):
            yield from scan_table(table, dialect, own_notes)
        return
    _check_memory(path)
    found, first_row = False, 0
    for batch in _read_batches(path, dialect, notes):
        found = found or not batch.is_empty()
        check_dates(batch, str(path), first_row)
        first_row += batch.height
        yield without_markers(batch, dialect.missing)
    if not found:
        raise DataError(f"{path}: the table has no row.")


def _read_batches(path: Path, dialect: Dialect, notes: list[str], *, to_store: bool = False) -> Iterator[pl.DataFrame]:
    ending = table_ending(path)

    def rows_at_once(columns: pl.DataFrame) -> int:
        return rows_of_a_block(columns) if to_store else max(1, CELLS_AT_ONCE // max(1, columns.width))

    if ending in DELIMITED_ENDINGS:
        yield from scan_delimited(path, dialect, notes)
    elif ending in (*WORKBOOK_ENDINGS, _RECORDS_ENDING):
        frame = read_workbook(path, dialect, notes) if ending in WORKBOOK_ENDINGS else read_records(path)
        yield from frame.iter_slices(rows_at_once(frame))
    else:
        with _scanned(path) as scan:
            rows = rows_at_once(scan.collect_schema().to_frame())
            yield from _slices(path, scan, rows) if ending in _BINARY_ENDINGS else _batches(scan, rows)


def _counted(batches: Iterator[pl.DataFrame], on_rows: Callable[[int], None] | None) -> Iterator[pl.DataFrame]:
    for batch in batches:
        yield batch
        if on_rows is not None:
            on_rows(batch.height)


@contextmanager
def _unpacked(path: Path, notes: list[str]) -> Iterator[tuple[Path, list[str]]]:
    """The table in an archive, in a temporary folder that no message and no note names."""
    with table_in_archive(path, lambda inner: is_table(inner) and inner.suffix.lower() != _ARCHIVE_ENDING) as found:
        table, name = found
        own_notes: list[str] = []
        try:
            yield table, own_notes
        except DataError as fault:
            raise DataError(str(fault).replace(str(table), name)) from fault
        finally:
            notes += [note.replace(str(table), name) for note in own_notes]


def _slices(path: Path, scan: pl.LazyFrame, rows: int) -> Iterator[pl.DataFrame]:
    """Slice by slice, each read from the file again: polars' own batches read ahead, three times as much memory.

    Of several slices none reaches from one row group into the next, so that each is decoded as few times as possible.
    """
    whole = _height(scan)
    groups = bounds_of_row_groups(path) if whole > rows and table_ending(path) in PARQUET_ENDINGS else []
    for first, height in groups or [(0, whole)]:
        for start in range(first, first + max(height, 1), rows):
            with quiet_panics():
                batch = scan.slice(start, min(rows, first + height - start)).collect()
            yield batch


def _height(scan: pl.LazyFrame) -> int:
    with quiet_panics():
        return int(scan.select(pl.len()).collect().item())


def _batches(scan: pl.LazyFrame, rows: int) -> Iterator[pl.DataFrame]:
    yield from scan.collect_batches(chunk_size=rows, maintain_order=True)


@contextmanager
def _scanned(path: Path) -> Iterator[pl.LazyFrame]:
    """A lazy frame of the file; whatever polars says against the file while it is used becomes a DataError."""
    try:
        check_regular(path)
    except OSError as fault:
        raise DataError(f"{path}: cannot be read ({fault.strerror}).") from fault
    if not path.is_file():
        raise DataError(f"{path}: cannot be read (no such file).")
    with ExitStack() as files:
        try:
            scan = _lazy(path, files)
            _check_size(path, scan)
            yield scan
        except _FAULTS as fault:
            if isinstance(fault, DataError):
                raise
            if table_ending(path) in _JSON_ENDINGS:
                check_lines(path)
            if is_out_of_memory(fault):
                raise MemoryError from fault
            reason = (str(fault) or type(fault).__name__).splitlines()[0]
            if isinstance(fault, pl.exceptions.PanicException):
                reason = "its content is damaged, or two columns have the same name"
            raise DataError(
                f"{path}: cannot be read as {_format_name(path)} ({reason}). "
                "Is the file whole, and is its ending the right one?"
            ) from fault


def _lazy(path: Path, files: ExitStack) -> pl.LazyFrame:
    ending = table_ending(path)
    if not path.stat().st_size:
        raise DataError(f"{path}: the file is empty.")
    if ending in PARQUET_ENDINGS:
        return pl.scan_parquet(literal_path(path), glob=False)
    if ending in ARROW_ENDINGS:
        with path.open("rb") as file:
            is_file = file.read(6) == b"ARROW1"
        from polylogit.data.tables.arrow_check import check_arrow  # noqa: PLC0415 - pyarrow, for Arrow files only

        check_arrow(path, stream=not is_file)
        if is_file:
            return pl.scan_ipc(literal_path(path), glob=False)
        with path.open("rb") as stream, quiet_panics():
            return pl.read_ipc_stream(stream).lazy()
    plain = path
    if is_compressed(path):
        plain = files.enter_context(temporary_folder()) / "plain.jsonl"
        with opened(path) as source, plain.open("wb") as target:
            shutil.copyfileobj(source, target, 4 * 2**20)
    check_json_lines(path, plain)
    # An open file, because a path would be read as a pattern: `a[1].jsonl` would name `a1.jsonl`.
    return pl.scan_ndjson(files.enter_context(plain.open("rb")), infer_schema_length=None)


def _check_size(path: Path, scan: pl.LazyFrame) -> None:
    """Raise an error if the table is too wide, or claims more rows than its bytes explain."""
    with quiet_panics():
        columns = len(scan.collect_schema())
    current_limits().check_columns(path, columns)
    if table_ending(path) in _BINARY_ENDINGS:
        current_limits().check_cells(path, _height(scan), columns, path.stat().st_size)


def check_dates(frame: pl.DataFrame, place: str, first_row: int = 0) -> None:
    """Raise an error at a date outside the years 1 to 9999: polars stops the process where it must write one.

    Args:
        frame: A table.
        place: What messages call it.
        first_row: The number of rows before those of the frame.

    Raises:
        DataError: There is one; the message names its column and row.
    """
    for column in frame.get_columns():
        match column.dtype:
            case pl.Date():
                a_day = 1
            case pl.Datetime(time_unit=unit):
                a_day = _A_DAY[unit]
            case _:
                continue
        days = column.to_physical() // a_day
        outside = (days < FIRST_DAY) | (days > LAST_DAY)
        if outside.any():
            row = first_row + int(outside.arg_max() or 0) + 1
            raise DataError(
                f'{place}, column "{column.name}", row {row}: a date outside the years 1 to 9999. Correct the cell, or '
                "leave the column out before the table is written."
            )


def _format_name(path: Path) -> str:
    ending = table_ending(path)
    return "Parquet" if ending in PARQUET_ENDINGS else "Arrow" if ending in ARROW_ENDINGS else "JSON lines"
