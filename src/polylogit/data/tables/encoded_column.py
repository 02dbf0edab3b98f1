"""One column of a table and the features that it becomes.

See also: `polylogit.data.tables.encoder`, which holds the columns of a table and the means and scales of features.
"""

import re
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from polylogit.data.tables.bins import clipped, find_bin_edges, ramps_of
from polylogit.data.tables.column_types import ColumnType, Reading
from polylogit.data.tables.named_column import named
from polylogit.data.tables.text.analyzer import Analyzer
from polylogit.data.tables.text.vocabulary import Vocabulary
from polylogit.errors import DataError

__all__ = ["LEVELS_ALWAYS_KEPT", "UNSEEN", "Column"]

LEVELS_ALWAYS_KEPT = 100
"""As many levels of a category have a feature each even where memory is short."""

UNSEEN = -2
"""Marks, in place of a feature's number, a level never seen in training; -1 marks a gap that has no feature."""

_SCALED = {"number": 1, "boolean": 1, "date": 2}
"""How many standardised features a column of a type has besides its bins."""

_WHOLE_NUMBER = r"^([+-]?\d+)\.0+$"

_MONTHS = 12
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAYS_A_YEAR = 365.25
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Column:
    """What the encoder knows of one column.

    Args:
        name: As in the header.
        type: "number", "boolean", "category", "date" or "text".
        levels: The values of a category that have a feature of their own, in the order of these; else empty.
        pooled: Whether a category has one feature for all its rarer levels together.
        rare_levels: How many levels share that feature.
        rare_share: The share of the training rows that have one of them; None in files that do not record it.
        missing: Whether there is a feature for a missing value: where training rows had gaps.
        format: How a date or a number is written where the column is text, or how text is cut into terms; see
            `Reading`.
        minimum: The smallest training value of a number, or the first date as YYYY-MM-DD; None: not recorded.
        maximum: The largest training value, or the last date.
        example: The median of a number or a date, or the most frequent value; None: not recorded.
        bin_edges: Edges of the bins of a number, or of a date in days since 1970-01-01, from the least to the greatest
            training value, which stand for all values outside. Empty: the column has no bins.
        vocabulary: The terms of a text; None for other types.
    """

    name: str
    type: ColumnType
    levels: tuple[str, ...] = ()
    pooled: bool = False
    missing: bool = False
    format: str | None = None
    rare_levels: int = 0
    rare_share: float | None = None
    minimum: float | str | None = None
    maximum: float | str | None = None
    example: float | bool | str | None = None
    bin_edges: tuple[float, ...] = ()
    vocabulary: Vocabulary | None = None

    @property
    def scaled_names(self) -> tuple[str, ...]:
        """The features of the column that are standardised numbers."""
        match self.type:
            case "number" | "boolean":
                return (self.name, *self._ramp_names)
            case "date":
                return (f"{self.name}:year", f"{self.name}:age", *self._ramp_names)
            case _:
                return ()

    @property
    def scaled(self) -> int:
        """How many features of the column are standardised numbers."""
        return _SCALED.get(self.type, 0) + (len(self.ramps) if self.bin_edges else 0)

    @property
    def ramps(self) -> tuple[tuple[float, float], ...]:
        """The edges of each feature that rises from 0 to 1 over a bin; these are the last of `scaled_names`."""
        return ramps_of(self.bin_edges)

    @property
    def ends(self) -> tuple[tuple[float, float], ...]:
        """Between which values each of `scaled_numbers` stays; empty where there are no bins."""
        if not self.bin_edges:
            return ()
        first, last = self.bin_edges[0], self.bin_edges[-1]
        if self.type != "date":
            return ((first, last),)
        years = [float((_EPOCH + timedelta(days=day)).year) for day in (first, last)]
        return (years[0], years[1]), (-last / _DAYS_A_YEAR, -first / _DAYS_A_YEAR)

    @property
    def _ramp_names(self) -> tuple[str, ...]:
        write = (lambda day: str(_EPOCH + timedelta(days=day))) if self.type == "date" else repr
        return tuple(f"{self.name}:{write(low)}..{write(high)}" for low, high in self.ramps)

    @property
    def flag_names(self) -> tuple[str, ...]:
        """The features of the column that are 0 or 1, or terms; they follow the scaled ones."""
        names = [f"{self.name}={level}" for level in self.levels]
        if self.vocabulary is not None:
            names = [f"{self.name}:{term}" for term in self.vocabulary.terms]
        if self.type == "date":
            names = [f"{self.name}:month={month}" for month in range(1, _MONTHS + 1)]
            names += [f"{self.name}:weekday={day}" for day in _WEEKDAYS]
        names += [f"{self.name}=(rare)"] * self.pooled + [f"{self.name}=(missing)"] * self.missing
        return tuple(names)

    @property
    def width(self) -> int:
        """How many features the column becomes."""
        flags = _MONTHS + len(_WEEKDAYS) if self.type == "date" else len(self.levels) + self.terms
        return self.scaled + flags + self.pooled + self.missing

    @property
    def terms(self) -> int:
        """How many terms the column has: none, unless it is text."""
        return 0 if self.vocabulary is None else len(self.vocabulary)

    @property
    def reading(self) -> Reading:
        """How its cells are read."""
        return Reading(self.type, self.format)

    @classmethod
    def fit(cls, values: pl.Series, reading: Reading, most_levels: int | None = None) -> "Column":
        """Learn a column from its training rows.

        Args:
            values: The cells as read.
            reading: How they were read.
            most_levels: The most levels of a category with a feature each, the most frequent ones; None: all.

        Returns:
            The column.

        Example:
            >>> Column.fit(pl.Series("skin", ["fur", None, "fur"]), Reading("category")).flag_names
            ('skin=fur', 'skin=(missing)')
        """
        name, missing = values.name, values.null_count() > 0
        if reading.type == "text":
            return cls(
                name, "text", missing=missing, format=reading.format, vocabulary=_vocabulary(name, values, reading)
            )
        if reading.type != "category":
            return cls(name, reading.type, missing=missing, format=reading.format)
        values = values.alias("level")
        counts = _level_counts(values)
        kept = counts if most_levels is None else counts.head(most_levels)
        rare = int(counts["rows"].sum()) - int(kept["rows"].sum())
        return cls(
            name,
            reading.type,
            tuple(kept["level"].sort()),
            pooled=kept.height < counts.height,
            missing=missing,
            rare_levels=counts.height - kept.height,
            rare_share=rare / len(values) if rare else None,
        )

    def with_bins(self, values: pl.Series, most_bins: int) -> "Column":
        """The column with bins, if it is a number or a date.

        Args:
            values: The training cells, as read.
            most_bins: The most bins.
        """
        if self.type not in ("number", "date"):
            return self
        return replace(self, bin_edges=find_bin_edges(self.binned_numbers(values), most_bins))

    def scaled_numbers(self, values: pl.Series) -> list[npt.NDArray[np.float64]]:
        """The numbers of the column before they are standardised, in the order of `scaled_names` without the bins.

        Args:
            values: The cells as read.

        Returns:
            One array for a number or a boolean, year and age for a date, none for a category; NaN where a value is
            missing. Where there are bins, values outside of them count as the nearest end.
        """
        match self.type:
            case "number" | "boolean":
                return [clipped(values.cast(pl.Float64).to_numpy(), self.bin_edges)]
            case "date":
                if self.bin_edges:
                    first, last = (_EPOCH + timedelta(days=self.bin_edges[end]) for end in (0, -1))
                    values = values.clip(first, last)
                # Counted from 1970 and not from today: standardising takes the difference away, and no clock is read.
                return [values.dt.year().cast(pl.Float64).to_numpy(), -days(values) / _DAYS_A_YEAR]
            case _:
                return []

    def binned_numbers(self, values: pl.Series) -> npt.NDArray[np.float64]:
        """The numbers that the edges of the bins belong to: those of the cells, or of a date its days since 1970."""
        return days(values) if self.type == "date" else values.cast(pl.Float64).to_numpy()

    def flag_expressions(self, at: int, *, gaps: bool) -> list[pl.Expr]:
        """For each group of flags the feature that is 1 in a row, as Int32; -1 or `UNSEEN` for none.

        Args:
            at: The number of the column's first feature.
            gaps: Whether the rows have any in this column.

        Returns:
            At most two expressions for the column as read.
        """
        first = at + self.scaled
        missing = at + self.width - 1 if self.missing else -1
        value = named(self.name)
        expressions: list[pl.Expr] = []
        if self.type == "category":
            code = value.cast(pl.Enum(self.levels), strict=False).to_physical().cast(pl.Int32)
            codes = _whole_number_codes(self.levels)
            if codes:  # 1 and 1.0 are one code, whichever of them training saw
                number = value.str.replace(_WHOLE_NUMBER, "${1}")
                code = pl.coalesce(code, number.replace_strict(codes, default=None, return_dtype=pl.Int32))
            code = code + first
            unseen = first + len(self.levels) if self.pooled else UNSEEN
            if gaps:
                code = pl.when(value.is_null()).then(missing).otherwise(code.fill_null(unseen)).cast(pl.Int32)
            else:
                code = code.fill_null(unseen)
            expressions.append(code.alias(self.name))
        elif self.type == "date":
            month = value.dt.month().cast(pl.Int32) + (first - 1)
            weekday = value.dt.weekday().cast(pl.Int32) + (first + _MONTHS - 1)
            expressions.append(month.fill_null(-1).alias(f"{self.name}:month"))
            expressions.append(weekday.fill_null(-1).alias(f"{self.name}:weekday"))
        if self.missing and self.type != "category" and gaps:
            gap = pl.when(value.is_null()).then(missing).otherwise(-1)
            expressions.append(gap.cast(pl.Int32).alias(f"{self.name}=(missing)"))
        return expressions

    def texts_of_levels(self) -> dict[str, int]:
        """The place of a level by each text that is written for it: a whole number N is also written N.0.

        Example:
            >>> Column("code", "category", ("1", "2.0", "a")).texts_of_levels()
            {'1': 0, '2.0': 1, 'a': 2, '1.0': 0, '2': 1}
        """
        texts = {level: place for place, level in enumerate(self.levels)}
        for number, place in _whole_number_codes(self.levels).items():
            texts.setdefault(number, place)
            texts.setdefault(f"{number}.0", place)
        return texts

    def as_json(self) -> dict[str, Any]:
        """The state as plain data for a model file."""
        entries: dict[str, Any] = {"name": self.name, "type": self.type}
        if self.type == "category":
            entries |= {"levels": list(self.levels), "pooled": self.pooled}
            if self.pooled and self.rare_share is not None:
                entries |= {"rare_levels": self.rare_levels, "rare_share": self.rare_share}
        if self.vocabulary is not None:
            entries["terms"] = self.terms
        if self.format is not None:
            entries["format"] = self.format
        if self.bin_edges:
            entries["bin_edges"] = list(self.bin_edges)
        recorded = {"minimum": self.minimum, "maximum": self.maximum, "example": self.example}
        entries |= {name: value for name, value in recorded.items() if value is not None}
        return entries | {"missing": self.missing}


