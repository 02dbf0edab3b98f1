"""Numbers as people write them: decimal commas, thousands separators, percent signs, currencies and units.

A format is written as the number 1234.5 in it: `1.234,5`, `$1,234.5`, `1234.5%`, `1 234,5 kg`. See also:
`units`, the list of currencies and units, and `type_inference`, which finds the format of a column.
"""

import re
from dataclasses import dataclass, replace

import polars as pl

from polylogit.data.tables.column_types import NAMED_NUMBER_FORMATS, NUMBER_DIGITS, NumberMarks, number_digits
from polylogit.data.tables.units import CURRENCY, UNIT

__all__ = [
    "FEWEST_NUMBERS",
    "NumberFormat",
    "another_format",
    "clear_decimal_commas",
    "find_named_format",
    "find_number_format",
    "is_ambiguous",
    "other_text_at_numbers",
    "read_numbers",
]

FEWEST_NUMBERS = 3
"""A column of fewer distinct numbers has no format that is found."""

_LEAST_SHARE = 0.9
_FEWEST_DOUBTED = 10
_MOST_WORDS = 3
_SPACES = "[\u00a0\u2007\u2009\u202f]"
_QUARTER = r"^(\d{4})[ -]?[Qq]([1-4])$"
_QUARTER_FIRST = r"^[Qq]([1-4])[ /-]?(\d{4})$"
_TIME = (
    r"(?i)^(?:(?P<days>\d+) days?,? )?(?P<hours>\d{1,3}):(?P<minutes>[0-5]\d)(?::(?P<seconds>[0-5]\d(?:\.\d+)?))?"
    r"(?: ?(?P<half>[ap])\.?m\.?)?$"
)
_WITH_COMMA = r"^[+-]?\d+(?:,\d+)?$"
_CLEARLY_DECIMAL = r"^[+-]?(?:0\d*|\d{4,}),|,(?:\d{1,2}|\d{4,})$"
_HEXADECIMAL = r"^0[xX]([0-9a-fA-F]{1,13})$"


@dataclass(frozen=True)
class NumberFormat:
    """How the numbers of a column are written.

    Args:
        decimal: The decimal separator.
        thousands: The separator of thousands, or nothing.
        prefix: What precedes each number, such as `$`.
        suffix: What follows each number, such as `%` or ` kg`.
    """

    decimal: str = "."
    thousands: str = ""
    prefix: str = ""
    suffix: str = ""

    @classmethod
    def parse(cls, text: str) -> "NumberFormat":
        """The format that the number 1234.5 is written in.

        Raises:
            ValueError: The text does not hold that number.

        Example:
            >>> NumberFormat.parse("$1,234.5")
            NumberFormat(decimal='.', thousands=',', prefix='$', suffix='')
        """
        prefix, digits, suffix = number_digits(text)
        return cls(*NUMBER_DIGITS[digits], prefix, suffix)

    def __str__(self) -> str:
        digits = next(text for text, marks in NUMBER_DIGITS.items() if marks == (self.decimal, self.thousands))
        return f"{self.prefix}{digits}{self.suffix}"

    def read(self, text: pl.Expr) -> pl.Expr:
        """The numbers that texts stand for, as Float64; null for a text that is not written so.

        The prefix and the suffix may be left out; an amount in parentheses is negative, as in accounting.
        """
        text = _plain(text)
        negative = text.str.contains(r"^\(.*\)$")
        text = text.str.replace(r"^\((.*)\)$", "-${1}")
        if self.prefix:
            text = text.str.replace(rf"^([+-]?){_any_case(self.prefix)} ?", "${1}")
        if self.suffix:
            text = text.str.replace(rf" ?{_any_case(self.suffix)}$", "")
        digits: pl.Expr = pl.when(text.str.contains(f"^{_number(self.decimal, self.thousands)}$")).then(text)
        if self.thousands:
            digits = digits.str.replace_all(self.thousands, "", literal=True)
        if self.decimal != ".":
            digits = digits.str.replace(self.decimal, ".", literal=True)
        number = digits.cast(pl.Float64, strict=False)
        return pl.when(negative & (number > 0)).then(-number).otherwise(number)


