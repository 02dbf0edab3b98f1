"""The encoder of tables: named columns in, one row of numbers per row out.

Owns the state of that map, which is plain data, and what it does with gaps and with values it never saw. What a cell
means is the business of `columns`; files and the target are unknown here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.data.column_types import ColumnType, Reading
from polylogit.data.columns import read_columns
from polylogit.data.type_inference import find_readings, refusal
from polylogit.errors import DataError, ModelFileError, did_you_mean

__all__ = ["ALIGNMENT", "MOST_LEVELS", "Column", "Strangers", "TableEncoder", "aligned_zeros"]

MOST_LEVELS = 100
"""The most levels of a category that become features of their own; the rarer ones are pooled into one."""

ALIGNMENT = 16
"""Numbers of float32 in 64 bytes, a line of the cache and the widest register."""

_UNSEEN = -2
"""In the place of a feature: a level never seen; -1 is a gap that has no feature."""

_MONTHS = 12
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAYS_A_YEAR = 365.25
_ROWS_A_BLOCK = 8192


@dataclass(frozen=True)
class Column:
    """What the encoder knows of one column.

    Args:
        name: As in the header.
        type: "number", "boolean", "category" or "date".
        levels: The values of a category that have a feature of their own, in the order of these; else empty.
        pooled: Whether a category has one feature for all its rarer levels together.
        missing: Whether there is a feature for a missing value: where training rows had gaps.
        format: How a date is written where the column is text.
    """

    name: str
    type: ColumnType
    levels: tuple[str, ...] = ()
    pooled: bool = False
    missing: bool = False
    format: str | None = None

    @property
    def scaled_names(self) -> tuple[str, ...]:
        """The features of the column that are standardised numbers."""
        match self.type:
            case "number" | "boolean":
                return (self.name,)
            case "date":
                return (f"{self.name}:year", f"{self.name}:age")
            case _:
                return ()

    @property
    def flag_names(self) -> tuple[str, ...]:
        """The features of the column that are 0 or 1; they follow the scaled ones."""
        names = [f"{self.name}={level}" for level in self.levels]
        if self.type == "date":
            names = [f"{self.name}:month={month}" for month in range(1, _MONTHS + 1)]
            names += [f"{self.name}:weekday={day}" for day in _WEEKDAYS]
        names += [f"{self.name}=(rare)"] * self.pooled + [f"{self.name}=(missing)"] * self.missing
        return tuple(names)

    @property
    def width(self) -> int:
        """How many features the column becomes."""
        flags = _MONTHS + len(_WEEKDAYS) if self.type == "date" else len(self.levels)
        return len(self.scaled_names) + flags + self.pooled + self.missing

    @property
    def reading(self) -> Reading:
        """How its cells are read."""
        return Reading(self.type, self.format)


@dataclass(frozen=True)
class Strangers:
    """Cells that training rows prepared nothing for, counted by column while rows were encoded.

    Args:
        unseen: Rows with a level of a category that training never saw, or, where rare levels are pooled, with one
            of those.
        filled: Rows with a gap in a column that had none in training.
    """

    unseen: Mapping[str, int] = field(default_factory=dict)
    filled: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "Strangers") -> "Strangers":
        return Strangers(*(_summed(*pair) for pair in ((self.unseen, other.unseen), (self.filled, other.filled))))

    def notes(self, encoder: "TableEncoder") -> tuple[str, ...]:
        """The counts in words, with the rule that was applied."""
        pooled = {column.name for column in encoder.columns if column.pooled}
        rules = {
            True: "hold a value that is rare, or was never seen in training; these count as one",
            False: "hold a value never seen in training; it counts as none",
        }
        notes = [f'column "{name}": {count} rows {rules[name in pooled]}.' for name, count in self.unseen.items()]
        notes += [
            f'column "{name}": {count} rows have no value, but every training row had one; they count as average.'
            for name, count in self.filled.items()
        ]
        return tuple(notes)


class TableEncoder:
    """A fitted map from named columns to features.

    number:   (value - mean) / scale, where scale is the standard deviation, or 1 for a constant column; a gap gives 0
    boolean:  the same of 0 and 1
    category: 1 for the level that the row has, 0 for the others. The `MOST_LEVELS` most frequent levels have a feature
              each; where there are more, the others share one, and so does a level never seen in training. Where none
              are pooled a level never seen gives zeros only.
    date:     year and age in years as numbers; 1 for the month and for the weekday
    missing:  1 where the value is missing, for every column that has gaps in training rows. A gap in another column
              counts as its average, and gives a category zeros only.

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
    def readings(self) -> dict[str, Reading]:
        """How each column is read."""
        return {column.name: column.reading for column in self.columns}

    @classmethod
    def fit(
        cls,
        frame: pl.DataFrame,
        place: str = "the table",
        rows: Int[Tensor, " A"] | None = None,
        readings: Mapping[str, Reading] | None = None,
    ) -> "TableEncoder":
        """Learn types from all rows, and levels, means and scales from the training rows.

        Args:
            frame: The feature columns.
            place: What messages call the table.
            rows: The row numbers of the training rows; None: all.
            readings: How the columns are read; found in the cells where left out.

        Returns:
            The fitted encoder.

        Raises:
            DataError: There is no column, or a column cannot be used, or a cell of it cannot be read.
        """
        if not frame.width:
            raise DataError(f"{place}: no feature column is left beside the target.")
        readings = readings or find_readings(frame, place=place)
        for name, reading in readings.items():
            if not reading.usable:
                raise refusal(frame[name], reading, place)
        read = read_columns(frame, readings, place)
        read = read if rows is None else read[rows.numpy()]
        columns = [_fitted_column(read[name], reading) for name, reading in readings.items()]
        scaled = read.select(expression for column in columns for expression in _scaled_expressions(column))
        mean = torch.tensor([_mean(values) for values in scaled], dtype=torch.float64)
        spread = torch.tensor([_spread(values) for values in scaled], dtype=torch.float64)
        # A constant column may show a spread of rounding errors only; dividing by it would blow the errors up.
        negligible = spread <= 1e-12 * mean.abs()
        return cls(columns, mean, torch.where(negligible, torch.ones_like(spread), spread))

    def encode(self, frame: pl.DataFrame, place: str = "the table") -> Float[Tensor, "N D"]:
        """Features of the rows. The columns may stand in any order, and others may stand beside them.

        Args:
            frame: A frame that holds at least the fitted columns.
            place: What messages call the table.

        Returns:
            Float32 features.

        Raises:
            DataError: A column is not there, or a cell cannot be read.
        """
        return self.encode_counting(frame, place)[0]

    def encode_counting(
        self, frame: pl.DataFrame, place: str = "the table", first_row: int = 0
    ) -> tuple[Float[Tensor, "N D"], Strangers]:
        """Features of the rows, and the count of what training prepared nothing for.

        Args:
            frame: A frame that holds at least the fitted columns.
            place: What messages call the table.
            first_row: How many rows of the table stand before the frame.

        Returns:
            Float32 features, and the counts.

        Raises:
            DataError: As `encode`.
        """
        self._refuse_missing_columns(frame, place)
        read = read_columns(frame, self.readings, place, first_row)
        inputs = aligned_zeros(frame.height, self.features)
        features = inputs.numpy()
        self._fill_scaled(read, features)
        flags = read.select(expression for expression in self._flag_expressions(read))
        _raise_flags(flags, features)
        return inputs, self._strangers(read, flags)

    def other_columns(self, frame: pl.DataFrame) -> tuple[str, ...]:
        """The columns of the frame that the encoder does not use."""
        used = {column.name for column in self.columns}
        return tuple(name for name in frame.columns if name not in used)

    def as_json(self) -> dict[str, Any]:
        """The state that is not a tensor, as plain data for a model file."""
        return {"kind": self.kind, "columns": [_column_as_json(column) for column in self.columns]}

    def tensors(self) -> dict[str, Tensor]:
        """The state that is tensors, by name."""
        return {"mean": self.mean, "scale": self.scale}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "TableEncoder":
        """The encoder whose `as_json` and `tensors` these are.

        Raises:
            ModelFileError: The tensors do not fit the columns.
        """
        columns = [Column(**{**item, "levels": tuple(item.get("levels", ()))}) for item in state["columns"]]
        scaled = sum(len(column.scaled_names) for column in columns)
        for name in ("mean", "scale"):
            if name not in tensors or tensors[name].shape != (scaled,) or tensors[name].dtype != torch.float64:
                found = f"{tensors[name].dtype} {list(tensors[name].shape)}" if name in tensors else "nothing"
                raise ModelFileError(f"preprocessing.{name}: expected torch.float64 [{scaled}], found {found}")
        if not bool((tensors["scale"] > 0).all()):
            raise ModelFileError("preprocessing.scale: every scale must be positive")
        return cls(columns, tensors["mean"], tensors["scale"])

    def _fill_scaled(self, read: pl.DataFrame, features: npt.NDArray[np.float32]) -> None:
        expressions: list[pl.Expr] = []
        places: list[int] = []
        at = 0
        for column in self.columns:
            expressions += _scaled_expressions(column)
            places += range(at, at + len(column.scaled_names))
            at += column.width
        if not expressions:
            return
        standardised = read.select(
            ((expression - mean) / scale).fill_null(0.0).cast(pl.Float32)
            for expression, mean, scale in zip(expressions, self.mean.tolist(), self.scale.tolist(), strict=True)
        ).to_numpy()
        # Block by block, so that the rows written to stay in the cache from column to column.
        for start in range(0, len(features), _ROWS_A_BLOCK):
            features[start : start + _ROWS_A_BLOCK, places] = standardised[start : start + _ROWS_A_BLOCK]

    def _flag_expressions(self, read: pl.DataFrame) -> list[pl.Expr]:
        """For each group of flags the feature that is 1 in a row, or -1 for none."""
        expressions: list[pl.Expr] = []
        at = 0
        for column in self.columns:
            first = at + len(column.scaled_names)
            at += column.width
            missing = at - 1 if column.missing else -1
            value = pl.col(column.name)
            if column.type == "category":
                levels = pl.Enum(column.levels)
                code = value.cast(levels, strict=False).to_physical().cast(pl.Int32) + first
                unseen = first + len(column.levels) if column.pooled else _UNSEEN
                expression = pl.when(value.is_null()).then(missing).otherwise(code.fill_null(unseen))
                expressions.append(expression.cast(pl.Int32).alias(column.name))
            elif column.type == "date":
                month = value.dt.month().cast(pl.Int32) + (first - 1)
                weekday = value.dt.weekday().cast(pl.Int32) + (first + _MONTHS - 1)
                expressions.append(month.fill_null(-1).alias(f"{column.name}:month"))
                expressions.append(weekday.fill_null(-1).alias(f"{column.name}:weekday"))
            if column.missing and column.type != "category" and read[column.name].null_count():
                gap = pl.when(value.is_null()).then(missing).otherwise(-1)
                expressions.append(gap.cast(pl.Int32).alias(f"{column.name}=(missing)"))
        return expressions

    def _strangers(self, read: pl.DataFrame, flags: pl.DataFrame) -> Strangers:
        unseen, filled, at = {}, {}, 0
        for column in self.columns:
            gaps = read[column.name].null_count()
            if gaps and not column.missing:
                filled[column.name] = gaps
            if column.type == "category":
                other = at + len(column.levels) if column.pooled else _UNSEEN
                count = int((flags[column.name] == other).sum())
                if count:
                    unseen[column.name] = count
            at += column.width
        return Strangers(unseen, filled)

    def _refuse_missing_columns(self, frame: pl.DataFrame, place: str) -> None:
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


