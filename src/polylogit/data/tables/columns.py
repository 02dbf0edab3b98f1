"""Cells of columns, read by type: numbers, booleans, categories, dates or text.

A column that was read is Float64, Boolean, String or Date, and null where its value is missing; NaN is missing too. A
column that came as Float32 stays Float32 and shares the memory of the table. See also: `type_inference`, which finds
the type of a column, and `encoder`, which makes features of it.
"""

import math
from collections.abc import Mapping

import polars as pl

from polylogit.data.tables.column_types import LARGEST_NUMBER, MISSING_MARKERS, READ_AS_TEXT, Reading, UsableType
from polylogit.data.tables.dates import DATE_FORMATS, date_of_text
from polylogit.data.tables.named_column import named, select_named
from polylogit.data.tables.number_format import read_numbers
from polylogit.data.tables.stored_frame import rows_of_a_block, stored_frame
from polylogit.errors import DataError

__all__ = [
    "LARGEST_NUMBER",
    "MISSING_MARKERS",
    "expected_magnitude",
    "expected_words",
    "find_mistakes",
    "present_cells",
    "read_cells",
    "read_columns",
    "stored_cells",
]

_READ_AS = {"number": pl.Float64, "boolean": pl.Boolean, "category": pl.String, "date": pl.Date, "text": pl.String}
_MICROSECONDS_AN_HOUR = 3.6e9
TRUE_TEXTS = ("true", "yes")
FALSE_TEXTS = ("false", "no")


def present_cells(series: pl.Series) -> pl.Series:
    """The texts that are there, without white space around them and without markers of missing values."""
    there = series.alias("cells").drop_nulls()  # polars' own methods take a name such as ^a.*$ for a pattern
    there = there.cast(pl.String).str.strip_chars()
    return there.filter(~there.is_in(list(MISSING_MARKERS)))


def read_columns(
    frame: pl.DataFrame, readings: Mapping[str, Reading], place: str = "the table", first_row: int = 0
) -> pl.DataFrame:
    """The columns as what they mean.

    Reading what was read already gives the same again.

    Args:
        frame: A frame that holds at least the columns of `readings`.
        readings: A usable reading for each column wanted.
        place: What messages call the table.
        first_row: How many rows of the table stand before the frame.

    Returns:
        The wanted columns, in the order of `readings`: Float64 for numbers (Float32 for those that came so), Boolean,
        String for categories and text, Date.

    Raises:
        DataError: A cell cannot be read, or its number exceeds `LARGEST_NUMBER`; the message names the first.
    """
    read = read_cells(frame, readings)
    for name, reading in readings.items():
        if reading.type not in READ_AS_TEXT and read[name].null_count() > frame[name].null_count():
            mistakes = find_mistakes(frame[name], read[name])
            if mistakes.any():
                raise _mistake(frame[name], reading, int(mistakes.arg_max() or 0), place, first_row)
    numbers = [name for name, reading in readings.items() if reading.type == "number"]
    if numbers:
        highest, lowest = (read.select(of(named(name)) for name in numbers).row(0) for of in (pl.Expr.max, pl.Expr.min))
        for name, most, least in zip(numbers, highest, lowest, strict=True):
            if max(most or 0.0, -(least or 0.0)) > LARGEST_NUMBER:
                row = int((read[name].cast(pl.Float64).abs() > LARGEST_NUMBER).fill_null(value=False).arg_max() or 0)
                raise DataError(
                    f'{place}, column "{name}", row {first_row + row + 1}: {expected_magnitude(read[name][row])}. '
                    "Correct the cell, or drop the row."
                )
    return read


def expected_magnitude(value: float) -> str:
    """What was expected in place of a number above `LARGEST_NUMBER`, and what came."""
    expected = "a finite number" if math.isinf(value) else f"a number up to {LARGEST_NUMBER:g} in magnitude"
    return f"expected {expected}, got {value}"


def read_cells(frame: pl.DataFrame, readings: Mapping[str, Reading]) -> pl.DataFrame:
    """As `read_columns`, but what cannot be read is null, and infinities stay."""
    read = frame.select(_expression(frame[name], reading) for name, reading in readings.items())
    # A step of its own, where there are such cells: an expression that names its input twice works it out twice.
    suspects = {series.name: named(series.name).is_nan() for series in read if series.dtype.is_float()}
    suspects |= {series.name: named(series.name) == "" for series in read if series.dtype == pl.String}
    if not suspects:
        return read
    found = read.select(suspect.any() for suspect in suspects.values()).row(0)
    return read.with_columns(
        pl.when(~suspects[name]).then(named(name)) for name, is_there in zip(suspects, found, strict=True) if is_there
    )


def stored_cells(frame: pl.DataFrame, readings: Mapping[str, Reading]) -> pl.DataFrame:
    """`read_cells` of a table in a mapped file, into another: no column is in memory as a whole.

    Columns of numbers that are what they mean as they came stay in the file that they are in.
    """
    kept = {name: reading for name, reading in readings.items() if _is_read(frame[name], reading)}
    if len(kept) == len(readings):
        return select_named(frame, kept)
    blocks = frame.iter_slices(rows_of_a_block(frame))
    return stored_frame(read_cells(block, readings) for block in blocks)


