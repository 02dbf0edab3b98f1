"""Audit rules for single feature columns: unreadable cells, and columns that carry no information or leak the class."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from polylogit.data.tables.audit.findings import AuditFinding
from polylogit.data.tables.audit.formats import NumbersOfText, audit_format
from polylogit.data.tables.column_types import READ_AS_TEXT, NumberMarks, Reading
from polylogit.data.tables.columns import (
    LARGEST_NUMBER,
    expected_magnitude,
    expected_words,
    find_mistakes,
)
from polylogit.data.tables.named_column import named, select_named
from polylogit.data.tables.type_inference import quoted_key, refusal_words
from polylogit.plural import agreeing, counted

__all__ = ["accuracy_of_one_column", "audit_features", "audit_unusable"]

MOST_ROWS_TRIED = 50_000
"""How many evenly spaced rows tell whether one column gives the target away, and where its middle and scale lie."""

GIVES_AWAY = 0.02
"""A column gives the target away where at most this share of the majority guess's errors is left."""

ROBUST_SCALES = 20.0
"""An outlier is further than this many robust standard deviations from the median."""

_CELLS_AT_ONCE = 2**22
_FEWEST_ROWS = 20
_ROWS_LOOKED_AT_FIRST = 100
_MOSTLY_MISSING = 0.5
_BINS = 64


def audit_unusable(series: pl.Series, reading: Reading, dropped: bool) -> AuditFinding:
    """Why a column cannot become features: an error, or a note where the recipe drops it."""
    message, remedy = refusal_words(series, reading)
    if dropped:
        remedy = "It is left out, as data.free_text asks."
    kind = "text" if reading.type == "identifier" else reading.type
    return AuditFinding(f"unusable-{kind}", "note" if dropped else "error", message, remedy, column=series.name)


def audit_features(
    raw: pl.DataFrame,
    read: pl.DataFrame,
    readings: Mapping[str, Reading],
    targets: npt.NDArray[np.int64] | None,
    marks: NumberMarks,
) -> Iterator[AuditFinding]:
    """Every finding about the usable columns.

    Args:
        raw: The table as it came.
        read: Its usable feature columns, as read.
        readings: How they were read.
        targets: Class indices, -1 for a missing class; None without a target.
        marks: The separators in its numbers that are known.

    Yields:
        Findings, in no order.
    """
    texts = {series.name for series in raw if series.dtype == pl.String}
    numbers = NumbersOfText({name: reading for name, reading in readings.items() if name in texts})
    for series in read:
        name = series.name
        cells = raw[name]
        yield from _mistakes(cells, series, readings[name])
        yield from _emptiness(series)
        yield from audit_format(cells, readings[name], marks, numbers)
    numeric = [series.name for series in read if series.dtype.is_float()]
    if numeric:
        yield from _leading_zeros(select_named(raw, [name for name in numeric if name in texts]))
        yield from _identifiers(select_named(read, numeric))
    yield from _outliers(read.select(pl.col(pl.Float32, pl.Float64)))
    if targets is not None:
        yield from _giving_away(read, targets)


def _mistakes(raw: pl.Series, read: pl.Series, reading: Reading) -> Iterator[AuditFinding]:
    if reading.type not in READ_AS_TEXT and read.null_count() > raw.null_count():
        mistakes = find_mistakes(raw, read)
        yield from _wrong_cells("mixed-types", raw, mistakes, lambda row: expected_words(raw, reading, row))
    if read.dtype.is_float() and _is_beyond(read):
        infinite = read.is_infinite().fill_null(value=False)
        huge = (read.abs() > LARGEST_NUMBER).fill_null(value=False) & ~infinite
        for code, wrong in (("infinity", infinite), ("too-large", huge)):
            yield from _wrong_cells(code, read.alias(raw.name), wrong, lambda row: expected_magnitude(read[row]))


