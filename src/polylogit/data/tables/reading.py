"""Table files: one file of any known format becomes a frame, or a clear error.

The format is chosen by the ending. See also: `delimited` for text, `parts` for folders, `columns` for cells.
"""

import json
import mmap
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import polars as pl

from polylogit.data.tables.compression import is_compressed, opened, table_ending
from polylogit.data.tables.delimited import (
    CELLS_AT_ONCE,
    Dialect,
    literal_path,
    read_delimited,
    scan_delimited,
)
from polylogit.data.tables.limits import current_limits
from polylogit.errors import DataError
from polylogit.system.temporary_folder import temporary_folder

__all__ = ["DELIMITED_ENDINGS", "ENDINGS", "is_table", "read_table", "scan_table"]

DELIMITED_ENDINGS = (".csv", ".tsv")
_PARQUET_ENDINGS = (".parquet", ".pq")
_ARROW_ENDINGS = (".arrow", ".feather")
_JSON_ENDINGS = (".jsonl", ".ndjson")

_BINARY_ENDINGS = (*_PARQUET_ENDINGS, *_ARROW_ENDINGS)

ENDINGS = (*DELIMITED_ENDINGS, *_PARQUET_ENDINGS, *_ARROW_ENDINGS, *_JSON_ENDINGS)
"""The endings of the table files that can be read; text files may be compressed too, as in `.csv.gz`."""

_NAME = re.compile(rb'"([^"\\]*)"\s*:')
"""A name in a JSON object, up to escapes; one inside a nested object counts too."""

_FAULTS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError)


def is_table(path: Path) -> bool:
    """Whether the ending is one that `read_table` takes.

    Example:
        >>> is_table(Path("a.csv.gz")), is_table(Path("a.parquet")), is_table(Path("a.parquet.gz"))
        (True, True, False)
    """
    texts = (*DELIMITED_ENDINGS, *_JSON_ENDINGS)
    return table_ending(path) in (texts if is_compressed(path) else ENDINGS)


def read_table(path: Path, dialect: Dialect | None = None) -> pl.DataFrame:
    r"""Read a table file.

    Args:
        path: A file for which `is_table` holds.
        dialect: How a text table is written; other formats pass it over.

    Returns:
        A frame. Cells of delimited text are String and null where empty; the other formats keep their types.

    Raises:
        DataError: The file cannot be read, is cut short or damaged, or has no columns or rows.

    Example:
        >>>         >>> path = Path(tempfile.mkdtemp()) / "animals.jsonl"
        >>> _ = path.write_text('{"legs": 4, "type": "mammal"}\n{"legs": 2}\n')
        >>> read_table(path).rows()
        [(4, 'mammal'), (2, None)]
    """
    if table_ending(path) in DELIMITED_ENDINGS:
        return read_delimited(path, dialect)
    with _scanned(path) as scan:
        frame = scan.collect()
    if frame.is_empty():
        raise DataError(f"{path}: the table has {frame.width} columns but no row.")
    return frame


