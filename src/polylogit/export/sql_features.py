"""The columns of a table in SQL: cells cleaned once, numbers standardised, and the terms that they add to each logit.

A cell that the model refuses makes a feature null, and with it every probability of the row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlglot import exp

from polylogit.data.tables.column_types import LARGEST_FEATURE, LARGEST_NUMBER, MISSING_MARKERS
from polylogit.data.tables.columns import FALSE_TEXTS, TRUE_TEXTS
from polylogit.data.tables.encoded_column import Column
from polylogit.data.tables.encoder import TableEncoder
from polylogit.export.artifact import refused_column
from polylogit.export.sql_dialects import SqlDialect
from polylogit.export.sql_expressions import as_number, as_text, case, choice, column, literal, number

__all__ = ["SqlFeatures"]

_MONTHS, _WEEKDAYS, _UNIX_WEEKDAY = 12, 7, 3


@dataclass
class SqlFeatures:
    """The features of a table in a dialect.

    Attributes:
        cells: Cleaned cells by the name that the next stage calls them by; null is a missing value.
        features: Features and codes of categories, from the cells.
        terms: What each feature or code adds to the logits: K terms each.
    """

    encoder: TableEncoder
    weight: npt.NDArray[np.float64]
    dialect: SqlDialect
    cells: dict[str, Any] = field(default_factory=dict)
    features: dict[str, Any] = field(default_factory=dict)
    terms: list[list[Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        at, scaled = 0, 0
        for place, each in enumerate(self.encoder.columns):
            match each.type:
                case "number" | "boolean":
                    self._add_scalar(each, place, at, scaled)
                case "category":
                    self._add_category(each, place, at)
                case "date":
                    self._add_date(each, place, at, scaled)
                case _:
                    raise refused_column(each, "SQL")
            if each.missing and each.type != "category":
                self._add_flag(f"c{place}", at + each.width - 1)
            at, scaled = at + each.width, scaled + each.scaled

    def _add_scalar(self, each: Column, place: int, feature: int, scaled: int) -> None:
        source, cell = column(each.name), f"c{place}"
        if each.type == "boolean":
            self.cells[cell] = _truth(source)
        else:
            self.cells[cell] = self._number(source)
        self._add_scaled(cell, column(cell), feature, scaled, ends=each.ends[0] if each.ends else ())
        self._add_ramps(each, cell, feature + 1, scaled + 1)

    def _add_ramps(self, each: Column, cell: str, feature: int, scaled: int) -> None:
        """The features of the bins of a cell that is a number; what the model refuses the first feature refuses."""
        value, missing = column(cell), exp.Is(this=column(cell), expression=exp.null())
        for place, (low, high) in enumerate(each.ramps):
            mean, scale = float(self.encoder.mean[scaled + place]), float(self.encoder.scale[scaled + place])
            shifted = exp.paren(exp.Sub(this=value, expression=number(low)))
            share = exp.Div(this=shifted, expression=number(high - low), typed=False)
            centred = exp.paren(exp.Sub(this=share, expression=number(mean)))
            inside = exp.Div(this=centred, expression=number(scale), typed=False)
            branches = [
                (missing, number(0)),
                (exp.LTE(this=value, expression=number(low)), number(-mean / scale)),
                (exp.GTE(this=value, expression=number(high)), number((1 - mean) / scale)),
            ]
            name, of_number = f"x{feature + place}", case(branches, inside)
            self.features[name] = as_number(exp.cast(of_number, "float")) if self.dialect.has_float32 else of_number
            weights = self.weight[:, feature + place]
            self.terms.append([exp.Mul(this=number(w), expression=column(name)) for w in weights])

    def _number(self, source: Any) -> Any:  # noqa: ANN401
        """A number, or null for a missing one; a cell that is none becomes infinite, which is refused later."""
        plain = as_number(source)
        refused = as_number(number(2 * LARGEST_NUMBER))
        if self.dialect.name == "sqlite":  # its cast makes 0 of any text
            is_text = exp.EQ(this=exp.Anonymous(this="TYPEOF", expressions=[source]), expression=literal("text"))
            return case([(exp.and_(is_text, _is_marker(source)), exp.null()), (is_text, refused)], plain)
        if self.dialect.nan is None:
            return plain
        return case([(self.dialect.expression(self.dialect.nan, plain), exp.null())], plain)

    def _add_scaled(
        self,
        cell: str,
        value: Any,  # noqa: ANN401
        feature: int,
        scaled: int,
        *,
        ends: Sequence[float] = (),
    ) -> None:
        mean, scale = float(self.encoder.mean[scaled]), float(self.encoder.scale[scaled])
        bounded = _bounded(value, ends)
        shifted = exp.Sub(this=bounded, expression=number(mean)) if mean else bounded
        standardised = (
            exp.Div(this=exp.paren(shifted), expression=number(scale), typed=False) if scale != 1 else shifted
        )
        beyond_number = exp.GT(this=exp.Abs(this=value), expression=number(LARGEST_NUMBER))
        beyond_feature = exp.GT(this=exp.Abs(this=standardised), expression=number(LARGEST_FEATURE))
        # Between ends the feature is in the range that it had in training.
        too_large = beyond_number if ends else exp.or_(beyond_number, beyond_feature)
        if self.dialect.has_float32:  # the model rounds its features so
            standardised = as_number(exp.cast(standardised, "float"))
        missing = exp.Is(this=column(cell), expression=exp.null())
        name = f"x{feature}"
        self.features[name] = case([(missing, number(0)), (too_large, exp.null())], standardised)
        self.terms.append([exp.Mul(this=number(w), expression=column(name)) for w in self.weight[:, feature]])

    def _add_flag(self, cell: str, feature: int) -> None:
        missing = exp.Is(this=column(cell), expression=exp.null())
        self.terms.append([case([(missing, number(w))], number(0)) for w in self.weight[:, feature]])
        self.features[cell] = column(cell)

    def _add_category(self, each: Column, place: int, at: int) -> None:
        cell, code, levels = f"c{place}", f"k{place}", len(each.levels)
        self.cells[cell] = as_text(column(each.name))
        codes = {text: _whole(level) for text, level in each.texts_of_levels().items() if text}
        known = choice(column(cell), codes, _whole(levels))
        missing = exp.Is(this=column(cell), expression=exp.null())
        empty = exp.EQ(this=column(cell), expression=literal(""))
        self.features[code] = case([(exp.or_(missing, empty), _whole(levels + 1))], known)
        features = {level: at + level for level in range(levels)}
        if each.pooled:
            features[levels] = at + levels
        if each.missing:
            features[levels + 1] = at + each.width - 1
        self._add_codes(code, features)

    def _add_date(self, each: Column, place: int, at: int, scaled: int) -> None:
        cell, dialect, source = f"c{place}", self.dialect, column(each.name)
        if dialect.name == "sqlite":
            source = exp.Nullif(this=source, expression=literal(""))
        self.cells[cell] = source
        parts = {"y": dialect.year, "d": dialect.days, "m": dialect.month}
        self.cells |= {f"{name}{place}": dialect.expression(template, source) for name, template in parts.items()}
        years, ages = each.ends or ((), ())
        self._add_scaled(cell, as_number(column(f"y{place}")), at, scaled, ends=years)
        age = exp.Div(this=as_number(column(f"d{place}")), expression=number(-365.25), typed=False)
        self._add_scaled(cell, exp.paren(age), at + 1, scaled + 1, ends=ages)
        self._add_ramps(each, f"d{place}", at + 2, scaled + 2)
        flags = at + 1 + len(each.ramps)
        since = exp.Add(this=column(f"d{place}"), expression=_whole(_UNIX_WEEKDAY))
        remainder = exp.Mod(this=exp.paren(since), expression=_whole(_WEEKDAYS))
        weekday = exp.Mod(
            this=exp.paren(exp.Add(this=exp.paren(remainder), expression=_whole(7))), expression=_whole(7)
        )
        self.features[f"m{place}"] = column(f"m{place}")
        self.features[f"w{place}"] = weekday
        self._add_codes(f"m{place}", {month: flags + month for month in range(1, _MONTHS + 1)})
        self._add_codes(f"w{place}", {day: flags + 1 + _MONTHS + day for day in range(_WEEKDAYS)})

    def _add_codes(self, code: str, features: Mapping[int, int]) -> None:
        self.terms.append(
            [
                choice(column(code), [(_whole(key), number(row[at])) for key, at in features.items()], number(0))
                for row in self.weight
            ]
        )


def _bounded(value: Any, ends: Sequence[float]) -> Any:  # noqa: ANN401
    """A number, with the nearest end in place of one that is not between them."""
    if not ends:
        return value
    low, high = number(ends[0]), number(ends[-1])
    outside = [(exp.LT(this=value, expression=low), low), (exp.GT(this=value, expression=high), high)]
    return case(outside, value)


def _whole(value: int) -> Any:  # noqa: ANN401
    return exp.Literal.number(value)


def _is_marker(source: Any) -> Any:  # noqa: ANN401
    return exp.In(this=as_text(source), expressions=[literal(marker) for marker in MISSING_MARKERS])


def _truth(source: Any) -> Any:  # noqa: ANN401
    """1 for true and 0 for false, of booleans, numbers and texts; null for a missing value, else a refused number."""
    text = exp.Lower(this=as_text(source))
    branches: list[tuple[Any, Any]] = [(exp.Is(this=source, expression=exp.null()), exp.null())]
    for texts, value in ((TRUE_TEXTS, 1), (FALSE_TEXTS, 0)):
        known = [*texts, str(value), f"{value}.0"]
        branches.append((exp.In(this=text, expressions=[literal(each) for each in known]), number(value)))
    branches.append((_is_marker(source), exp.null()))
    return as_number(case(branches, number(2 * LARGEST_NUMBER)))