def _is_beyond(numbers: pl.Series) -> bool:
    """Whether a number exceeds `LARGEST_NUMBER`; the extremes are found several times faster than all such rows."""
    extremes = [bound for bound in (numbers.min(), numbers.max()) if isinstance(bound, float)]
    return any(abs(bound) > LARGEST_NUMBER for bound in extremes)


def _wrong_cells(code: str, cells: pl.Series, wrong: pl.Series, text: Callable[[int], str]) -> Iterator[AuditFinding]:
    """One error for all the wrong cells of a column, which names the first of them."""
    if not wrong.any():
        return
    row, count = int(wrong.arg_max() or 0), int(wrong.sum())
    more = f" ({count} such rows)" if count > 1 else ""
    yield AuditFinding(
        code,
        "error",
        f"{text(row)}{more}.",
        "Correct the cell, or drop the row.",
        column=cells.name,
        row=row + 1,
        value=str(cells[row]),
        count=count,
    )


def _emptiness(series: pl.Series) -> Iterator[AuditFinding]:
    missing = series.null_count()
    drop = f"Consider --set 'data.drop=[\"{series.name}\"]'."
    if missing > _MOSTLY_MISSING * len(series):
        yield AuditFinding(
            "mostly-missing",
            "warning",
            f"{missing} of {len(series)} values {agreeing(missing, 'is', 'are')} missing.",
            drop,
            column=series.name,
            count=missing,
        )
    if not missing and len(series) > 1 and bool((series == series[0]).all()):
        yield AuditFinding(
            "constant",
            "warning",
            f"every row has the value {series[0]}; it teaches nothing.",
            drop,
            column=series.name,
            row=1,
            value=str(series[0]),
            count=len(series),
        )


def _leading_zeros(raw: pl.DataFrame) -> Iterator[AuditFinding]:
    """Texts that are read as numbers and start with a zero, such as postal codes."""
    if not raw.width:
        return
    have_zeros = pl.all().str.strip_chars().str.contains(r"^0\d+$")
    for name, found in raw.select(have_zeros.any()).row(0, named=True).items():
        if not found:
            continue
        cells = raw[name]
        zeros = select_named(raw, [name]).select(have_zeros).to_series().fill_null(value=False)
        row = int(zeros.arg_max() or 0)
        yield AuditFinding(
            "leading-zeros",
            "warning",
            f'"{cells[row]}" is read as a number, but numbers have no leading zeros; this looks like a code.',
            f"If it is one: --set 'data.columns.{quoted_key(name)}=category'.",
            column=name,
            row=row + 1,
            value=str(cells[row]),
            count=int(zeros.sum()),
        )


def _identifiers(read: pl.DataFrame) -> Iterator[AuditFinding]:
    """Numbers that are whole and differ in all rows."""
    if read.height < _FEWEST_ROWS:
        return
    starts_whole = read.head(_ROWS_LOOKED_AT_FIRST).select((pl.all().floor() == pl.all()).all()).row(0)
    for name, is_whole in zip(read.columns, starts_whole, strict=True):
        cells = read[name] if is_whole else None
        if cells is None or cells.null_count() or not bool((cells == cells.floor()).all()):
            continue
        if cells.n_unique() == len(cells):
            yield AuditFinding(
                "identifier",
                "warning",
                "every row has another whole number; this looks like an identifier.",
                f"If it is one, leave it out: --set 'data.drop=[\"{name}\"]'.",
                column=name,
                count=len(cells),
            )