def scan_table(path: Path, dialect: Dialect | None = None) -> Iterator[pl.DataFrame]:
    """The rows of `read_table` in batches, without ever holding them all.

    Args:
        path: A file for which `is_table` holds.
        dialect: How a text table is written.

    Yields:
        Frames, in the order of the rows.

    Raises:
        DataError: As `read_table`, but a fault far down in the file is raised when it is reached.
    """
    if table_ending(path) in DELIMITED_ENDINGS:
        yield from scan_delimited(path, dialect)
        return
    found = False
    with _scanned(path) as scan:
        rows = max(1, CELLS_AT_ONCE // max(1, len(scan.collect_schema())))
        for batch in _slices(scan, rows) if table_ending(path) in _BINARY_ENDINGS else _batches(scan, rows):
            found = found or not batch.is_empty()
            yield batch
    if not found:
        raise DataError(f"{path}: the table has no row.")


def _slices(scan: pl.LazyFrame, rows: int) -> Iterator[pl.DataFrame]:
    """Slice by slice, each read from the file again: polars' own batches read ahead, three times as much memory."""
    height = scan.select(pl.len()).collect().item()
    for start in range(0, height, rows):
        yield scan.slice(start, rows).collect()


def _batches(scan: pl.LazyFrame, rows: int) -> Iterator[pl.DataFrame]:
    yield from scan.collect_batches(chunk_size=rows, maintain_order=True)


@contextmanager
def _scanned(path: Path) -> Iterator[pl.LazyFrame]:
    """A lazy frame of the file; whatever polars says against the file while it is used becomes a DataError."""
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
                _check_lines(path)
            reason = (str(fault) or type(fault).__name__).splitlines()[0]
            raise DataError(
                f"{path}: cannot be read as {_format_name(path)} ({reason}). "
                "Is the file whole, and is its ending the right one?"
            ) from fault


def _lazy(path: Path, files: ExitStack) -> pl.LazyFrame:
    ending = table_ending(path)
    if not path.stat().st_size:
        raise DataError(f"{path}: the file is empty.")
    if ending in _PARQUET_ENDINGS:
        return pl.scan_parquet(literal_path(path), glob=False)
    if ending in _ARROW_ENDINGS:
        with path.open("rb") as file:
            is_file = file.read(6) == b"ARROW1"
        if is_file:
            return pl.scan_ipc(literal_path(path), glob=False)
        with path.open("rb") as stream:
            return pl.read_ipc_stream(stream).lazy()
    plain = path
    if is_compressed(path):
        plain = files.enter_context(temporary_folder()) / "plain.jsonl"
        with opened(path) as source, plain.open("wb") as target:
            shutil.copyfileobj(source, target, 4 * 2**20)
    _check_names(path, plain)
    # An open file, because a path would be read as a pattern: `a[1].jsonl` would name `a1.jsonl`.
    return pl.scan_ndjson(files.enter_context(plain.open("rb")), infer_schema_length=None)


def _check_size(path: Path, scan: pl.LazyFrame) -> None:
    """Raise an error if the table is too wide, or claims more rows than its bytes explain."""
    columns = len(scan.collect_schema())
    current_limits().check_columns(path, columns)
    if table_ending(path) in _BINARY_ENDINGS:
        rows = scan.select(pl.len()).collect().item()
        current_limits().check_cells(path, rows, columns, path.stat().st_size)


def _check_names(path: Path, plain: Path) -> None:
    """Raise an error if the objects of JSON lines have so many names that their table would be mostly empty."""
    if not plain.stat().st_size:
        return
    limits, names, rows = current_limits(), set[bytes](), 0
    with plain.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for start, end in limits.blocks_of_lines(path, content):
            names.update(_NAME.findall(content, start, end))
            rows += content[start:end].count(b"\n")
            limits.check_columns(path, len(names))
            limits.check_cells(path, rows, len(names), path.stat().st_size)


def _format_name(path: Path) -> str:
    ending = table_ending(path)
    return "Parquet" if ending in _PARQUET_ENDINGS else "Arrow" if ending in _ARROW_ENDINGS else "JSON lines"


def _check_lines(path: Path) -> None:
    """Name the first line that is no JSON object."""
    with opened(path) as source:
        for line, content in enumerate(source, start=1):
            if not content.strip():
                continue
            try:
                names = json.loads(content, object_pairs_hook=lambda pairs: [name for name, _ in pairs])
            except (ValueError, RecursionError) as fault:
                raise DataError(f"{path}, line {line}: not JSON ({fault}). Expected one object a line.") from fault
            if not isinstance(names, list) or content.strip()[:1] != b"{":
                raise DataError(f'{path}, line {line}: expected a JSON object, as in {{"legs": 4, "type": "mammal"}}.')
            for name, times in Counter(names).items():
                if times > 1:
                    raise DataError(f'{path}, line {line}: the name "{name}" stands there {times} times.')
