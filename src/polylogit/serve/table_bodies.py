"""Tables in a body: CSV, TSV, Parquet and Arrow, read by the same code as files of these formats."""

import polars as pl

from polylogit.data.tables.delimited import Dialect
from polylogit.data.tables.reading import read_table
from polylogit.errors import DataError
from polylogit.serve.request_error import RequestError
from polylogit.system.temporary_folder import temporary_folder

__all__ = ["TABLE_TYPES", "read_table_body"]

TABLE_TYPES = {
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/vnd.apache.parquet": ".parquet",
    "application/x-parquet": ".parquet",
    "application/vnd.apache.arrow.stream": ".arrow",
    "application/vnd.apache.arrow.file": ".arrow",
}
"""The ending of a file of each media type."""

_COMPRESSED_BUFFERS = (b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18")
"""How buffers that are compressed with zstd and LZ4 start; in Arrow the length of their content stands before it."""

_PLAUSIBLE_LENGTH = 2**48


def read_table_body(
    body: bytes, media_type: str, dialect: Dialect, max_rows: int, max_bytes: int, *, terse: bool = False
) -> pl.DataFrame:
    """Read a table.

    Args:
        body: The file's content.
        media_type: One of `TABLE_TYPES`.
        dialect: How text tables are written.
        max_rows: Most rows.
        max_bytes: Most bytes of all texts together, and of Arrow's buffers after decompression.
        terse: Whether an error leaves out what came.

    Returns:
        The frame.

    Raises:
        RequestError: The table cannot be read, or exceeds a limit.
    """
    ending = TABLE_TYPES[media_type]
    if ending == ".arrow":
        _check_arrow_expansion(body, max_bytes)
    with temporary_folder() as folder:
        path = folder / f"table{ending}"
        path.write_bytes(body)
        try:
            if ending == ".parquet":
                _check_rows(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item(), max_rows)
            frame = read_table(path, dialect)
        except DataError as fault:
            message = (
                f"the body cannot be read as {media_type}." if terse else str(fault).replace(str(path), "the body")
            )
            raise RequestError(422, "unreadable", message) from fault
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as fault:
            raise RequestError(422, "unreadable", f"the body cannot be read as {media_type}.") from fault
    _check_rows(frame.height, max_rows)
    _check_texts(frame, max_bytes)
    return frame


def _check_rows(rows: int, max_rows: int) -> None:
    if rows > max_rows:
        raise RequestError(
            413, "too_large", f"the body has {rows} rows, and a request may have {max_rows}. Send fewer at a time."
        )


def _check_texts(frame: pl.DataFrame, max_bytes: int) -> None:
    """Refuse texts that are long once they are written out: in Parquet a million rows may share one text."""
    texts = [pl.col(pl.String).str.len_bytes().sum().name.prefix("")]
    if sum(frame.select(texts).sum_horizontal()) > max_bytes:
        raise RequestError(413, "too_large", f"the texts of the table are longer than {max_bytes} bytes together.")


def _check_arrow_expansion(body: bytes, max_bytes: int) -> None:
    """Refuse Arrow whose compressed buffers say that their contents are longer than the limit together."""
    total = 0
    for magic in _COMPRESSED_BUFFERS:
        place = body.find(magic)
        while place >= 0:
            length = int.from_bytes(body[max(0, place - 8) : place], "little", signed=True)
            if 0 < length < _PLAUSIBLE_LENGTH:
                total += length
            place = body.find(magic, place + 1)
    if total > max_bytes:
        raise RequestError(
            413, "too_large", f"the table is longer than {max_bytes} bytes after decompression. Send fewer rows."
        )