def _outliers(numbers: pl.DataFrame) -> Iterator[AuditFinding]:
    if numbers.height < _FEWEST_ROWS:
        return
    step = max(1, -(-numbers.height // MOST_ROWS_TRIED))
    at_once = max(1, _CELLS_AT_ONCE // (numbers.height // step))
    for start in range(0, numbers.width, at_once):
        yield from _outliers_of_some(numbers[:, start : start + at_once], step)


def _outliers_of_some(numbers: pl.DataFrame, step: int) -> Iterator[AuditFinding]:
    finite = pl.when(pl.all().is_finite()).then(pl.all())
    tried = numbers.gather_every(step).select(finite.cast(pl.Float64))
    medians = tried.median()
    # The median distance of a normal sample is 1 / 1.4826 deviations.
    scales = (tried.select((named(name) - medians[name][0]).abs() for name in tried.columns).median() * 1.4826).row(0)
    lowest, highest = numbers.select(finite.min()).row(0), numbers.select(finite.max()).row(0)
    for name, median, scale, low, high in zip(numbers.columns, medians.row(0), scales, lowest, highest, strict=True):
        if not scale:
            continue
        furthest = max(high - median, median - low)
        if furthest > ROBUST_SCALES * scale:
            cells = numbers.select(pl.when(named(name).is_finite()).then(named(name).cast(pl.Float64))).to_series()
            away = (cells - median).abs()
            row = int(away.fill_null(0.0).arg_max() or 0)
            count = int((away > ROBUST_SCALES * scale).sum())
            yield AuditFinding(
                "outlier",
                "note",
                f"{numbers[name][row]:g} is {furthest / scale:.0f} robust standard deviations from the median "
                f"{median:g} ({counted(count, 'row')} further away than {ROBUST_SCALES:g}).",
                "Correct it if it is a mistake.",
                column=name,
                row=row + 1,
                value=str(numbers[name][row]),
                count=count,
            )


def _giving_away(read: pl.DataFrame, targets: npt.NDArray[np.int64]) -> Iterator[AuditFinding]:
    step = max(1, -(-read.height // MOST_ROWS_TRIED))
    tried, classes = targets[::step], targets[::step]
    known = np.flatnonzero(classes >= 0)
    tried = tried[known]
    if len(tried) < _FEWEST_ROWS:
        return
    guess = np.bincount(tried).max() / len(tried)
    all_known = len(known) == read.height
    for series in read:
        cells = series if all_known else series.gather_every(step)[known]
        accuracy = accuracy_of_one_column(cells, tried)
        if guess < 1 and 1 - accuracy <= GIVES_AWAY * (1 - guess):
            yield AuditFinding(
                "gives-target-away",
                "warning",
                f"this column alone tells the class of {accuracy:.1%} of the rows (guessing tells {guess:.1%}).",
                f"If it is not known before the class is, leave it out: --set 'data.drop=[\"{series.name}\"]'.",
                column=series.name,
            )


def accuracy_of_one_column(values: pl.Series, targets: npt.NDArray[np.int64]) -> float:
    """How often the most frequent class among the other rows with a like value is the right one.

    Numbers and dates are alike in one of up to 64 ranges that hold about as many rows each. Since a row does not
    vote on itself, a column of identifiers tells nothing.

    Args:
        values: A column, as read.
        targets: Class indices of the same rows.

    Returns:
        The share of rows that are classified correctly.

    Example:
        >>> accuracy_of_one_column(pl.Series(["a", "a", "b", "b", "c"]), np.array([0, 0, 1, 1, 1]))
        0.8
    """
    groups = _groups(values)
    classes = int(targets.max()) + 1
    counts = np.zeros((int(groups.max()) + 1, classes), dtype=np.int64)
    np.add.at(counts, (groups, targets), 1)
    ordered = np.sort(counts, axis=1)
    most = ordered[:, -1]
    second = ordered[:, -2] if classes > 1 else np.zeros_like(most)
    right = np.where((most > 1) & (most - 1 >= second) & (most > second), most, 0)
    return float(right.sum() / len(targets))


def _groups(values: pl.Series) -> npt.NDArray[np.int64]:
    if values.dtype in (pl.String, pl.Boolean):
        return values.rank("dense").fill_null(0).to_numpy().astype(np.int64)
    numbers = values.to_physical().cast(pl.Float64)
    if numbers.null_count():
        numbers = numbers.fill_null(-np.inf)
    return _bins(numbers.to_numpy())


def _bins(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The number of the bin of each value, of bins that hold about equally many."""
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, min(_BINS, len(numbers) // 5) + 1)[1:-1], method="lower"))
    return np.searchsorted(edges, numbers, side="left")
