"""The columns of a table in ONNX, up to the sums of the first layer of the network.

Features that are 0 or 1 for the levels of a category are not built: the row of weights that belongs to the level is
added instead.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from polylogit.data.tables.column_types import FIRST_DAY, LARGEST_FEATURE, LARGEST_NUMBER, LAST_DAY
from polylogit.data.tables.encoded_column import Column
from polylogit.data.tables.encoder import TableEncoder
from polylogit.export.artifact import refused_column
from polylogit.export.onnx_graph import OnnxGraph

__all__ = ["INPUTS", "MISSING_DATE", "OnnxTable"]

MISSING_DATE = -(2**63)
"""The number of days that means a missing date."""

INPUTS: Mapping[str, tuple[Any, str]] = {
    "number": (np.float64, "a number; NaN is a missing value"),
    "boolean": (np.float64, "1 for true, 0 for false; NaN is a missing value"),
    "category": (str, 'text without white space around it; "" is a missing value'),
    "date": (np.int64, "days since 1970-01-01; -2**63 is a missing value"),
}
"""The type of the input for each type of column, and what its values mean."""

_DAYS_BEFORE_1970 = 719_468  # since 0000-03-01, where the years of the calculation start
_UNIX_WEEKDAY = 3  # 1970-01-01 was a Thursday, and weekdays count from Monday


@dataclass(frozen=True)
class _Scaled:
    """A feature that is standardised: NaN where it is missing.

    It is (clip(source, low, high) - start) / width before, for the feature of a bin from 0 to 1.
    """

    source: str
    feature: int
    flag: int | None
    low: float = -np.inf
    high: float = np.inf
    start: float = 0.0
    width: float = 1.0


class OnnxTable:
    """The inputs of a table in a graph.

    Args:
        graph: The graph.
        encoder: Columns, means and scales.

    Raises:
        ExportError: A column is of a type that ONNX cannot take; the message names it.
    """

    def __init__(self, graph: OnnxGraph, encoder: TableEncoder) -> None:
        self._graph = graph
        self._encoder = encoder
        self._scaled: list[_Scaled] = []
        self._codes: list[tuple[str, list[int | None]]] = []
        self._refused: list[str] = []
        at = 0
        for column in encoder.columns:
            if column.type not in INPUTS:
                raise refused_column(column, "ONNX")
            source = graph.input(column.name, INPUTS[column.type][0], ("N", 1))
            self._add(column, source, at)
            at += column.width

    def accepted(self) -> str:
        """[N, 1], bool: whether every cell of a row is one that the model accepts; to be asked after `first_layer`."""
        graph = self._graph
        refused = [graph.node("Cast", name, to=_kind(np.float32)) for name in self._refused]
        worst = graph.node("Max", *refused)
        return graph.node("Less", worst, graph.float32(0.5))

    def first_layer(self, weight: npt.NDArray[np.float32], dtype: type[np.floating[Any]]) -> str:
        """The features times the weights.

        Args:
            weight: H x D.
            dtype: The type that products are summed in; the features are float32 before.

        Returns:
            The name of [N, H].
        """
        graph, parts = self._graph, []

        def weights(rows: list[int | None]) -> str:
            table = np.stack([np.zeros(len(weight), np.float32) if row is None else weight[:, row] for row in rows])
            return self._as(graph.constant(table), dtype)

        if self._scaled:
            features, places = self._features()
            parts.append(graph.node("MatMul", self._as(features, dtype), weights(list(places))))
        parts += [graph.node("Gather", weights(rows), code, axis=0) for code, rows in self._codes]
        return graph.node("Sum", *parts)

    def _as(self, name: str, dtype: type[np.floating[Any]]) -> str:
        return name if dtype is np.float32 else self._graph.node("Cast", name, to=_kind(dtype))

    def _features(self) -> tuple[str, list[int]]:
        """The features that are numbers, and the flags of missing ones, [N, C], with their places."""
        graph, scaled = self._graph, self._scaled
        sources = list(dict.fromkeys(each.source for each in scaled))
        numbers = graph.node("Concat", *sources, axis=1)
        if any(each.high < np.inf for each in scaled):
            numbers = self._ramps(numbers, sources)
        missing = graph.node("IsNaN", numbers)
        for name, operator in (("mean", "Sub"), ("scale", "Div")):
            numbers = graph.node(operator, numbers, graph.constant(getattr(self._encoder, name).numpy()))
        numbers = graph.node("Where", missing, graph.float64(0), numbers)
        largest = graph.node("ReduceMax", graph.node("Abs", numbers), graph.int64([1]), keepdims=1)
        self._refused.append(graph.node("Greater", largest, graph.float64(LARGEST_FEATURE)))
        features, places = graph.node("Cast", numbers, to=_kind(np.float32)), [each.feature for each in scaled]
        flagged = [place for place, each in enumerate(scaled) if each.flag is not None]
        if flagged:
            flags = graph.node("Gather", missing, graph.int64(flagged), axis=1)
            flags = graph.node("Cast", flags, to=_kind(np.float32))
            features = graph.node("Concat", features, flags, axis=1)
            places += [flag for each in scaled if (flag := each.flag) is not None]
        return features, places

    def _ramps(self, numbers: str, sources: list[str]) -> str:
        """The features before they are standardised, [N, C], from a number for each source."""
        graph, scaled = self._graph, self._scaled
        numbers = graph.node("Gather", numbers, graph.int64([sources.index(each.source) for each in scaled]), axis=1)
        missing = graph.node("IsNaN", numbers)  # the largest and the least number of ONNX may pass over NaN
        clipped = graph.node("Max", numbers, graph.float64([each.low for each in scaled]))
        clipped = graph.node("Min", clipped, graph.float64([each.high for each in scaled]))
        clipped = graph.node("Sub", clipped, graph.float64([each.start for each in scaled]))
        clipped = graph.node("Div", clipped, graph.float64([each.width for each in scaled]))
        return graph.node("Where", missing, numbers, clipped)

    def _add_scaled(self, column: Column, source: str, at: int, flag: int | None) -> None:
        """A number with its bins."""
        (ends,) = column.ends or ((),)
        self._scaled.append(_Scaled(source, at, flag, *ends))
        self._add_bins(column, source, at + 1)

    def _add_bins(self, column: Column, source: str, at: int) -> None:
        for place, (low, high) in enumerate(column.ramps):
            self._scaled.append(_Scaled(source, at + place, None, low, high, low, high - low))

    def _add(self, column: Column, source: str, at: int) -> None:
        flag = at + column.width - 1 if column.missing else None
        match column.type:
            case "number":
                self._add_scaled(column, source, at, flag)
                limit, size = self._graph.float64(LARGEST_NUMBER), self._graph.node("Abs", source)
                self._refused.append(self._graph.node("Greater", size, limit))
            case "boolean":
                self._add_scaled(column, source, at, flag)
                self._refused.append(self._not_a_boolean(source))
            case "category":
                self._add_category(column, source, at)
            case _:
                self._add_date(column, source, at, flag)

    def _not_a_boolean(self, source: str) -> str:
        graph = self._graph
        known = [graph.node("Equal", source, graph.float64(value)) for value in (0, 1)]
        fine = graph.node("Or", graph.node("Or", *known), graph.node("IsNaN", source))
        return graph.node("Not", fine)

    def _add_category(self, column: Column, source: str, at: int) -> None:
        graph, levels = self._graph, len(column.levels)
        codes = {text: code for text, code in column.texts_of_levels().items() if text}
        codes[""] = levels + 1
        keys = [text.encode() for text in codes]
        code = graph.node(
            "LabelEncoder",
            source,
            domain="ai.onnx.ml",
            keys_strings=keys,
            values_int64s=list(codes.values()),
            default_int64=levels,
        )
        rows: list[int | None] = [at + level for level in range(levels)]
        rows.append(at + levels if column.pooled else None)
        rows.append(at + column.width - 1 if column.missing else None)
        self._codes.append((self._flat(code), rows))
        # Every text is accepted; the comparison gives the graph a row even where a table has categories only.
        self._refused.append(graph.node("Less", code, graph.int64(0)))

    def _flat(self, name: str) -> str:
        return self._graph.node("Reshape", name, self._graph.int64([-1]))

    def _add_date(self, column: Column, source: str, at: int, flag: int | None) -> None:
        graph = self._graph

        def whole(value: int) -> str:
            return graph.int64(value)

        def calc(operator: str, left: str, right: int) -> str:
            return graph.node(operator, left, whole(right))

        missing = calc("Equal", source, MISSING_DATE)
        outside = graph.node("Or", calc("Less", source, FIRST_DAY), calc("Greater", source, LAST_DAY))
        self._refused.append(graph.node("And", outside, graph.node("Not", missing)))
        days = graph.node("Where", outside, whole(0), source)
        year, month = _year_and_month(graph, days, calc)
        weekday = calc("Mod", calc("Add", days, _UNIX_WEEKDAY), 7)
        day = graph.node("Cast", days, to=_kind(np.float64))
        age = graph.node("Div", day, graph.float64(-365.25))
        year, age, day = (
            graph.node("Where", missing, graph.float64(np.nan), number)
            for number in (graph.node("Cast", year, to=_kind(np.float64)), age, day)
        )
        years, ages = column.ends or ((), ())
        self._scaled += [_Scaled(year, at, flag, *years), _Scaled(age, at + 1, None, *ages)]
        self._add_bins(column, day, at + 2)
        at += len(column.ramps)
        parts: tuple[tuple[str, int, Callable[[int], int]], ...] = (
            (calc("Sub", month, 1), 12, lambda place: at + 2 + place),
            (weekday, 7, lambda place: at + 14 + place),
        )
        for code, count, feature in parts:
            code = graph.node("Where", missing, whole(count), code)  # noqa: PLW2901 - the same code, or none
            self._codes.append((self._flat(code), [*map(feature, range(count)), None]))


def _year_and_month(graph: OnnxGraph, days: str, calc: Callable[[str, str, int], str]) -> tuple[str, str]:
    """Year and month of days since 1970-01-01, by integer arithmetic.

    Source: Howard Hinnant, chrono-compatible low-level date algorithms, civil_from_days; days are positive here.
    """
    since = calc("Add", days, _DAYS_BEFORE_1970)
    era, day = calc("Div", since, 146_097), calc("Mod", since, 146_097)
    leap = graph.node("Sub", calc("Div", day, 36_524), calc("Div", day, 146_096))
    year = calc("Div", graph.node("Sub", graph.node("Add", day, leap), calc("Div", day, 1_460)), 365)
    leap = graph.node("Sub", calc("Div", year, 4), calc("Div", year, 100))
    day = graph.node("Sub", day, graph.node("Add", calc("Mul", year, 365), leap))
    from_march = calc("Div", calc("Add", calc("Mul", day, 5), 2), 153)
    month = calc("Add", calc("Mod", calc("Add", from_march, 2), 12), 1)
    after = graph.node("Cast", calc("Greater", from_march, 9), to=_kind(np.int64))
    year = graph.node("Add", graph.node("Add", year, calc("Mul", era, 400)), after)
    return year, month


def _kind(dtype: Any) -> int:  # noqa: ANN401 - any numpy type
    """The number of a type in ONNX."""
    kinds: dict[Any, int] = {np.float32: 1, np.int64: 7, np.float64: 11}
    return kinds[dtype]
