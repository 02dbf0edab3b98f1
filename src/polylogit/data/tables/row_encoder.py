"""The encoder of single rows: mappings from column names to cells in, the features of `TableEncoder` out.

A frame costs some milliseconds to build and to read, whatever its size. Here numbers and dates are encoded directly,
and every other cell is encoded by the `TableEncoder` once and remembered.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from jaxtyping import Float
from torch import Tensor

from polylogit.data.tables.bins import ramp
from polylogit.data.tables.column_types import LARGEST_FEATURE
from polylogit.data.tables.columns import LARGEST_NUMBER, read_columns
from polylogit.data.tables.dates import DATE_FORMATS
from polylogit.data.tables.encoded_column import Column
from polylogit.data.tables.encoder import TableEncoder
from polylogit.data.tables.feature_matrix import aligned_zeros
from polylogit.data.tables.frames import as_frame
from polylogit.data.tables.missing_markers import MissingMarkers
from polylogit.data.tables.sparse_features import sparse_nonzeros, sparse_terms
from polylogit.data.tables.text.weighting import weighted_terms
from polylogit.errors import DataError, did_you_mean
from polylogit.system.sparse_rows import SparseRows, joined_columns

__all__ = ["CellFault", "EncodedRows", "RowEncoder"]

MOST_REMEMBERED = 10_000
"""The most cells of a column that are remembered."""

_LARGEST_INTEGER = 2**63
_ONE_VALUE = (int, float, date)
_ISO_LENGTH = len("2024-05-01")


class _Cell(NamedTuple):
    """The features of a cell, and whether its value is an unseen category, unexpectedly missing, or missing.

    A text has no features but that of a missing value; its terms are found for all rows together.
    """

    features: npt.NDArray[np.float32]
    unseen: bool
    missing: bool
    text: str | None = None


class CellFault(NamedTuple):
    """A cell that cannot be read.

    Attributes:
        row: Its row, from 0.
        column: Its column; None where the row is no mapping.
        value: What came; None where the column is not there.
        message: What was expected, and what came.
    """

    row: int
    column: str | None
    value: Any
    message: str


class EncodedRows(NamedTuple):
    """Rows that were encoded although some of them cannot be read.

    Attributes:
        inputs: The features; those of a row with a fault are of no use.
        unseen: For each row the columns with an unseen category or an unexpected missing value.
        missing: For each column with missing values, how many rows have one.
        faults: The cells that cannot be read, row by row.
    """

    inputs: Float[Tensor, "N D"] | SparseRows
    unseen: list[tuple[str, ...]]
    missing: dict[str, int]
    faults: list[CellFault]


class RowEncoder:
    """Encodes rows one by one, with the same result as `TableEncoder.encode` of a frame of them.

    Args:
        encoder: The fitted encoder.
        missing: Texts that mean a missing value, besides None and NaN.

    Example:
        >>> import polars as pl
        >>> encoder = TableEncoder.fit(pl.DataFrame({"legs": [4, 2, 0], "skin": ["fur", "feathers", "scales"]}))
        >>> features, unseen = RowEncoder(encoder).encode([{"legs": 2, "skin": "fur"}, {"legs": "4", "skin": "wool"}])
        >>> features
        tensor([[0.0000, 0.0000, 1.0000, 0.0000],
                [1.2247, 0.0000, 0.0000, 0.0000]])
        >>> unseen
        [(), ('skin',)]
    """

    def __init__(self, encoder: TableEncoder, missing: Sequence[str] = ()) -> None:
        markers = MissingMarkers(missing) if missing else None
        ends = list(accumulate(column.width for column in encoder.columns))
        scaled = list(accumulate((column.scaled for column in encoder.columns), initial=0))
        self._width, self._is_sparse = encoder.features, encoder.is_sparse
        self._texts = {
            column.name: (column.vocabulary, end - column.width)
            for column, end in zip(encoder.columns, ends, strict=True)
            if column.vocabulary is not None
        }
        # All features but those of terms, which stand between them: these are few, and the terms are many.
        widths = [column.width - column.terms for column in encoder.columns]
        self._places = [place for end, width in zip(ends, widths, strict=True) for place in range(end - width, end)]
        self._columns = [
            _EncodedColumn(
                column,
                slice(end - width, end),
                encoder.mean[first:last],
                encoder.scale[first:last],
                markers,
                slot=slot,
            )
            for slot, (column, width, end, first, last) in enumerate(
                zip(encoder.columns, widths, accumulate(widths), scaled, scaled[1:], strict=False)
            )
        ]
        self._ramps = _Ramps(encoder.columns, encoder.mean, encoder.scale)

    def encode(
        self, rows: Sequence[Any], place: str = "the rows"
    ) -> tuple[Float[Tensor, "N D"] | SparseRows, list[tuple[str, ...]]]:
        """Features of rows.

        Args:
            rows: Mappings with a cell for each fitted column by its name; other names are not used. None and NaN are
                missing values.
            place: What messages call the rows.

        Returns:
            Float32 features, and for each row the columns with an unseen category or an unexpected missing value.

        Raises:
            DataError: A row has no cell for a column, or a cell cannot be read; the message names the row, from 1.
        """
        inputs = aligned_zeros(len(rows), len(self._places))
        features, texts = inputs.numpy(), self._no_texts(len(rows))
        unseen = []
        for number, row in enumerate(rows):
            found = []
            numbers = [math.nan] * len(self._columns)
            for column in self._columns:
                try:
                    cell = row[column.name]
                except (KeyError, TypeError, IndexError):
                    raise _missing_column(row, column.name, number, place) from None
                if (written := column.write(features[number], numbers, cell, number, place)) is not None:
                    if written.unseen:
                        found.append(column.name)
                    if written.text is not None:
                        texts[column.name][number] = written.text
            self._ramps.write(features[number], numbers)
            unseen.append(tuple(found))
        return self._with_terms(inputs, texts), unseen

    def _no_texts(self, rows: int) -> dict[str, list[str]]:
        return {name: [""] * rows for name in self._texts}

    def _with_terms(
        self, inputs: Float[Tensor, "N E"], texts: Mapping[str, Sequence[str]]
    ) -> Float[Tensor, "N D"] | SparseRows:
        """The rows with the terms of their texts."""
        if not self._is_sparse:
            return inputs
        found = [
            sparse_terms(weighted_terms(pl.Series(texts[name], dtype=pl.String), vocabulary), at, self._width)
            for name, (vocabulary, at) in self._texts.items()
        ]
        return joined_columns([sparse_nonzeros(inputs, self._places, self._width), *found])

    def encode_each(self, rows: Sequence[Any], place: str = "the rows") -> EncodedRows:
        """As `encode`, but a row that cannot be read is listed and does not stop the others.

        Args:
            rows: As for `encode`.
            place: What messages call the rows.

        Returns:
            The features of the rows and what is known about each.

        Example:
            >>> import polars as pl
            >>> encoder = RowEncoder(TableEncoder.fit(pl.DataFrame({"legs": [4, 2, 0]})))
            >>> encoded = encoder.encode_each([{"legs": 2}, {"legs": "x"}])
            >>> [(fault.row, fault.column, fault.value) for fault in encoded.faults]
            [(1, 'legs', 'x')]
        """
        inputs = aligned_zeros(len(rows), len(self._places))
        features, texts = inputs.numpy(), self._no_texts(len(rows))
        unseen: list[tuple[str, ...]] = []
        missing: dict[str, int] = {}
        faults: list[CellFault] = []
        for number, row in enumerate(rows):
            found: list[str] = []
            unseen.append(())
            if not isinstance(row, Mapping):
                faults.append(CellFault(number, None, row, str(_missing_column(row, "", number, place))))
                continue
            numbers = [math.nan] * len(self._columns)
            for column in self._columns:
                if column.name not in row:
                    message = str(_missing_column(row, column.name, number, place))
                    faults.append(CellFault(number, column.name, None, message))
                    continue
                cell = row[column.name]
                try:
                    written = column.write(features[number], numbers, cell, number, place)
                except DataError as fault:
                    faults.append(CellFault(number, column.name, cell, str(fault)))
                    continue
                if written is not None:
                    if written.unseen:
                        found.append(column.name)
                    if written.text is not None:
                        texts[column.name][number] = written.text
                    if written.missing:
                        missing[column.name] = missing.get(column.name, 0) + 1
            self._ramps.write(features[number], numbers)
            if found:
                unseen[-1] = tuple(found)
        return EncodedRows(self._with_terms(inputs, texts), unseen, missing, faults)


class _EncodedColumn:
    """One column of the encoder with the cells that are remembered."""

    def __init__(
        self,
        column: Column,
        places: slice,
        mean: Float[Tensor, " C"],
        scale: Float[Tensor, " C"],
        markers: MissingMarkers | None,
        *,
        slot: int,
    ) -> None:
        self._markers = markers
        self.name = column.name
        self._places = places
        self._encoder = TableEncoder([column], mean, scale)
        self._is_number = column.type == "number"
        self._is_text, self._may_be_missing = column.type == "text", column.missing
        self._takes_iso = column.type == "date" and column.format in (None, DATE_FORMATS[0])
        self._mean, self._scale = (mean[0].item(), scale[0].item()) if len(mean) else (0.0, 1.0)
        self._ends = (column.bin_edges[0], column.bin_edges[-1]) if column.bin_edges else None
        self._slot = slot
        self._remembered: dict[object, _Cell] = {}

    def write(
        self, features: npt.NDArray[np.float32], numbers: list[float], cell: object, row: int, place: str
    ) -> _Cell | None:
        """Write the features of a cell; None for a number, which is neither unseen nor missing.

        The features of the bins of a number are left to `_Ramps`, which finds it in `numbers`.
        """
        if self._markers is not None and self._markers.hold(cell):
            cell = None
        if self._is_number:
            number = _as_number(cell)
            if number is not None:
                if self._ends is not None:
                    number = min(max(number, self._ends[0]), self._ends[1])
                feature = (number - self._mean) / self._scale
                if abs(feature) > LARGEST_FEATURE:
                    raise self._too_far(cell, row, place)
                features[self._places.start] = feature
                numbers[self._slot] = number
                return None
        elif self._is_text:
            text = self._text(cell, row, place)
            if text is None and self._may_be_missing:
                features[self._places] = 1.0
            return _Cell(features[:0], text is None and not self._may_be_missing, text is None, text)
        elif self._takes_iso and isinstance(cell, str) and len(cell) == _ISO_LENGTH:
            with suppress(ValueError):  # the message is the encoder's
                cell = date.fromisoformat(cell)
        found = self._encoded(cell, row, place)
        features[self._places] = found.features
        return found

    def _text(self, cell: object, row: int, place: str) -> str | None:
        if isinstance(cell, str):
            return cell.strip() or None
        if cell is not None and not isinstance(cell, _ONE_VALUE):
            raise self._no_single_value(cell, row, place)
        frame = read_columns(as_frame({self.name: [cell]}, place=place), self._encoder.readings, place, row)
        found = frame[self.name][0]
        return None if found is None else str(found)

    def _encoded(self, cell: object, row: int, place: str) -> _Cell:
        if isinstance(cell, float) and math.isnan(cell):
            cell = None
        key = (type(cell), cell)
        try:
            found = self._remembered.get(key)
        except TypeError:
            raise self._no_single_value(cell, row, place) from None
        if found is None:
            found = self._read(cell, row, place)
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = found
        return found

    def _read(self, cell: object, row: int, place: str) -> _Cell:
        frame = read_columns(as_frame({self.name: [cell]}, place=place), self._encoder.readings, place, row)
        features, counts = self._encoder.encode_counting(frame, place, row)
        dense = features.dense() if isinstance(features, SparseRows) else features
        return _Cell(dense[0].numpy(), bool(counts.unseen or counts.filled), bool(frame[self.name].null_count()))

    def _no_single_value(self, cell: object, row: int, place: str) -> DataError:
        return DataError(
            f'{place}, column "{self.name}", row {row + 1}: expected one value, got {type(cell).__name__}.'
        )

    def _too_far(self, cell: object, row: int, place: str) -> DataError:
        return DataError(
            f'{place}, column "{self.name}", row {row + 1}: expected a number of the magnitude of the training rows, '
            f"got {cell}, which is beyond single precision once it is standardised."
        )


class _Ramps:
    """The features of the bins of all numbers, worked out together."""

    def __init__(self, columns: Sequence[Column], mean: Float[Tensor, " C"], scale: Float[Tensor, " C"]) -> None:
        sources, places, scaled, low, high = [], [], [], [], []
        feature = number = 0
        for source, column in enumerate(columns):
            if column.type == "number":
                bins = range(1, len(column.ramps) + 1)
                sources += [source] * len(bins)
                places += [feature + place for place in bins]
                scaled += [number + place for place in bins]
                low += [edges[0] for edges in column.ramps]
                high += [edges[1] for edges in column.ramps]
            feature, number = feature + column.width - column.terms, number + column.scaled
        self._sources, self._places = np.array(sources, dtype=np.int64), np.array(places, dtype=np.int64)
        self._low, self._high = np.array(low), np.array(high)
        self._mean, self._scale = mean.numpy()[scaled], scale.numpy()[scaled]

    def write(self, features: npt.NDArray[np.float32], numbers: Sequence[float]) -> None:
        """Write those of one row, as `TableEncoder` does, so that the bits are the same.

        Args:
            features: Of the row.
            numbers: One a column; NaN where its features are written already.
        """
        if not len(self._places):
            return
        shares = ramp(np.array(numbers)[self._sources], self._low, self._high)
        values = (shares - self._mean) / self._scale
        there = ~np.isnan(values)
        features[self._places[there]] = values[there]


def _as_number(cell: object) -> float | None:
    """The number of a cell that needs no reading; None for every other cell."""
    kind = type(cell)
    if kind is float or kind is bool or (kind is int and abs(cell) < _LARGEST_INTEGER):  # type: ignore[arg-type]  # it is an int
        number = float(cell)  # type: ignore[arg-type]  # it is a number
        return number if abs(number) <= LARGEST_NUMBER else None
    return None


def _missing_column(row: object, name: str, number: int, place: str) -> DataError:
    if not isinstance(row, Mapping):
        return DataError(
            f"{place}, row {number + 1}: expected a mapping from column names to cells, got {type(row).__name__}."
        )
    return DataError(
        f'{place}, row {number + 1}: the column "{name}" is not there.{did_you_mean(name, [str(key) for key in row])} '
        "A missing value is None."
    )
