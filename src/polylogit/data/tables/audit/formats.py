"""Audit rules for the way in which numbers and dates are written: what was found, and what is not clear."""

from collections.abc import Iterator, Mapping

import polars as pl

from polylogit.data.tables.audit.findings import AuditFinding
from polylogit.data.tables.column_types import NAMED_NUMBER_FORMATS, SEVERAL_FORMATS, NumberMarks, Reading
from polylogit.data.tables.columns import present_cells
from polylogit.data.tables.dates import DATE_FORMATS, ambiguous_formats, has_time
from polylogit.data.tables.number_format import (
    NumberFormat,
    another_format,
    clear_decimal_commas,
    is_ambiguous,
    other_text_at_numbers,
)
from polylogit.data.tables.type_inference import quoted_key

__all__ = ["NumbersOfText", "audit_format"]

_MOST_ROWS_TRIED = 50_000


_PERCENT = ("%", "‰", "percent", "pct")


class NumbersOfText:
    """The columns of text that are read as numbers, as a column beside them sees them.

    Args:
        readings: How the columns of text are read, by name.
    """

    def __init__(self, readings: Mapping[str, Reading]) -> None:
        self._names = {name for name, reading in readings.items() if reading.type == "number"}
        self._with_comma = {name for name in self._names if _has_comma(readings[name])}

    def stand_beside(self, name: str) -> bool:
        """Whether another column is one of them."""
        return bool(len(self._names) - (name in self._names))

    def with_comma_beside(self, name: str) -> bool:
        """Whether another column has decimal commas."""
        return bool(len(self._with_comma) - (name in self._with_comma))


def audit_format(
    raw: pl.Series, reading: Reading, marks: NumberMarks, numbers: NumbersOfText
) -> Iterator[AuditFinding]:
    """How the numbers or dates of a column are written, and doubts about it.

    Args:
        raw: The column as it came.
        reading: How it was read.
        marks: The separators in its numbers that are known.
        numbers: The columns of the table that are numbers in text.

    Yields:
        Notes and warnings.
    """
    yield from _number_format(raw, reading, marks, numbers)
    yield from _unmarked_percent(raw, reading)
    yield from _date_format(raw, reading)


def _number_format(
    raw: pl.Series, reading: Reading, marks: NumberMarks, numbers: NumbersOfText
) -> Iterator[AuditFinding]:
    """Which way of writing numbers a column was found to have, and whether another would fit as well."""
    if raw.dtype != pl.String:
        return
    if reading.type == "category":
        yield from _possible_numbers(raw)
    commas = numbers.with_comma_beside(raw.name)
    if reading.type != "number" or (reading.format is None and not commas):
        return
    key = f"data.columns.{quoted_key(raw.name)}"
    codes = f"if they are codes: --set '{key}=category'."
    if reading.format in NAMED_NUMBER_FORMATS:
        how = {
            "quarter": "quarters of a year, so that 2021Q3 is 2021.5",
            "time": "times or durations in hours, so that 1:30 is 1.5",
            "hexadecimal": "hexadecimal numbers",
        }[reading.format]
        yield AuditFinding(
            "number-format", "note", f"the texts are read as {how}.", codes.capitalize(), column=raw.name
        )
        return
    number_format, texts = (
        NumberFormat.parse(reading.format or "1234.5"),
        present_cells(raw).unique(maintain_order=True),
    )
    is_clear = bool(texts.to_frame("text").select(clear_decimal_commas(pl.col("text"))).item())
    ambiguous = not is_clear and not marks.given and is_ambiguous(texts, number_format)
    if reading.format is None and not ambiguous:
        return
    other = None if is_clear else another_format(texts, number_format)
    alike = "" if reading.format else ", while another column has decimal commas"
    # A mark for the whole table would change columns whose cells have separators, too.
    whole = (
        f", or data.decimal={other.decimal} for the table"
        if ambiguous and not numbers.stand_beside(raw.name) and other
        else ""
    )
    yield AuditFinding(
        "ambiguous-number" if ambiguous else "number-format",
        "warning" if ambiguous else "note",
        f"the texts are read as numbers in which 1234.5 is written {number_format}"
        + (f"; the separator could as well be the {_other_mark(number_format)} one{alike}." if ambiguous else "."),
        (f"If they are written in another way: --set '{key}=\"number:{other}\"'{whole}; {codes}")
        if other
        else codes.capitalize(),
        column=raw.name,
    )