def read_numbers(text: pl.Expr, number_format: str) -> pl.Expr:
    """The numbers that texts stand for, as Float64; null for a text that is not written so.

    Args:
        text: Texts.
        number_format: A text that `NumberFormat.parse` takes, or one of `NAMED_NUMBER_FORMATS`.

    Returns:
        An expression.

    Example:
        >>> pl.select(read_numbers(pl.lit("2021Q3"), "quarter")).item()
        2021.5
    """
    match number_format:
        case "quarter":
            text = _plain(text).str.replace(_QUARTER_FIRST, "${2}Q${1}")
            year = text.str.extract(_QUARTER, 1).cast(pl.Float64)
            return year + (text.str.extract(_QUARTER, 2).cast(pl.Float64) - 1) / 4
        case "time":
            parts = _plain(text).str.extract_groups(_TIME).struct
            hours = parts.field("hours").cast(pl.Float64)
            half = parts.field("half").str.to_lowercase()
            hours = pl.when(half == "p").then(hours % 12 + 12).when(half == "a").then(hours % 12).otherwise(hours)
            hours += parts.field("days").cast(pl.Float64).fill_null(0.0) * 24
            return (
                hours
                + parts.field("minutes").cast(pl.Float64) / 60
                + parts.field("seconds").cast(pl.Float64).fill_null(0.0) / 3600
            )
        case "hexadecimal":
            digits = _plain(text).str.extract(_HEXADECIMAL, 1)
            return digits.str.to_integer(base=16, strict=False).cast(pl.Float64)
        case _:
            return NumberFormat.parse(number_format).read(text)


def find_named_format(texts: pl.Series) -> str | None:
    """The format among `NAMED_NUMBER_FORMATS` that reads at least nine tenths of the texts.

    Example:
        >>> find_named_format(pl.Series(["0x1f", "0x2A", "0xff"]))
        'hexadecimal'
    """
    frame = texts.alias("text").to_frame()
    for name in NAMED_NUMBER_FORMATS:
        read = frame.select(read_numbers(pl.col("text"), name)).to_series()
        if read.len() - read.null_count() >= _LEAST_SHARE * read.len() and read.n_unique() >= FEWEST_NUMBERS:
            return name
    return None


def find_number_format(texts: pl.Series, marks: NumberMarks | None = None) -> NumberFormat | None:
    """The format that reads at least nine tenths of the texts.

    Args:
        texts: Texts that are there; some do not read as plain numbers.
        marks: Separators that are known.

    Returns:
        The format; None where the texts are no numbers, or are in several units. Of two formats that read the same
        texts, a comma before three digits separates thousands.

    Example:
        >>> str(find_number_format(pl.Series(["1,5", "22,75", "3"])))
        '1234,5'
        >>> str(find_number_format(pl.Series(["7%", "12%", "9%"])))
        '1234.5%'
    """
    marks = marks or NumberMarks()
    frame = texts.alias("text").to_frame().select(_plain(pl.col("text")))
    pattern = rf"^\(?[+-]?(?P<prefix>{CURRENCY} ?)?[+-]?(?P<number>[.,]?\d[\d.,' ]*?)(?P<suffix> ?{UNIT})?\)?$"
    parts = frame.select(pl.col("text").str.extract_groups(pattern)).unnest("text").drop_nulls("number")
    fewest = 1 if marks.given else FEWEST_NUMBERS
    if len(parts) < _LEAST_SHARE * len(frame) or parts["number"].n_unique() < fewest:
        return None
    prefix, suffix = _common(parts["prefix"]), _common(parts["suffix"])
    if prefix is None or suffix is None or (not prefix and suffix.strip() in ("e", "E")):
        return None
    best, most = None, 0
    for mark, group in sorted(NUMBER_DIGITS.values(), key=lambda pair: len(pair[1])):
        if not marks.allow(mark, group):
            continue
        candidate = NumberFormat(mark, group, prefix, suffix)
        read = len(frame) - frame.select(candidate.read(pl.col("text"))).to_series().null_count()
        doubtful = best is not None and not best.thousands and not marks.given and is_ambiguous(texts, best)
        if read > most or (read == most and doubtful):
            best, most = candidate, read
    return best if most >= _LEAST_SHARE * len(frame) else None


def is_ambiguous(texts: pl.Series, number_format: NumberFormat) -> bool:
    """Whether each separator in the texts could as well be the other one, as in `1,234`."""
    mark = number_format.thousands or number_format.decimal
    if mark not in (",", "."):
        return False
    text = texts.alias("text").to_frame().select(_plain(pl.col("text"))).to_series()
    marked = text.filter(text.str.contains(mark, literal=True))
    return bool(len(marked)) and bool(marked.str.contains(rf"^\D*[1-9]\d{{0,2}}{re.escape(mark)}\d{{3}}\D*$").all())