def aligned_zeros(rows: int, *shape: int) -> Float[Tensor, "N ..."]:
    """Float32 zeros whose rows, where they are vectors, start a multiple of `ALIGNMENT` numbers apart.

    A matrix product adds up a row in an order that depends on where in memory it starts.

    Example:
        >>> aligned_zeros(2, 3).stride()
        (16, 1)
    """
    if len(shape) != 1:
        return torch.zeros(rows, *shape)
    return torch.zeros(rows, -(-shape[0] // ALIGNMENT) * ALIGNMENT)[:, : shape[0]]


def _fitted_column(values: pl.Series, reading: Reading) -> Column:
    levels: tuple[str, ...] = ()
    pooled = False
    if reading.type == "category":
        counts = values.drop_nulls().value_counts(name="rows").sort(["rows", values.name], descending=[True, False])
        pooled = counts.height > MOST_LEVELS
        levels = tuple(counts[values.name].head(MOST_LEVELS).sort())
    missing = values.null_count() > 0
    return Column(values.name, reading.type, levels, pooled=pooled, missing=missing, format=reading.format)


def _scaled_expressions(column: Column) -> list[pl.Expr]:
    """The numbers of a column before they are standardised, in the order of `Column.scaled_names`."""
    value = pl.col(column.name)
    match column.type:
        case "number" | "boolean":
            return [value.cast(pl.Float64)]
        case "date":
            # Counted from 1970 instead of from today: standardising takes the difference away, and no clock is read.
            age = -value.to_physical().cast(pl.Float64) / _DAYS_A_YEAR
            return [
                value.dt.year().cast(pl.Float64).alias(f"{column.name}:year"),
                age.alias(f"{column.name}:age"),
            ]
        case _:
            return []


def _mean(values: pl.Series) -> float:
    there = values.drop_nulls()
    return float(there.to_numpy().mean()) if len(there) else 0.0


def _spread(values: pl.Series) -> float:
    there = values.drop_nulls()
    return float(there.to_numpy().std()) if len(there) else 0.0


def _raise_flags(flags: pl.DataFrame, features: npt.NDArray[np.float32]) -> None:
    """Set the named feature of each row to 1, block by block for the cache."""
    groups = [series.to_numpy() for series in flags]
    for start in range(0, len(features), _ROWS_A_BLOCK):
        block = features[start : start + _ROWS_A_BLOCK]
        rows = np.arange(len(block))
        for group in groups:
            places = group[start : start + _ROWS_A_BLOCK]
            there = places >= 0
            if there.all():
                block[rows, places] = 1.0
            else:
                block[rows[there], places[there]] = 1.0


def _summed(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) + right.get(name, 0) for name in (*left, *(set(right) - set(left)))}


def _column_as_json(column: Column) -> dict[str, Any]:
    entries: dict[str, Any] = {"name": column.name, "type": column.type}
    if column.type == "category":
        entries |= {"levels": list(column.levels), "pooled": column.pooled}
    if column.format is not None:
        entries["format"] = column.format
    return entries | {"missing": column.missing}
