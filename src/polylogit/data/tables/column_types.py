"""The types of columns and the words that ask for one; imports no polars, so that recipes are checked quickly.

See also: `polylogit.data.tables.columns`, which reads the cells.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from polylogit.data.tables.text.analyzer import Analyzer
from polylogit.errors import did_you_mean

__all__ = [
    "FIRST_DAY",
    "LARGEST_FEATURE",
    "LARGEST_NUMBER",
    "LAST_DAY",
    "MISSING_MARKERS",
    "NAMED_NUMBER_FORMATS",
    "NUMBER_DIGITS",
    "READ_AS_TEXT",
    "SEVERAL_FORMATS",
    "ColumnType",
    "NumberMarks",
    "Reading",
    "UsableType",
    "asked_reading",
    "check_number_format",
    "first_date_format",
    "number_digits",
]

LARGEST_NUMBER = 1e100
"""Largest magnitude of a number: squares of larger ones, summed for a spread, can overflow."""

LARGEST_FEATURE = 3.4028234663852886e38
"""Largest magnitude of a standardised number: the largest number in single precision."""

FIRST_DAY, LAST_DAY = -719_162, 2_932_896
"""Days since 1970-01-01 of 0001-01-01 and 9999-12-31, the dates that Python has."""

MISSING_MARKERS = (
    *("", "?", "-", "--", "---", "–", "—", ".", "NA", "na", "<NA>", "N/A", "n/a", "n.a.", "#N/A", "#NA"),
    *("NaN", "nan", "NaT", "NULL", "Null", "null", "(null)", "\\N", "None", "none", "nil"),
    *("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NUM!"),
)
"""Texts that mean a missing value in a column of numbers, booleans or dates. A category may be called so."""

NUMBER_DIGITS = {
    "1,234.5": (".", ","),
    "1 234.5": (".", " "),
    "1'234.5": (".", "'"),
    "1.234,5": (",", "."),
    "1 234,5": (",", " "),
    "1'234,5": (",", "'"),
    "1234.5": (".", ""),
    "1234,5": (",", ""),
}
"""Ways to write the number 1234.5: the decimal separator and the separator of thousands of each."""

SEVERAL_FORMATS = "|"
"""Stands between the formats of a column of dates that are written in several ways."""

NAMED_NUMBER_FORMATS = ("quarter", "time", "hexadecimal")
"""Ways to write a number that 1234.5 cannot show: `2021Q3` is 2021.5, `1:30` or `0 days 01:30:00` 1.5, `0x1f` 31."""

ColumnType = Literal["number", "boolean", "category", "date", "text", "identifier", "empty", "nested"]
UsableType = Literal["number", "boolean", "category", "date", "text"]

READ_AS_TEXT = ("category", "text")
"""The types whose cells are texts: no cell of these is unreadable."""


@dataclass(frozen=True)
class NumberMarks:
    """The separators that are known to stand in the numbers of a table.

    Args:
        decimal: The decimal separator; None: found in each column.
        thousands: The separator of thousands, "" for none; None: found in each column.
    """

    decimal: str | None = None
    thousands: str | None = None

    @property
    def given(self) -> bool:
        """Whether one of them is known."""
        return self.decimal is not None or self.thousands is not None

    def allow(self, decimal: str, thousands: str) -> bool:
        """Whether a pair of separators agrees with those that are known."""
        return self.decimal in (None, decimal) and self.thousands in (None, thousands)


@dataclass(frozen=True)
class Reading:
    """How the cells of a column are read.

    Args:
        type: One of `ColumnType`; "identifier", "empty" and "nested" cannot be used.
        format: How the cells are written where they are text: a date as for `strftime`, a number as the number 1234.5
            is written, such as `1.234,5` or `$1,234.5`, or one of `NAMED_NUMBER_FORMATS`. How text is cut into
            terms; see `polylogit.data.tables.text.analyzer`.
    """

    type: ColumnType
    format: str | None = None

    @property
    def usable(self) -> bool:
        """Whether the column can become features."""
        return self.type in get_args(UsableType)


def first_date_format(date_format: str | None) -> str:
    """The format of dates, of several the one that most are written in; the ISO format where there is none.

    Example:
        >>> first_date_format("%d.%m.%Y|%Y-%m-%d")
        '%d.%m.%Y'
    """
    return (date_format or "%Y-%m-%d").split(SEVERAL_FORMATS)[0]


def number_digits(text: str) -> tuple[str, str, str]:
    """A number format in three parts: what precedes the number, the number 1234.5 itself, and what follows it.

    Raises:
        ValueError: The text does not hold the number 1234.5.

    Example:
        >>> number_digits("$1,234.5")
        ('$', '1,234.5', '')
    """
    for digits in NUMBER_DIGITS:
        prefix, found, suffix = text.partition(digits)
        if found and not any(character.isdigit() for character in prefix + suffix):
            return prefix, digits, suffix
    raise ValueError(f'"{text}": expected the number 1234.5 as the column writes it, such as "1.234,5" or "$1,234.5"')


def check_number_format(text: str) -> None:
    """Refuse a text that is no number format.

    Raises:
        ValueError: It is neither in `NAMED_NUMBER_FORMATS` nor holds the number 1234.5.
    """
    if text not in NAMED_NUMBER_FORMATS:
        number_digits(text)


def asked_reading(words: str) -> Reading:
    """What a recipe asks for a column: a type, `date:FORMAT`, or `number:FORMAT` with 1234.5 written as in the column.

    The format of numbers may also be one of `NAMED_NUMBER_FORMATS`. `text:words` and `text:characters` say how text is
    cut into terms.

    Raises:
        ValueError: The words name no type.

    Example:
        >>> asked_reading("date:%d/%m/%Y")
        Reading(type='date', format='%d/%m/%Y')
    """
    kind, colon, date_format = words.partition(":")
    if kind not in get_args(UsableType) or (colon and (kind not in ("date", "number", "text") or not date_format)):
        known = [*get_args(UsableType), "date:%d/%m/%Y", "number:1.234,5", "text:characters"]
        raise ValueError(f'no column is of type "{words}".{did_you_mean(words, known)}')
    if kind == "number" and date_format:
        check_number_format(date_format)
    if kind == "text" and date_format:
        date_format = str(Analyzer.from_text(date_format))
    return Reading(kind, date_format or None)  # type: ignore[arg-type]  # it is one of the literals, as just checked