def days(values: pl.Series) -> npt.NDArray[np.float64]:
    """Days since 1970-01-01 of dates; NaN where one is missing."""
    return values.to_physical().cast(pl.Float64).to_numpy()


def _vocabulary(name: str, values: pl.Series, reading: Reading) -> Vocabulary:
    analyzer = Analyzer.from_text(reading.format or "words")
    try:
        return Vocabulary.fit(values, analyzer)
    except DataError as fault:
        raise DataError(f'column "{name}": {fault}') from fault


def _level_counts(values: pl.Series) -> pl.DataFrame:
    """The columns `level` and `rows`, the most frequent level first; `1.0` counts as `1` where both occur."""
    counts = values.drop_nulls().value_counts(name="rows")
    written_twice = set(counts["level"].str.extract(_WHOLE_NUMBER).drop_nulls()) & set(counts["level"])
    if written_twice:
        level = pl.col("level").str.extract(_WHOLE_NUMBER)
        level = pl.when(level.is_in(sorted(written_twice))).then(level).otherwise(pl.col("level"))
        counts = counts.group_by(level.alias("level")).agg(pl.col("rows").sum())
    return counts.sort(["rows", "level"], descending=[True, False])


def _whole_number_codes(levels: tuple[str, ...]) -> dict[str, int]:
    """The place of each level that is a whole number, by the number without decimals."""
    codes: dict[str, int] = {}
    for place, level in enumerate(levels):
        if re.fullmatch(r"[+-]?\d+(\.0+)?", level):
            codes.setdefault(level.partition(".")[0], place)
    return codes