def clear_decimal_commas(text: pl.Expr) -> pl.Expr:
    """Whether all texts that are there are numbers of digits and a comma, which in one of them separates no thousands.

    Of such texts `1234,5` is the only format that reads them all.

    Args:
        text: Texts without white space around them.

    Returns:
        One truth value.

    Example:
        >>> frame = pl.DataFrame({"a": ["1,5", "-22", None], "b": ["1,234", "22", "3"], "c": ["1,5", "2.5", "3"]})
        >>> frame.select(clear_decimal_commas(pl.all())).row(0)
        (True, False, False)
    """
    return text.str.contains(_WITH_COMMA).all() & text.str.contains(_CLEARLY_DECIMAL).any()


def another_format(texts: pl.Series, number_format: NumberFormat) -> NumberFormat | None:
    """The simplest other format that reads every text that a format reads, some of them as other numbers.

    Example:
        >>> str(another_format(pl.Series(["1,234 kg", "12 kg"]), NumberFormat.parse("1,234.5 kg")))
        '1234,5 kg'
        >>> another_format(pl.Series(["45%", "7%"]), NumberFormat.parse("1234.5%")) is None
        True
    """
    frame = texts.alias("text").to_frame()
    numbers = frame.select(number_format.read(pl.col("text"))).to_series()
    for decimal, thousands in sorted(NUMBER_DIGITS.values(), key=lambda pair: len(pair[1])):
        other = replace(number_format, decimal=decimal, thousands=thousands)
        read = frame.select(other.read(pl.col("text"))).to_series()
        if not (read.is_null() & numbers.is_not_null()).any() and (read != numbers).any():
            return other
    return None


def _common(parts: pl.Series) -> str | None:
    """The one text that nearly all parts are, an empty one included; None where there are several."""
    counts = parts.fill_null("").value_counts(name="rows").sort(["rows", parts.name], descending=[True, False])
    names = [name for name in counts[parts.name] if name]
    if not names:
        return ""
    spellings = {name.strip() if len(name.strip()) == 1 else name.strip().casefold() for name in names}
    return str(names[0]) if len(spellings) == 1 else None


def _any_case(text: str) -> str:
    """A pattern for a currency or a unit: words in any case, but `m` and `M` are two units."""
    text = text.strip()
    return re.escape(text) if len(text) == 1 else f"(?i:{re.escape(text)})"


def _number(decimal: str, thousands: str) -> str:
    mark = re.escape(thousands)
    whole = rf"(?:\d+|[1-9]\d{{0,2}}(?:{mark}\d{{2,3}})*{mark}\d{{3}})" if thousands else r"\d+"
    return rf"[+-]?(?:{whole}(?:{re.escape(decimal)}\d*)?|{re.escape(decimal)}\d+)(?:[eE][+-]?\d+)?"


def _plain(text: pl.Expr) -> pl.Expr:
    """The text with plain spaces and minus signs."""
    return text.str.replace_all(_SPACES, " ").str.strip_chars().str.replace_all("\u2212", "-", literal=True)


def other_text_at_numbers(texts: pl.Series) -> tuple[str, ...]:
    """The words that follow the numbers of a column in which most texts are a number and one of at most three words.

    Args:
        texts: Texts that are there.

    Returns:
        The words, the most frequent first; none where most texts are something else, or there are few numbers.

    Example:
        >>> other_text_at_numbers(pl.Series([f"{number} rooms" for number in range(12)]))
        ('rooms',)
    """
    frame = texts.alias("text").to_frame().select(_plain(pl.col("text")))
    pattern = r"^[+-]?(?P<number>\d[\d.,' ]*?) ?(?P<words>[^\d\s.,:/+'-][^\d.,:/-]*)$"
    parts = frame.select(pl.col("text").str.extract_groups(pattern)).unnest("text").drop_nulls("number")
    counts = parts["words"].value_counts(name="rows").sort(["rows", "words"], descending=[True, False])
    enough = 2 * len(parts) > len(frame) and parts["number"].n_unique() >= _FEWEST_DOUBTED
    return tuple(counts["words"]) if enough and counts.height <= _MOST_WORDS else ()
