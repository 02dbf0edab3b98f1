"""The encoder of tables: a fitted map from named columns to a row of numbers per row.

See also: `polylogit.data.tables.encoded_column`, one column; `polylogit.data.tables.columns`, how cells are read.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.data.tables.chosen_rows import ChosenRows
from polylogit.data.tables.column_ranges import with_ranges
from polylogit.data.tables.column_types import LARGEST_FEATURE, READ_AS_TEXT, Reading, check_number_format
from polylogit.data.tables.columns import read_columns
from polylogit.data.tables.encoded_column import UNSEEN, Column
from polylogit.data.tables.feature_matrix import aligned_zeros
from polylogit.data.tables.feature_scales import fitted_scales
from polylogit.data.tables.feature_values import ROWS_A_BLOCK, raise_flags, scaled_numbers, write_standardised
from polylogit.data.tables.fitted_columns import fitted_columns
from polylogit.data.tables.named_column import select_named
from polylogit.data.tables.sparse_features import has_many_levels, sparse_flags, sparse_numbers, sparse_terms
from polylogit.data.tables.text.model_entries import vocabularies_of
from polylogit.data.tables.text.weighting import weighted_terms
from polylogit.data.tables.type_inference import find_readings, refusal
from polylogit.data.tables.unseen import UnseenCounts
from polylogit.errors import DataError, ModelFileError, did_you_mean
from polylogit.system.sparse_rows import SparseRows, joined_columns, joined_sparse_rows, stored_sparse_rows

__all__ = ["TableEncoder"]

_LEAST_SCALE, _MOST_SCALE = 1e-300, 1e101
_FLAGS_AT_ONCE = 2**22
_SPARSE_ROWS_AT_ONCE = 2**14


class TableEncoder:
    """A fitted map from named columns to features.

    number:   (value - mean) / scale, where scale is the standard deviation, or 1 for a constant column; a gap gives 0.
              Where numbers are to stay as they are, mean is 0 and scale 1.
    boolean:  the same of 0 and 1
    category: 1 for the level that the row has, 0 for the others. Where the features of all levels would not fit
              memory, or more than a given limit, the rarest levels share one feature, and so does a level never seen
              in training. Where none are pooled a level never seen gives zeros only. 1 and 1.0 are the same level.
    date:     year and age in years as numbers; 1 for the month and for the weekday
    bins:     where they are asked for, besides, for each bin of a number or a date a feature that rises from 0 at its
              lower edge to 1 at the upper one, less its mean in training. A value outside of the training range counts
              as the nearest end. See `polylogit.data.tables.bins`.
    text:     the weight of each term that the text has, in a row of length 1: see `polylogit.data.tables.text`.
    missing:  1 where the value is missing, for every column that has gaps in training rows. A gap in another column
              counts as its average, and gives a category or a text zeros only.

    Args:
        columns: The columns in the order of their features.
        mean: One float64 mean per scaled feature, in their order.
        scale: One positive float64 scale per scaled feature.

    Example:
        >>> frame = pl.DataFrame({"legs": ["4", "2", ""], "skin": ["fur", "feathers", "fur"]})
        >>> encoder = TableEncoder.fit(frame)
        >>> encoder.feature_names
        ('legs', 'legs=(missing)', 'skin=feathers', 'skin=fur')
        >>> encoder.encode(frame)
        tensor([[ 1.,  0.,  0.,  1.],
                [-1.,  0.,  1.,  0.],
                [ 0.,  1.,  0.,  1.]])
    """

    kind = "table"

    def __init__(self, columns: Sequence[Column], mean: Float[Tensor, " C"], scale: Float[Tensor, " C"]) -> None:
        self.columns = tuple(columns)
        self.mean = mean
        self.scale = scale

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The name of each feature: `column`, `column=level`, `column=(missing)`, or `column:part` for a date."""
        return tuple(name for column in self.columns for name in (*column.scaled_names, *column.flag_names))

    @property
    def features(self) -> int:
        """D, the number of features."""
        return sum(column.width for column in self.columns)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one encoded row: (D,)."""
        return (self.features,)

    @property
    def is_sparse(self) -> bool:
        """Whether encoded rows are `SparseRows`: where there is text, or categories have very many levels."""
        return any(column.vocabulary is not None for column in self.columns) or has_many_levels(self.columns)

    @property
    def readings(self) -> dict[str, Reading]:
        """How each column is read."""
        return {column.name: column.reading for column in self.columns}

    @cached_property
    def _starts(self) -> dict[str, tuple[Column, int]]:
        """Each column by its name, and where the mean and the scale of its first scaled feature are."""
        starts = accumulate((column.scaled for column in self.columns), initial=0)
        return {column.name: (column, start) for column, start in zip(self.columns, starts, strict=False)}

    @property
    def gaps_count_as(self) -> dict[str, str]:
        """What a missing value counts as in each column, in words."""
        words = {}
        for column, at in self._starts.values():
            as_it_stands = bool(column.scaled) and bool(self.mean[at] == 0 and self.scale[at] == 1)
            words[column.name] = "none" if column.type in READ_AS_TEXT else "0" if as_it_stands else "average"
        return words

    @classmethod
    def fit(
        cls,
        frame: pl.DataFrame,
        place: str = "the table",
        rows: Int[Tensor, " A"] | None = None,
        readings: Mapping[str, Reading] | None = None,
        *,
        standardise: bool = True,
        most_levels: int | None = None,
        most_bins: int | None = None,
    ) -> "TableEncoder":
        """Learn types from all rows, and levels, means and scales from the training rows.

        Args:
            frame: The feature columns.
            place: What messages call the table.
            rows: The row numbers of the training rows; None: all.
            readings: How the columns are read; found in the cells where left out.
            standardise: Whether numbers and booleans get mean 0 and deviation 1, or stay as they are. Dates always do.
            most_levels: The most levels of a category with a feature each; None: see `fitted_columns`.
            most_bins: The most bins of a number or a date; None: none.

        Returns:
            The fitted encoder.

        Raises:
            DataError: There is no column, or a column cannot be used, or a cell of it cannot be read.
        """
        read, readings = _read(frame, place, readings)
        return cls._fitted(read, readings, rows, standardise=standardise, most_levels=most_levels, most_bins=most_bins)

    @classmethod
    def fit_encode(
        cls,
        frame: pl.DataFrame,
        place: str = "the table",
        rows: Int[Tensor, " A"] | None = None,
        readings: Mapping[str, Reading] | None = None,
        *,
        standardise: bool = True,
        most_levels: int | None = None,
        most_bins: int | None = None,
    ) -> tuple["TableEncoder", Float[Tensor, "N D"] | SparseRows]:
        """`fit`, and the features of all rows of the same frame, whose cells are read once only.

        Args:
            frame: The feature columns.
            place: What messages call the table.
            rows: The row numbers of the training rows; None: all.
            readings: How the columns are read; found in the cells where left out.
            standardise: As for `fit`.
            most_levels: As for `fit`.
            most_bins: As for `fit`.

        Returns:
            The fitted encoder, and float32 features.

        Raises:
            DataError: As `fit`.
        """
        read, readings = _read(frame, place, readings)
        return cls.fit_encode_read(
            read, readings, rows, standardise=standardise, most_levels=most_levels, most_bins=most_bins
        )

    @classmethod
    def fit_encode_read(
        cls,
        read: pl.DataFrame,
        readings: Mapping[str, Reading],
        rows: Int[Tensor, " A"] | None = None,
        *,
        standardise: bool = True,
        most_levels: int | None = None,
        most_bins: int | None = None,
        mapped: bool = False,
        on_rows: Callable[[int], None] | None = None,
    ) -> tuple["TableEncoder", Float[Tensor, "N D"] | SparseRows]:
        """`fit_encode` of cells that are read already: for those who fit to many parts of the same rows.

        Args:
            read: The feature columns, as `read_columns` gives them.
            readings: How they were read; each usable.
            rows: The row numbers of the training rows; None: all.
            standardise: As for `fit`.
            most_levels: As for `fit`.
            most_bins: As for `fit`.
            mapped: Whether the features are kept in mapped files and not in memory.
            on_rows: Called with the rows of each block as they are encoded.

        Returns:
            The fitted encoder, and float32 features.
        """
        encoder = cls._fitted(
            read, readings, rows, standardise=standardise, most_levels=most_levels, most_bins=most_bins
        )
        return encoder, encoder._encoded(read, mapped=mapped, on_rows=on_rows)[0]

    @classmethod
    def _fitted(
        cls,
        read: pl.DataFrame,
        readings: Mapping[str, Reading],
        rows: Int[Tensor, " A"] | None,
        *,
        standardise: bool,
        most_levels: int | None,
        most_bins: int | None,
    ) -> "TableEncoder":
        seen = ChosenRows(select_named(read, readings), rows)
        columns = fitted_columns(seen, readings, most_levels, most_bins)
        by_name = {column.name: column for column in columns}
        numbers = (
            feature
            for some in seen.by_columns()
            for feature in scaled_numbers(some, [by_name[name] for name in some.columns])
        )
        mean, scale = fitted_scales(columns, numbers, standardise=standardise)
        return cls(columns, mean, scale)

    def with_ranges(self, read: pl.DataFrame, rows: Int[Tensor, " A"] | None = None) -> "TableEncoder":
        """The same encoder with the ranges and typical values of its columns, for the schema of the model.

        Args:
            read: The feature columns, as `read_columns` gives them.
            rows: The row numbers of the training rows; None: all.
        """
        by_name = {column.name: column for column in self.columns}
        ranges = [
            column
            for some in ChosenRows(select_named(read, by_name), rows).by_columns()
            for column in with_ranges([by_name[name] for name in some.columns], some)
        ]
        return TableEncoder(ranges, self.mean, self.scale)

    def encode(self, frame: pl.DataFrame, place: str = "the table") -> Float[Tensor, "N D"] | SparseRows:
        """Features of the rows. The columns may stand in any order, and others may stand beside them.

        Args:
            frame: A frame that holds at least the fitted columns.
            place: What messages call the table.

        Returns:
            Float32 features; sparse rows where `is_sparse`.

        Raises:
            DataError: A column is not there, or a cell cannot be read.
        """
        return self.encode_counting(frame, place)[0]

    def encode_counting(
        self, frame: pl.DataFrame, place: str = "the table", first_row: int = 0
    ) -> tuple[Float[Tensor, "N D"] | SparseRows, UnseenCounts]:
        """Features of the rows, and the count of unseen categories and unexpected missing values.

        Args:
            frame: A frame that holds at least the fitted columns.
            place: What messages call the table.
            first_row: How many rows of the table stand before the frame.

        Returns:
            Float32 features, and the counts.

        Raises:
            DataError: As `encode`.
        """
        self._check_columns_present(frame, place)
        read = read_columns(frame, self.readings, place, first_row)
        return self._encoded(read, place, first_row)

    def is_too_far(self, name: str, numbers: pl.Series) -> pl.Series:
        """Which numbers of a column are beyond single precision once they are standardised; missing ones are not.

        Args:
            name: A column of numbers.
            numbers: Its cells as `read_columns` gives them.
        """
        column, scaled = self._starts[name]
        if column.bin_edges:  # what is outside of the training range counts as its end
            return pl.repeat(value=False, n=len(numbers), eager=True)
        mean, scale = float(self.mean[scaled]), float(self.scale[scaled])
        return ((numbers.cast(pl.Float64) - mean).abs() > LARGEST_FEATURE * scale).fill_null(value=False)

    def notes(self, unseen: UnseenCounts) -> tuple[str, ...]:
        """What a reader of predictions must know of unseen categories and unexpected missing values."""
        return unseen.notes(self.columns, self.gaps_count_as)

    def other_columns(self, frame: pl.DataFrame) -> tuple[str, ...]:
        """The columns of the frame that the encoder does not use."""
        used = {column.name for column in self.columns}
        return tuple(name for name in frame.columns if name not in used)

    def as_json(self) -> dict[str, Any]:
        """The state that is not a tensor, as plain data for a model file."""
        return {"kind": self.kind, "columns": [column.as_json() for column in self.columns]}

    def tensors(self) -> dict[str, Tensor]:
        """The state that is tensors, by name."""
        tensors = {"mean": self.mean, "scale": self.scale}
        for place, column in enumerate(self.columns):
            if column.vocabulary is not None:
                tensors |= {f"text.{place}.{name}": part for name, part in column.vocabulary.tensors().items()}
        return tensors

    @classmethod
    def from_state(cls, state: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "TableEncoder":
        """The encoder whose `as_json` and `tensors` these are.

        Raises:
            ModelFileError: The tensors do not fit the columns.
        """
        tuples = ("levels", "bin_edges")
        vocabularies = vocabularies_of(state["columns"], tensors)
        columns = [
            Column(
                **{name: entry for name, entry in item.items() if name != "terms"}
                | {name: tuple(item.get(name, ())) for name in tuples},
                vocabulary=vocabularies.get(place),
            )
            for place, item in enumerate(state["columns"])
        ]
        for column in columns:
            if column.type == "number" and column.format is not None:
                try:
                    check_number_format(column.format)
                except ValueError as fault:
                    raise ModelFileError(f'preprocessing: the format of the column "{column.name}": {fault}') from fault
        scaled = sum(column.scaled for column in columns)
        for name in ("mean", "scale"):
            if name not in tensors or tensors[name].shape != (scaled,) or tensors[name].dtype != torch.float64:
                found = f"{tensors[name].dtype} {list(tensors[name].shape)}" if name in tensors else "nothing"
                raise ModelFileError(f"preprocessing.{name}: expected torch.float64 [{scaled}], found {found}")
        if not bool((tensors["scale"] > 0).all()):
            raise ModelFileError("preprocessing.scale: every scale must be positive")
        if scaled and not (tensors["scale"].min() >= _LEAST_SCALE and tensors["scale"].max() <= _MOST_SCALE):
            raise ModelFileError(f"preprocessing.scale: expected {_LEAST_SCALE:g} to {_MOST_SCALE:g} in each place")
        if scaled and not tensors["mean"].abs().max() <= _MOST_SCALE:
            raise ModelFileError(f"preprocessing.mean: expected magnitudes up to {_MOST_SCALE:g}")
        return cls(columns, tensors["mean"], tensors["scale"])

    def _encoded(
        self,
        read: pl.DataFrame,
        place: str = "the table",
        first_row: int = 0,
        *,
        mapped: bool = False,
        on_rows: Callable[[int], None] | None = None,
    ) -> tuple[Float[Tensor, "N D"] | SparseRows, UnseenCounts]:
        if self.is_sparse:
            return self._encoded_sparse(read, place, first_row, mapped=mapped, on_rows=on_rows)
        inputs = aligned_zeros(read.height, self.features, mapped=mapped)
        places = np.array(self._scaled_places, dtype=np.int64)
        self._write_numbers(read, inputs.numpy(), places, place, first_row, on_rows=on_rows)
        unseen = UnseenCounts(filled=self._filled(read), rows=read.height)
        for start, flags in self._flags(read):
            raise_flags(flags, inputs.numpy()[start : start + flags.height])
            unseen += UnseenCounts(self._unseen(flags))
        return inputs, unseen

    def _encoded_sparse(
        self,
        read: pl.DataFrame,
        place: str,
        first_row: int,
        *,
        mapped: bool,
        on_rows: Callable[[int], None] | None,
    ) -> tuple[SparseRows, UnseenCounts]:
        unseen = UnseenCounts()

        def blocks() -> Iterator[SparseRows]:
            nonlocal unseen
            for start in range(0, max(read.height, 1), _SPARSE_ROWS_AT_ONCE):
                block = read.slice(start, _SPARSE_ROWS_AT_ONCE)
                rows, counts = self._sparse_block(block, place, first_row + start)
                unseen += counts
                if on_rows is not None:
                    on_rows(block.height)
                yield rows

        rows = stored_sparse_rows(blocks()) if mapped else joined_sparse_rows(list(blocks()))
        return rows, unseen

    def _sparse_block(self, read: pl.DataFrame, place: str, first_row: int) -> tuple[SparseRows, UnseenCounts]:
        width, scaled = self.features, self._scaled_places
        unseen = UnseenCounts(filled=self._filled(read), rows=read.height)
        parts: list[SparseRows] = []
        if scaled:
            numbers = np.zeros((read.height, len(scaled)), dtype=np.float32)
            self._write_numbers(read, numbers, np.arange(len(scaled)), place, first_row)
            parts.append(sparse_numbers(numbers, scaled, width))
        flags: list[SparseRows] = []
        for _, some in self._flags(read):
            flags.append(sparse_flags(some, width))
            unseen += UnseenCounts(self._unseen(some))
        if flags:
            parts.append(joined_sparse_rows(flags))
        for column, at in self._places():
            if column.vocabulary is not None:
                found = weighted_terms(read[column.name], column.vocabulary)
                parts.append(sparse_terms(found, at, width))
                unseen += UnseenCounts(words={column.name: found.words}, unknown_words={column.name: found.unknown})
        return joined_columns(parts), unseen

    @property
    def _scaled_places(self) -> list[int]:
        """The number of each scaled feature."""
        return [at + place for column, at in self._places() for place in range(column.scaled)]

    @property
    def _owners_of_scaled(self) -> list[str]:
        """The name of the column of each scaled feature."""
        return [column.name for column in self.columns for _ in range(column.scaled)]

    def _write_numbers(
        self,
        read: pl.DataFrame,
        features: npt.NDArray[np.float32],
        places: npt.NDArray[np.int64],
        place: str,
        first_row: int,
        *,
        on_rows: Callable[[int], None] | None = None,
    ) -> None:
        mean, scale = self.mean.numpy(), self.scale.numpy()
        for start in range(0, read.height, ROWS_A_BLOCK):
            block = read.slice(start, ROWS_A_BLOCK)
            numbers = scaled_numbers(block, self.columns)
            overflow = write_standardised(features[start : start + ROWS_A_BLOCK], places, numbers, mean, scale)
            if overflow is not None:
                name = self._owners_of_scaled[overflow[0]]
                raise DataError(
                    f'{place}, column "{name}", row {first_row + start + overflow[1] + 1}: expected a number of the '
                    f"magnitude of the training rows, got {block[name][overflow[1]]}, which is beyond single precision "
                    "once it is standardised."
                )
            if on_rows is not None:
                on_rows(block.height)

    def _flags(self, read: pl.DataFrame) -> Iterator[tuple[int, pl.DataFrame]]:
        """The features that are 1, a block of rows at a time, with the number of its first row; see `raise_flags`."""
        gaps = self._gaps(read)
        expressions = [
            expression
            for column, at in self._places()
            if column.type not in ("number", "boolean") or gaps[column.name]
            for expression in column.flag_expressions(at, gaps=gaps[column.name] > 0)
        ]
        rows_at_once = max(ROWS_A_BLOCK, _FLAGS_AT_ONCE // max(len(expressions), 1))
        for start in range(0, read.height if expressions else 0, rows_at_once):
            yield start, read.slice(start, rows_at_once).select(expressions)

    def _places(self) -> Iterator[tuple[Column, int]]:
        """Each column with the number of its first feature."""
        at = 0
        for column in self.columns:
            yield column, at
            at += column.width

    def _filled(self, read: pl.DataFrame) -> dict[str, int]:
        gaps = self._gaps(read)
        return {column.name: gaps[column.name] for column in self.columns if gaps[column.name] and not column.missing}

    def _gaps(self, read: pl.DataFrame) -> dict[str, int]:
        """The number of missing values of each column."""
        return select_named(read, [column.name for column in self.columns]).null_count().row(0, named=True)

    def _unseen(self, flags: pl.DataFrame) -> dict[str, int]:
        unseen = {}
        for column, at in self._places():
            if column.type == "category":
                other = at + len(column.levels) if column.pooled else UNSEEN
                count = int((flags[column.name] == other).sum())
                if count:
                    unseen[column.name] = count
        return unseen

    def _check_columns_present(self, frame: pl.DataFrame, place: str) -> None:
        there = set(frame.columns)
        missing = [column.name for column in self.columns if column.name not in there]
        if missing:
            listed = ", ".join(f'"{name}"' for name in missing[:10]) + (", …" if len(missing) > 10 else "")
            spare = self.other_columns(frame)
            hint = did_you_mean(missing[0], spare) if spare else ""
            raise DataError(
                f"{place}: {'a column' if len(missing) == 1 else f'{len(missing)} columns'} that the model needs "
                f"{'is' if len(missing) == 1 else 'are'} not there: {listed}.{hint}"
            )


def _read(
    frame: pl.DataFrame, place: str, readings: Mapping[str, Reading] | None
) -> tuple[pl.DataFrame, Mapping[str, Reading]]:
    """The cells as what they mean, and the readings, found in the cells where none are given."""
    if not frame.width:
        raise DataError(f"{place}: no feature column is left beside the target.")
    readings = readings or find_readings(frame, place=place)
    for name, reading in readings.items():
        if not reading.usable:
            raise refusal(frame[name], reading, place)
    return read_columns(frame, readings, place), readings