def _has_comma(reading: Reading) -> bool:
    return reading.format not in (None, *NAMED_NUMBER_FORMATS) and NumberFormat.parse(reading.format).decimal == ","


def _other_mark(number_format: NumberFormat) -> str:
    return "decimal" if number_format.thousands else "thousands"


def _unmarked_percent(raw: pl.Series, reading: Reading) -> Iterator[AuditFinding]:
    """Cells without a percent sign in a column of percentages, which may be shares."""
    if reading.type != "number" or reading.format in (None, *NAMED_NUMBER_FORMATS) or raw.dtype != pl.String:
        return
    suffix = NumberFormat.parse(reading.format or "").suffix.strip()
    if suffix.lower() not in _PERCENT:
        return
    cells = raw.alias("cells").str.strip_chars()
    unmarked = cells.str.contains(r"\d[)]?$").fill_null(value=False)
    if not unmarked.any():
        return
    row, count = int(unmarked.arg_max() or 0), int(unmarked.sum())
    yield AuditFinding(
        "unmarked-percent",
        "warning",
        f'"{raw[row]}" has no "{suffix}" as others have, and is read as if it had ({count} such rows).',
        f'Write all cells with "{suffix}" or none; if they are as they should be: --set '
        f"'data.columns.{quoted_key(raw.name)}=\"number:{reading.format}\"'.",
        column=raw.name,
        row=row + 1,
        value=str(raw[row]),
        count=count,
    )


def _date_format(raw: pl.Series, reading: Reading) -> Iterator[AuditFinding]:
    """Which way of writing dates a column was found to have, unless it is ISO's, and dates that are not clear."""
    key = f"data.columns.{quoted_key(raw.name)}"
    timed = reading.type == "date" and raw.dtype == pl.String and has_time(_distinct_texts(raw))
    if reading.type == "date" and reading.format is not None and (timed or reading.format != DATE_FORMATS[0]):
        written = " or ".join(reading.format.split(SEVERAL_FORMATS))
        yield AuditFinding(
            "date-format",
            "note",
            f"read as dates written {written}" + ("; a time of day is passed over." if timed else "."),
            f"If they are written in another way: --set '{key}=date:FORMAT'; if they are no dates: --set "
            f"'{key}=category'.",
            column=raw.name,
        )
    if reading.type != "category" or raw.dtype != pl.String:
        return
    texts = _distinct_texts(raw)
    formats = ambiguous_formats(texts)
    if formats is not None:
        yield AuditFinding(
            "ambiguous-date",
            "warning",
            f'dates such as "{texts[0]}", in which day and month could be exchanged or stand in either order, are read '
            "as categories.",
            f"Say which comes first: --set '{key}=date:{formats[0]}', or --set '{key}=date:{formats[1]}'.",
            column=raw.name,
            value=str(texts[0]),
        )


def _possible_numbers(raw: pl.Series) -> Iterator[AuditFinding]:
    """A category in which most cells are a number and a word that is no known unit."""
    texts = _distinct_texts(raw)
    words = other_text_at_numbers(texts)
    if not words:
        return
    key, listed = f"data.columns.{quoted_key(raw.name)}", ", ".join(f'"{word}"' for word in words)
    yield AuditFinding(
        "possible-number",
        "warning",
        f'most cells are a number and a word, such as "{texts[0]}", and are read as categories (words: {listed}).',
        f"If they are numbers of one unit: --set '{key}=\"number:1234.5 {words[0]}\"'. Write several units as one."
        if len(words) == 1
        else f"If they are numbers, write them in one unit; if not, ask for the category: --set '{key}=category'.",
        column=raw.name,
        value=str(texts[0]),
    )


def _distinct_texts(raw: pl.Series) -> pl.Series:
    """The distinct texts of evenly spaced rows, in the order of the rows."""
    return present_cells(raw.gather_every(max(1, len(raw) // _MOST_ROWS_TRIED)).unique(maintain_order=True))
