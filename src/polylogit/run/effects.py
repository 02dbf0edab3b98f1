"""Effects of the columns of a linear or an additive model on its logits: exact, because these are sums over columns.

See also: `contributions.py`, the same for single rows; `polylogit.report.effect_charts`, which draws them.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import accumulate
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from polylogit.classifier import Classifier
from polylogit.data.tables.columns import read_columns
from polylogit.data.tables.encoder import TableEncoder
from polylogit.data.tables.sparse_features import sparse_flags, sparse_terms
from polylogit.data.tables.text.vocabulary import Vocabulary
from polylogit.data.tables.text.weighting import weighted_terms
from polylogit.errors import DataError
from polylogit.networks import LinearNetwork
from polylogit.report.effects import ColumnEffect
from polylogit.system.sparse_rows import SparseRows, joined_columns

__all__ = ["MOST_EFFECTS", "column_effects"]

MOST_EFFECTS = 100
"""So many columns have effects in a report, those with the largest; the page draws fewer."""

MOST_ROWS = 10_000
MOST_LEVELS = 200
MOST_TERMS = 60
"""So many terms of a text column have effects, as many for each class, but three at least."""

HISTOGRAM_CLASSES = 30
MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DTYPES = {"number": pl.Float64, "boolean": pl.Boolean, "category": pl.String, "date": pl.Date, "text": pl.String}
_EPOCH = date(1970, 1, 1)
_FAR = 3
"""An outer bin is drawn at most this many times as wide as all inner ones together."""

Numbers = npt.NDArray[np.float64]


def column_effects(
    classifier: Classifier,
    table: pl.DataFrame,
    *,
    only: Collection[str] | None = None,
    most: int = MOST_EFFECTS,
    rows: str = "training rows",
) -> list[ColumnEffect]:
    """The effect of each column on the logits, the largest first.

    Args:
        classifier: A linear or an additive model of a table.
        table: Rows of the distribution that effects are centred on and histograms are of: the training rows. At most
            `MOST_ROWS` of them are used, each with the same weight.
        only: The names of the columns to work out; None for all.
        most: The most columns.
        rows: What these rows are, for the reader.

    Returns:
        One effect for each column of numbers, booleans or categories, for text of its strongest terms; for a date
        three, of the day, the month and the weekday.

    Raises:
        DataError: The model is of another kind.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from polylogit.data.tables.sources import open_source
        >>> from polylogit.recipes import recipe_from_entries
        >>> from polylogit.run import train
        >>> recipe = recipe_from_entries({"model": {"kind": "additive"}})
        >>> classifier = train("zoo", recipe, out=Path(tempfile.mkdtemp()) / "zoo.safetensors").classifier
        >>> effects = column_effects(classifier, open_source("zoo").frame)
        >>> legs = next(effect for effect in effects if effect.column == "legs")
        >>> legs.kind, list(legs.places)
        ('number', [0.0, 2.0, 4.0, 8.0])

    Source: Hastie and Tibshirani (1990), "Generalized Additive Models", section 4.3, on functions of mean 0.
    """
    encoder, network = classifier.preprocessing, classifier.network
    if not isinstance(network, LinearNetwork) or not isinstance(encoder, TableEncoder):
        raise DataError("effects of columns: expected a linear or an additive model of a table, got another model.")
    if table.height > MOST_ROWS:
        table = table.sample(MOST_ROWS, seed=0)
    weight = network.linear.weight.detach().double().numpy()
    names = classifier.class_names
    classes: Sequence[str]
    if len(names) == 2:
        weight, classes = weight[1:] - weight[:1], names[1:]
    else:
        weight, classes = weight - weight.mean(axis=0), names
    known = {"against": names[0] if len(names) == 2 else "", "rows": rows}
    ends = list(accumulate((column.width for column in encoder.columns), initial=0))
    scaled = list(accumulate((column.scaled for column in encoder.columns), initial=0))
    found: list[ColumnEffect] = []
    for place, column in enumerate(encoder.columns):
        if only is not None and column.name not in only:
            continue
        mean, scale = (each[scaled[place] : scaled[place + 1]] for each in (encoder.mean, encoder.scale))
        alone = _OneColumn(
            TableEncoder([column], mean, scale), weight[:, ends[place] : ends[place + 1]], classes, known
        )
        found += alone.effects(read_columns(table, {column.name: column.reading})[column.name])
    return sorted(found, key=lambda effect: -effect.size)[:most]


class _OneColumn:
    """The effects of one column, from its encoder and its weights."""

    def __init__(
        self, encoder: TableEncoder, weight: Numbers, classes: Sequence[str], known: Mapping[str, Any]
    ) -> None:
        self._encoder, self._weight, self._classes, self._known = encoder, weight, classes, known
        self._column = encoder.columns[0]

    def effects(self, cells: pl.Series) -> Iterator[ColumnEffect]:
        """The effects of the column in some rows: one, or three of a date."""
        column, scaled = self._column, len(self._column.scaled_names)
        everything = slice(None)
        if column.type == "category":
            yield self._of_category(cells)
            return
        if column.vocabulary is not None:
            yield self._of_text(cells, column.vocabulary)
            return
        features = self._encoded(cells)
        if column.type == "number":
            yield self._along(cells, features, everything)
        elif column.type == "boolean":
            probes = self._encoded(pl.Series(column.name, [False, True]))
            yield self._of_levels(column.name, probes, ["false", "true"], features, everything)
        elif column.type == "date":
            yield self._along(cells, features, slice(0, scaled))
            for part, start, names in (("month", scaled, MONTHS), ("weekday", scaled + len(MONTHS), WEEKDAYS)):
                probes, flags = np.eye(column.width)[start : start + len(names)], slice(start, start + len(names))
                yield self._of_levels(f"{column.name}, {part}", probes, names, features, flags)

    def _encoded(self, cells: pl.Series) -> Numbers:
        inputs = self._encoder.encode(cells.to_frame())
        features: Numbers = (inputs.dense() if isinstance(inputs, SparseRows) else inputs).double().numpy()
        return features

    def _along(self, cells: pl.Series, features: Numbers, part: slice) -> ColumnEffect:
        """The effect of a number, or of the day of a date, at places between which it is linear."""
        column, weight = self._column, self._weight[:, part]
        numbers = column.binned_numbers(cells.drop_nulls())
        places = np.array(column.bin_edges) if column.bin_edges else np.unique(numbers)[[0, -1] if len(numbers) else []]
        probes = pl.Series(column.name, places)
        if column.type == "date":
            places = _with_turns_of_the_year(places)
            probes = pl.Series(column.name, places).cast(pl.Int32).cast(pl.Date)
            places, numbers = _years(places), _years(numbers)
        histogram, edges = np.histogram(numbers, HISTOGRAM_CLASSES, _range_drawn(places)) if len(places) else ((), ())
        return self._effect(
            column.name,
            "date" if column.type == "date" else "number",
            self._encoded(probes)[:, part] @ weight.T,
            features[:, part] @ weight.T,
            np.ones(len(features)),
            places=tuple(map(float, places)),
            histogram=tuple(map(int, histogram)),
            histogram_edges=tuple(map(float, edges)),
        )

    def _of_levels(
        self, name: str, probes: Numbers, names: Sequence[str], features: Numbers, part: slice
    ) -> ColumnEffect:
        """The effects of few levels, given the features of each."""
        counts = [int((features[:, part] == probe[part]).all(axis=1).sum()) for probe in probes]
        effects = features[:, part] @ self._weight[:, part].T
        levels = _Levels(names, probes @ self._weight.T, counts).most_frequent()
        return self._effect(
            name,
            "category",
            levels.effects,
            effects,
            np.ones(len(features)),
            names=levels.names,
            histogram=levels.counts,
        )

    def _of_category(self, cells: pl.Series) -> ColumnEffect:
        """The effects of the levels of a category, from its weights: their features may be too many for all rows."""
        column = self._column
        names = [*column.levels, *["(rare)"] * column.pooled, *["(missing)"] * column.missing]
        places = column.texts_of_levels()
        counts = np.zeros(len(names) + 1)  # the last for a level that has no feature
        unknown = len(column.levels) if column.pooled else len(names)
        for text, count in cells.alias("level").value_counts().iter_rows():
            gap = len(names) - 1 if column.missing else len(names)
            counts[gap if text is None else places.get(text, unknown)] += count
        effects = np.vstack([self._weight.T, np.zeros(len(self._classes))])
        shown = len(names) - column.missing
        levels = _Levels(names[:shown], effects[:shown], counts[:shown].astype(int).tolist()).most_frequent()
        return self._effect(
            column.name, "category", levels.effects, effects, counts, names=levels.names, histogram=levels.counts
        )

    def _of_text(self, cells: pl.Series, vocabulary: Vocabulary) -> ColumnEffect:
        """The effects of texts of one term alone, for the terms that add most to each class in these rows."""
        found = weighted_terms(cells, vocabulary)
        width = self._column.width
        rows = joined_columns(
            [sparse_terms(found, 0, width), sparse_flags(cells.is_null().to_frame().select(self._gap_flag), width)]
        )
        effects = rows.product(torch.from_numpy(self._weight)).double().numpy()
        of_terms = self._weight[:, : len(vocabulary)]
        added = of_terms * np.bincount(found.terms, found.weights, minlength=len(vocabulary))
        most = np.argsort(-added, axis=1, kind="stable")[:, : max(MOST_TERMS // len(self._classes), 3)]
        chosen = list(dict.fromkeys(most.T.ravel().tolist()))[:MOST_LEVELS]  # the first of each class, then the second
        counts = np.bincount(found.terms, minlength=len(vocabulary))[chosen]
        return self._effect(
            self._column.name,
            "text",
            of_terms[:, chosen].T,
            effects,
            np.ones(len(cells)),
            names=tuple(vocabulary.terms.gather(chosen).to_list()),
            histogram=tuple(counts.tolist()),
        )

    @property
    def _gap_flag(self) -> pl.Expr:
        """The number of the feature of a missing cell in such a row, from whether it is missing; -1 in others."""
        last = self._column.width - 1 if self._column.missing else -1
        return pl.when(pl.first()).then(last).otherwise(-1)

    def _effect(
        self,
        name: str,
        kind: Literal["number", "date", "category", "text"],
        curve: Numbers,
        effects: Numbers,
        rows: Numbers,
        **shown: Any,  # noqa: ANN401 - fields of `ColumnEffect`
    ) -> ColumnEffect:
        """An effect less its mean over the rows: `effects` occur `rows` times each."""
        share = rows[:, None] / max(rows.sum(), 1)
        centre = (share * effects).sum(axis=0)
        missing: dict[str, float] = {}
        if self._column.missing and name == self._column.name:
            gap = self._encoded(pl.Series(name, [None], dtype=_DTYPES[self._column.type])) @ self._weight.T
            missing = dict(zip(self._classes, (gap[0] - centre).tolist(), strict=True))
        return ColumnEffect(
            name,
            kind,
            {each: tuple(values) for each, values in zip(self._classes, (curve - centre).T.tolist(), strict=True)},
            float((share * np.abs(effects - centre)).sum() / len(self._classes)),
            missing=missing,
            **shown,
            **self._known,
        )


class _Levels(NamedTuple):
    """Levels with their effects and their numbers of rows."""

    names: Sequence[str]
    effects: Numbers
    counts: Sequence[int]

    def most_frequent(self) -> "_Levels":
        """The most frequent levels first, and at most `MOST_LEVELS` of them."""
        order = sorted(range(len(self.names)), key=lambda place: -self.counts[place])[:MOST_LEVELS]
        return _Levels(
            tuple(self.names[place] for place in order),
            self.effects[order],
            tuple(self.counts[place] for place in order),
        )


def _range_drawn(places: Numbers) -> tuple[float, float]:
    """The ends of the places, without an outer bin that would leave no room for the others."""
    low, high = float(places[0]), float(places[-1])
    if len(places) > 3:
        inner = float(places[-2] - places[1])
        low = max(low, float(places[1]) - _FAR * inner)
        high = min(high, float(places[-2]) + _FAR * inner)
    return low, high


def _with_turns_of_the_year(days: Numbers) -> Numbers:
    """The days, and the last and the first of each year among them, between which the year changes."""
    if not len(days):
        return days
    first, last = (_EPOCH + timedelta(days=float(day)) for day in (days[0], days[-1]))
    turns = [(date(year, 1, 1) - _EPOCH).days for year in range(first.year + 1, last.year + 1)]
    return np.unique([*days, *turns, *(turn - 1 for turn in turns if turn - 1 > days[0])])


def _years(days: Numbers) -> Numbers:
    """Days since 1970-01-01 as years with decimals."""
    found = []
    for day in days:
        at = _EPOCH + timedelta(days=float(day))
        start, end = date(at.year, 1, 1), date(at.year, 12, 31)
        found.append(at.year + (at - start).days / ((end - start).days + 1))
    return np.array(found)