def _is_read(series: pl.Series, reading: Reading) -> bool:
    is_number = reading.type == "number" and series.dtype in (pl.Float32, pl.Float64)
    return is_number and not series.is_nan().any()


def find_mistakes(raw: pl.Series, read: pl.Series) -> pl.Series:
    """Which cells are there, but could not be read and are no marker of a missing value.

    Args:
        raw: A column as it came.
        read: The same, as read.

    Returns:
        A Boolean series without nulls.
    """
    raw, read = raw.alias("cells"), read.alias("cells")  # polars' own methods take ^a.*$ for a pattern
    suspects = raw.is_not_null() & read.is_null()
    if raw.dtype.is_float():
        return suspects & ~raw.is_nan().fill_null(value=True)
    if raw.dtype in (pl.String, pl.Categorical, pl.Enum):
        return suspects & ~raw.cast(pl.String).str.strip_chars().is_in(list(MISSING_MARKERS)).fill_null(value=True)
    return suspects


def _expression(series: pl.Series, reading: Reading) -> pl.Expr:
    column = named(series.name)
    if series.dtype in (pl.Categorical, pl.Enum):
        column, series = column.cast(pl.String), series.head(0).cast(pl.String)
    match reading.type:
        case "number":
            return _number(column, series, reading.format)
        case "boolean":
            return _boolean(column, series)
        case "date":
            return _date(column, series, reading.format)
        case _:
            return _category(column, series)


def _number(column: pl.Expr, series: pl.Series, number_format: str | None) -> pl.Expr:
    if series.dtype == pl.String and number_format is not None:
        return read_numbers(column, number_format).alias(series.name)
    if series.dtype == pl.String:
        column = column.str.strip_chars()
    elif series.dtype == pl.Duration:
        return (column.dt.total_microseconds() / _MICROSECONDS_AN_HOUR).alias(series.name)
    elif series.dtype == pl.Time:
        return (column.to_physical() / (1000 * _MICROSECONDS_AN_HOUR)).alias(series.name)
    elif not (series.dtype.is_numeric() or series.dtype == pl.Boolean):
        return _unreadable(series, "number")
    return column if series.dtype == pl.Float32 else column.cast(pl.Float64, strict=False)


def _boolean(column: pl.Expr, series: pl.Series) -> pl.Expr:
    if series.dtype == pl.Boolean:
        return column
    if series.dtype == pl.String:
        words = {"1": True, "0": False, **dict.fromkeys(TRUE_TEXTS, True), **dict.fromkeys(FALSE_TEXTS, False)}
        return column.str.strip_chars().str.to_lowercase().replace_strict(words, default=None, return_dtype=pl.Boolean)
    if series.dtype.is_numeric():
        yes, no = column == 1, column == 0
    else:
        return _unreadable(series, "boolean")
    return pl.when(yes).then(pl.lit(value=True)).when(no).then(pl.lit(value=False)).otherwise(None).alias(series.name)


def _category(column: pl.Expr, series: pl.Series) -> pl.Expr:
    if series.dtype == pl.String:
        return column.str.strip_chars()
    if series.dtype.is_float():
        # A code is the same code whether its column came as integers or, for a gap in it, as floats.
        column = column.fill_nan(None)
        whole = (column == column.floor()) & (column.abs() < 2**53)
        code = column.cast(pl.Int64, strict=False).cast(pl.String)
        return pl.when(whole).then(code).otherwise(column.cast(pl.String))
    if series.dtype.is_nested() or series.dtype in (pl.Binary, pl.Object):
        return _unreadable(series, "category")
    if series.dtype == pl.Duration:
        return column.dt.to_string("iso")
    return column.cast(pl.String)


def _date(column: pl.Expr, series: pl.Series, date_format: str | None) -> pl.Expr:
    if series.dtype == pl.Date:
        return column
    if series.dtype == pl.Datetime:
        return column.dt.date()
    if series.dtype.is_integer() and date_format == "%Y%m%d":
        column, series = column.cast(pl.String), series.head(0).cast(pl.String)
    if series.dtype == pl.String:
        return date_of_text(column, date_format or DATE_FORMATS[0]).alias(series.name)
    return _unreadable(series, "date")


def _unreadable(series: pl.Series, kind: UsableType) -> pl.Expr:
    """No cell of a column can be read: all null, so that the first that is there is named."""
    return pl.repeat(None, pl.len(), dtype=_READ_AS[kind]).alias(series.name)


def _mistake(series: pl.Series, reading: Reading, row: int, place: str, first_row: int) -> DataError:
    return DataError(
        f'{place}, column "{series.name}", row {first_row + row + 1}: {expected_words(series, reading, row)}. '
        "Correct the cell, or drop the row."
    )


def expected_words(series: pl.Series, reading: Reading, row: int) -> str:
    """What was expected in a cell that cannot be read, and what came."""
    expected = {"number": "a number", "boolean": "true or false", "date": "a date"}[reading.type]
    if reading.format:
        expected += f" written as {reading.format}"
    came = f'"{series[row]}"' if series.dtype == pl.String else f"{series[row]!r} ({series.dtype})"
    return f"expected {expected}, got {came}"
