"""Column types: inferred from the cells or as asked for, with messages for columns that cannot be used.

See also: `polylogit.data.tables.columns`, which reads the cells.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from polylogit.data.pictures.names import PICTURE_ENDINGS
from polylogit.data.tables.column_types import MISSING_MARKERS, ColumnType, NumberMarks, Reading
from polylogit.data.tables.columns import present_cells
from polylogit.data.tables.dates import (
    DATE_FORMATS,
    ambiguous_formats,
    date_of_text,
    find_date_format,
    look_like_dates,
)
from polylogit.data.tables.limits import current_limits
from polylogit.data.tables.named_column import select_named
from polylogit.data.tables.number_format import (
    FEWEST_NUMBERS,
    NumberFormat,
    clear_decimal_commas,
    find_named_format,
    find_number_format,
)
from polylogit.data.tables.text.detection import find_analyzer, is_text
from polylogit.errors import DataError, did_you_mean

__all__ = [
    "FEWEST_TEXTS",
    "check_columns_exist",
    "find_reading",
    "find_readings",
    "quoted_key",
    "refusal",
    "refusal_words",
]

FEWEST_TEXTS = 20
"""With no more distinct texts than this a column counts as a category even where they are all different."""

_CALENDAR = "%Y%m%d"
_FIRST_DATE, _LAST_DATE = 1900_01_01, 2099_12_31
_FEWEST_DATES = 3
_SHARE_OF_DATES = 0.95
_SAMPLE = 10_000
_PICTURE_FILE = rf"({'|'.join(map(re.escape, PICTURE_ENDINGS))})$"
_BOOLEANS = ({"true", "false"}, {"yes", "no"})


def find_readings(
    frame: pl.DataFrame,
    asked: Mapping[str, Reading] | None = None,
    place: str = "the table",
    marks: NumberMarks | None = None,
) -> dict[str, Reading]:
    """The reading of every column: as asked, or found in the cells.

    Args:
        frame: The feature columns.
        asked: Readings by column name, which are not questioned.
        place: What messages call the table.
        marks: The separators in its numbers, where they are known.

    Returns:
        A reading for each column of the frame; some may not be usable.

    Raises:
        DataError: Something is asked of a column that is not there, or too many columns are not all numbers.
    """
    asked = asked or {}
    check_columns_exist(frame, asked, 'data.columns names the column "{}", which is not there', place)
    marks = marks or NumberMarks()
    types = frame.schema  # which polars makes each time that it is asked for
    texts = [name for name, type_ in types.items() if type_ == pl.String and name not in asked]
    found = {} if marks.given else _readings_of_numbers(frame, texts)
    others = sum(not type_.is_numeric() for type_ in types.values()) - len(found)
    current_limits().check_other_columns(place, others)
    return {
        series.name: found.get(series.name) or _completed(series, asked.get(series.name), marks) for series in frame
    }


def _readings_of_numbers(frame: pl.DataFrame, names: Sequence[str]) -> dict[str, Reading]:
    """The columns of text whose cells are all numbers in the plainest of ways, found at once; others are left out.

    These get the reading that `find_reading` would find, which looks at one column at a time and takes ten times as
    long.
    """
    if not names or not frame.height:
        return {}
    texts = select_named(frame, names).gather_every(max(1, frame.height // _SAMPLE)).select(pl.all().str.strip_chars())
    texts = texts.select(pl.when(~pl.all().is_in(list(MISSING_MARKERS))).then(pl.all()))
    plain = _plain_numbers(texts)
    with_comma = _comma_numbers(select_named(texts, [name for name in names if name not in plain]))
    comma = Reading("number", str(NumberFormat(decimal=",")))
    return dict.fromkeys(plain, Reading("number")) | dict.fromkeys(with_comma, comma)


def _comma_numbers(texts: pl.DataFrame) -> list[str]:
    """The columns in which each cell is missing or a number, and the comma is clearly a decimal one."""
    if not texts.width:
        return []
    are_clear = texts.select(clear_decimal_commas(pl.all())).row(0)
    clear = select_named(texts, [name for name, is_clear in zip(texts.columns, are_clear, strict=True) if is_clear])
    numbers = clear.select(pl.all().str.strip_chars_start("+-").drop_nulls().n_unique()) if clear.width else clear
    return [name for name, distinct in zip(clear.columns, *numbers.rows(), strict=True) if distinct >= FEWEST_NUMBERS]


def _plain_numbers(texts: pl.DataFrame) -> set[str]:
    """The columns in which each cell is missing or a finite number without separators.

    What could as well be dates such as 20210305 is left to `find_reading`.
    """
    numbers = texts.select(pl.all().cast(pl.Float64, strict=False))
    are_finite = numbers.select(pl.all().is_finite().all()).row(0)
    gaps, unread = texts.null_count().row(0), numbers.null_count().row(0)
    lowest, highest = numbers.min().row(0), numbers.max().row(0)
    return {
        name
        for name, *counts, is_finite, low, high in zip(
            texts.columns, gaps, unread, are_finite, lowest, highest, strict=True
        )
        if counts[0] == counts[1] < texts.height and is_finite and not (low >= _FIRST_DATE and high <= _LAST_DATE)
    }


def _completed(series: pl.Series, asked: Reading | None, marks: NumberMarks) -> Reading:
    if asked is None:
        return find_reading(series, marks)
    if asked.type == "number" and asked.format is None and series.dtype == pl.String:
        return _number_reading(present_cells(series), marks) or asked
    if asked.type == "date" and asked.format is None and series.dtype == pl.String:
        return Reading("date", find_date_format(present_cells(series), least=0.0) or DATE_FORMATS[0])
    if asked.type == "text" and asked.format is None:
        return Reading("text", str(find_analyzer(_sample(series))))
    return asked


def find_reading(series: pl.Series, marks: NumberMarks | None = None) -> Reading:
    """The reading that fits a column best.

    Numbers, booleans and dates are taken by the column's type; times and durations are numbers of hours, and whole
    numbers such as 20210305 are dates. Text is boolean where all of it is true and false (or yes and no), a number if
    more than half of it reads as numbers, a date where at least nine tenths read as dates of one format, or of three;
    these are decided by ten to twenty thousand evenly spaced rows of a longer table. With more than
    `FEWEST_TEXTS` distinct texts it is text where `is_text` finds enough words in its cells, and an identifier, which
    cannot be used, where more than half of all rows are distinct; else it is a category.

    Example:
        >>> find_reading(pl.Series(["1", "NA", "2.5"])), find_reading(pl.Series(["2024-05-01"])).type
        (Reading(type='number', format=None), 'date')
    """
    series = series.alias("cells")  # polars' own methods take a name such as ^a.*$ for a pattern
    if series.null_count() == len(series):
        return Reading("empty")
    if series.dtype == pl.String:
        return _reading_of_text(series, marks or NumberMarks())
    if series.dtype.is_integer() and _is_calendar(series):
        return Reading("date", _CALENDAR)
    if series.dtype.is_numeric() or series.dtype in (pl.Duration, pl.Time):
        return Reading("number")
    kinds: dict[object, ColumnType] = {pl.Boolean: "boolean", pl.Date: "date", pl.Datetime: "date"}
    kinds |= {pl.Categorical: "category", pl.Enum: "category"}
    return Reading(kinds.get(series.dtype.base_type(), "nested"))


def _reading_of_text(series: pl.Series, marks: NumberMarks) -> Reading:  # noqa: PLR0911 - one for each type
    there = _sample(series)
    if there.is_empty():
        there = present_cells(series)
    if there.is_empty():
        return Reading("empty")
    distinct = there.unique()
    if len(distinct) <= 8 and any(set(distinct.str.to_lowercase()) <= words for words in _BOOLEANS):
        return Reading("boolean")
    if bool(distinct.str.contains(r"^\d{8}$").all()) and _is_calendar(distinct.cast(pl.Int64)):
        return Reading("date", _CALENDAR)
    number = _number_reading(there, marks)
    if number is not None:
        return number
    date_format = find_date_format(distinct, least=0.9)
    if date_format:
        return Reading("date", date_format)
    levels, present = series.n_unique(), len(series) - series.null_count()
    if levels <= FEWEST_TEXTS:
        return Reading("category")
    if is_text(there, levels / max(present, 1)) and not _maybe_dates(there):
        return Reading("text", str(find_analyzer(there)))
    return Reading("identifier" if 2 * levels > present else "category")


def _sample(series: pl.Series) -> pl.Series:
    return present_cells(series.gather_every(max(1, len(series) // _SAMPLE)))


def _maybe_dates(texts: pl.Series) -> bool:
    return ambiguous_formats(texts.head(_SAMPLE)) is not None or look_like_dates(texts.head(_SAMPLE))


def _number_reading(texts: pl.Series, marks: NumberMarks) -> Reading | None:
    """The reading of texts that are numbers, with a format where they are not plain ones; None for other texts."""
    unread = texts.cast(pl.Float64, strict=False).null_count()
    if unread or marks.given:
        number_format = find_number_format(texts, marks)
        if number_format not in (None, NumberFormat()):
            return Reading("number", str(number_format))
    if unread == len(texts):
        named_format = find_named_format(texts)
        return None if named_format is None else Reading("number", named_format)
    return Reading("number") if 2 * unread < len(texts) else None


def _is_calendar(numbers: pl.Series) -> bool:
    """Whether whole numbers are dates such as 20210305: all are of the years 1900 to 2099, and nearly all exist."""
    lowest, highest = numbers.min(), numbers.max()
    if not isinstance(lowest, int) or not isinstance(highest, int) or lowest < _FIRST_DATE or highest > _LAST_DATE:
        return False
    texts = numbers.drop_nulls().unique().cast(pl.String)
    if len(texts) < _FEWEST_DATES:
        return False
    dates = texts.to_frame("").select(date_of_text(pl.col(""), _CALENDAR)).to_series()
    return dates.null_count() <= (1 - _SHARE_OF_DATES) * len(texts)


def refusal(series: pl.Series, reading: Reading, place: str) -> DataError:
    """The error for a column whose reading is not usable."""
    return DataError(f'{place}, column "{series.name}": {" ".join(refusal_words(series, reading))}')


def refusal_words(series: pl.Series, reading: Reading) -> tuple[str, str]:
    """Why a column whose reading is not usable cannot become features, and what to do."""
    drop = f"Leave the column out with --set 'data.drop=[\"{series.name}\"]'"
    match reading.type:
        case "empty":
            return "every value is missing.", f"{drop}."
        case "nested":
            return f"values of type {series.dtype} are not handled.", f"Make numbers or categories of them. {drop}."
        case "text":
            return f"free text in {series.n_unique()} distinct cells.", f"{drop}."
        case _:
            return _refusal_of_texts(series, drop)


def _refusal_of_texts(series: pl.Series, drop: str) -> tuple[str, str]:
    """Why texts are no category, and what to do."""
    texts = present_cells(series)
    formats, distinct = ambiguous_formats(texts.head(_SAMPLE)), texts.n_unique()
    key = quoted_key(series.name)
    if formats is not None:
        return (
            f'dates such as "{texts[0]}", in which day and month could be exchanged or stand in either order.',
            f"Say which comes first: --set 'data.columns.{key}=date:{formats[0]}', or "
            f"--set 'data.columns.{key}=date:{formats[1]}'.",
        )
    if look_like_dates(texts.head(_SAMPLE)):
        return (
            f'{distinct} distinct texts such as "{texts[0]}", which look like dates of no known format.',
            f"Say how they are written, as for strftime (%d.%m.%y, %m/%d/%y): --set "
            f"'data.columns.{key}=date:FORMAT'. {drop}.",
        )
    if texts.head(_SAMPLE).str.to_lowercase().str.contains(_PICTURE_FILE).all():
        return (
            f'names of picture files such as "{texts[0]}".',
            f"Train on the pictures with --set 'data.path={series.name}'. {drop} to train on the others.",
        )
    return (
        f"{distinct} distinct texts in {len(series)} rows; this looks like an identifier.",
        f"{drop} (every such column: --set data.free_text=drop), or read it as a category or as text: "
        f"--set 'data.columns.{key}=category', --set 'data.columns.{key}=text'.",
    )


def check_columns_exist(frame: pl.DataFrame, names: Iterable[str], words: str, place: str) -> None:
    """Refuse a column that is named but not there, with the nearest that is.

    Raises:
        DataError: The first of the names that is no column.
    """
    for name in names:
        if name not in frame.columns:
            raise DataError(f"{place}: {words.format(name)}.{did_you_mean(name, frame.columns)}")


def quoted_key(name: str) -> str:
    """A column name as a key of `--set`, in quotation marks where it needs them.

    Example:
        >>> quoted_key("age"), quoted_key("bill length")
        ('age', '"bill length"')
    """
    plain = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if plain else f'"{name}"'
