"""From the rows of a request to inputs of the network: rows that cannot be read are set aside with what is wrong."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import polars as pl
from jaxtyping import Num
from torch import Tensor

from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.tables.column_types import READ_AS_TEXT
from polylogit.data.tables.columns import find_mistakes, read_cells
from polylogit.data.tables.encoded_column import Column
from polylogit.data.tables.encoder import TableEncoder
from polylogit.data.tables.row_encoder import RowEncoder
from polylogit.errors import DataError, did_you_mean
from polylogit.serve.picture_bodies import UploadedFile, decode_pictures
from polylogit.serve.request_error import RequestError
from polylogit.serve.row_bodies import RowsBody
from polylogit.system.sparse_rows import SparseRows

__all__ = ["EncodedRequest", "RowFault", "encode_frame", "encode_pictures", "encode_rows", "without_overflow"]

_LONGEST_VALUE = 200


class RowFault(NamedTuple):
    """What is wrong with a row.

    Attributes:
        row: Its number, from 0.
        column: The column; None where the row as a whole is at fault.
        message: What was expected; and what came, unless errors are terse.
        value: What came; None where errors are terse.
    """

    row: int
    column: str | None
    message: str
    value: object = None

    def as_json(self) -> dict[str, object]:
        """The fault as plain data."""
        entries: dict[str, object] = {"index": self.row}
        if self.column is not None:
            entries["column"] = self.column
        if self.value is not None:
            entries["value"] = self.value
        return entries | {"message": self.message}


@dataclass(frozen=True)
class EncodedRequest:
    """The rows of a request as the network takes them.

    Args:
        inputs: One row for each row that can be read, in their order.
        rows: How many rows the request has, with those that cannot be read.
        kept: The numbers of the rows that can be read.
        faults: What is wrong with the others.
        unseen: For each row that can be read, the columns with an unseen category or an unexpected missing value; None
            where they are counted for all rows together.
        notes: What holds for all rows together.
        single: Whether the request is one row alone.
        names: The name of each file, where the rows are files.
        missing: Missing values, counted by column.
        unseen_counts: Unseen categories and unexpected missing values, counted by column.
        carried: Columns of a table that precede the prediction.
    """

    inputs: Num[Tensor, "N ..."] | SparseRows
    rows: int
    kept: Sequence[int]
    faults: list[RowFault] = field(default_factory=list)
    unseen: Sequence[tuple[str, ...]] | None = None
    notes: tuple[str, ...] = ()
    single: bool = False
    names: tuple[str | None, ...] | None = None
    missing: Mapping[str, int] = field(default_factory=dict)
    unseen_counts: Mapping[str, int] = field(default_factory=dict)
    carried: pl.DataFrame | None = None


def encode_rows(body: RowsBody, encoder: RowEncoder, columns: Mapping[str, Column], *, terse: bool) -> EncodedRequest:
    """Encode rows from JSON.

    Args:
        body: The rows.
        encoder: Of the model.
        columns: Its columns by name.
        terse: Whether faults leave out what came.

    Returns:
        The rows that can be read, and what is wrong with the others.
    """
    encoded = encoder.encode_each(body.rows)
    faults = []
    for row, name, value, _ in encoded.faults:
        if row in body.unreadable:
            faults.append(RowFault(row, None, body.unreadable[row]))
        elif name is None:
            faults.append(RowFault(row, None, "expected an object with a value for each column."))
        elif name not in body.rows[row]:
            hint = "" if terse else did_you_mean(name, [key for key in body.rows[row] if key not in columns][:50])
            faults.append(RowFault(row, name, f"the column is not there.{hint} A missing value is null."))
        else:
            faults.append(_cell_fault(row, columns[name], value, terse=terse))
    bad = {fault.row for fault in faults}
    kept: Sequence[int] = range(len(body.rows)) if not bad else [n for n in range(len(body.rows)) if n not in bad]
    counts: dict[str, int] = {}
    unseen = encoded.unseen if not bad else [encoded.unseen[row] for row in kept]
    for names in unseen:
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    return EncodedRequest(
        inputs=encoded.inputs if not bad else encoded.inputs[list(kept)],
        rows=len(body.rows),
        kept=kept,
        faults=faults,
        unseen=unseen,
        single=body.single,
        missing=encoded.missing,
        unseen_counts=counts,
    )


def encode_frame(
    frame: pl.DataFrame,
    encoder: TableEncoder,
    *,
    terse: bool,
    notes_on: Callable[[pl.DataFrame, Any], tuple[str, ...]] = lambda _, __: (),
) -> EncodedRequest:
    """Encode a table.

    Args:
        frame: The table, as read from a file.
        encoder: Of the model.
        terse: Whether faults leave out what came.
        notes_on: What a reader must know of a table and the unseen categories in it.

    Returns:
        The rows that can be read, and what is wrong with the others.

    Raises:
        RequestError: A column of the model is not there.
    """
    try:
        encoder.encode(frame.head(0), "the table")
    except DataError as fault:
        raise RequestError(422, "unreadable", str(fault)) from fault
    read = read_cells(frame, encoder.readings)
    faults, is_good = [], pl.repeat(value=True, n=frame.height, dtype=pl.Boolean, eager=True)
    for column in encoder.columns:
        wrong = _wrong_cells(encoder, column, frame[column.name], read[column.name])
        if not wrong.any():
            continue
        is_good &= ~wrong
        places = wrong.arg_true().to_list()
        values = frame[column.name].gather(places).to_list()
        faults += [_cell_fault(row, column, value, terse=terse) for row, value in zip(places, values, strict=True)]
    kept: Sequence[int] = range(frame.height)
    if faults:
        faults.sort(key=lambda fault: fault.row)
        kept = is_good.arg_true().to_list()
        read = read.filter(is_good)
    inputs, unseen = encoder.encode_counting(read, "the table")
    return EncodedRequest(
        inputs=inputs,
        rows=frame.height,
        kept=kept,
        faults=faults,
        notes=notes_on(frame, unseen),
        missing={series.name: series.null_count() for series in read if series.null_count()},
        unseen_counts={
            name: unseen.unseen.get(name, 0) + unseen.filled.get(name, 0) for name in {*unseen.unseen, *unseen.filled}
        },
    )


def encode_pictures(
    files: list[UploadedFile], encoder: PictureEncoder, max_pixels: int, *, single: bool
) -> EncodedRequest:
    """Decode pictures.

    Args:
        files: Picture files.
        encoder: Of the model.
        max_pixels: Most pixels of a picture before it is scaled.
        single: Whether the body is one picture alone.

    Returns:
        The pictures that can be read, and what is wrong with the others.
    """
    pixels, wrong = decode_pictures(files, encoder, max_pixels)
    return EncodedRequest(
        inputs=pixels,
        rows=len(files),
        kept=[number for number in range(len(files)) if number not in wrong],
        faults=[RowFault(number, None, message) for number, message in wrong.items()],
        single=single,
        names=None if single else tuple(file.name for file in files),
    )


def without_overflow(encoded: EncodedRequest, is_finite: list[bool], logits: Tensor) -> tuple[EncodedRequest, Tensor]:
    """Set aside rows whose logits are not finite: their numbers are too far from those of training.

    Args:
        encoded: The request.
        is_finite: For each row that can be read, whether its logits are finite.
        logits: The logits of these rows.

    Returns:
        The request and the logits without these rows.
    """
    far = "the numbers of the row are so far from those of training that the scores overflow."
    good = [place for place, finite in enumerate(is_finite) if finite]
    faults = [RowFault(encoded.kept[place], None, far) for place, finite in enumerate(is_finite) if not finite]
    changed = replace(
        encoded,
        inputs=encoded.inputs[good],
        kept=[encoded.kept[place] for place in good],
        faults=sorted([*encoded.faults, *faults], key=lambda fault: fault.row),
        unseen=None if encoded.unseen is None else [encoded.unseen[place] for place in good],
    )
    return changed, logits[good]


def _wrong_cells(encoder: TableEncoder, column: Column, raw: pl.Series, read: pl.Series) -> pl.Series:
    """Which cells of a column cannot be used."""
    if column.type in READ_AS_TEXT:
        if raw.dtype.is_nested() or raw.dtype in (pl.Binary, pl.Object):
            return raw.is_not_null()
        return pl.repeat(value=False, n=len(raw), dtype=pl.Boolean, eager=True)
    wrong = find_mistakes(raw, read)
    if column.type == "number":
        wrong |= encoder.is_too_far(column.name, read)
    return wrong


def _cell_fault(row: int, column: Column, value: object, *, terse: bool) -> RowFault:
    if isinstance(value, dict | list | tuple | pl.Series):
        expected = "expected one value"
    else:
        expected = {
            "number": "expected a number, not larger than those of training by many magnitudes"
            if isinstance(value, int | float)
            else "expected a number",
            "boolean": "expected true or false",
            "date": "expected a date",
        }.get(column.type, "expected text or a number")
        expected += f" written as {column.format}" if column.format and column.type != "text" else ""
    if terse:
        return RowFault(row, column.name, f"{expected}.")
    shown = value if isinstance(value, bool | int) and abs(value) < 2**53 else str(value)[:_LONGEST_VALUE]
    came = f'"{shown}"' if isinstance(value, str) else shown
    return RowFault(row, column.name, f"{expected}, got {came}.", shown)
