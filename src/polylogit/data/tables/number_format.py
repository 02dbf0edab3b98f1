"""Numbers as people write them: decimal commas, thousands separators, percent signs, currencies and units.

A format is written as the number 1234.5 in it: `1.234,5`, `$1,234.5`, `1234.5%`, `1 234,5 kg`. See also:
`polylogit.data.tables.type_inference`, which finds the format of a column.
"""

import re
from dataclasses import dataclass

import polars as pl

from polylogit.data.tables.column_types import NUMBER_DIGITS, number_digits

__all__ = ["NumberFormat", "find_number_format", "is_ambiguous"]

_CURRENCY = r"(?:[$€£¥₹₽₩]|(?:USD|EUR|GBP|CHF|JPY|CNY|INR|SEK|NOK|DKK|PLN|CZK) ?)"
_UNIT = r"(?: ?(?:[%‰€£¥₹₽₩$]|°?[A-Za-zµ²³/]{1,8}))"
_LEAST_SHARE = 0.9
_FEWEST_NUMBERS = 3
_SPACES = "[\u00a0\u2007\u2009\u202f]"


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
            text = text.str.replace(rf"^([+-]?){re.escape(self.prefix.strip())} ?", "${1}")
        if self.suffix:
            text = text.str.replace(rf" ?{re.escape(self.suffix.strip())}$", "")
        digits: pl.Expr = pl.when(text.str.contains(f"^{_number(self.decimal, self.thousands)}$")).then(text)
        if self.thousands:
            digits = digits.str.replace_all(self.thousands, "", literal=True)
        if self.decimal != ".":
            digits = digits.str.replace(self.decimal, ".", literal=True)
        number = digits.cast(pl.Float64, strict=False)
        return pl.when(negative & (number > 0)).then(-number).otherwise(number)


def find_number_format(texts: pl.Series) -> NumberFormat | None:
    """The format that reads at least nine tenths of the texts.

    Args:
        texts: Texts that are there; some do not read as plain numbers.

    Returns:
        The format; None where the texts are no numbers, or are in several units. Of two formats that read the same
        texts, a comma before three digits separates thousands.

    Example:
        >>> str(find_number_format(pl.Series(["1,5", "22,75", "3"])))
        '1234,5'
        >>> str(find_number_format(pl.Series(["7%", "12%", "9%"])))
        '1234.5%'
    """
    frame = texts.alias("text").to_frame().select(_plain(pl.col("text")))
    pattern = rf"^\(?[+-]?(?P<prefix>{_CURRENCY})?[+-]?(?P<number>\d[\d.,' ]*?)(?P<suffix>{_UNIT})?\)?$"
    parts = frame.select(pl.col("text").str.extract_groups(pattern)).unnest("text").drop_nulls("number")
    if len(parts) < _LEAST_SHARE * len(frame) or parts["number"].n_unique() < _FEWEST_NUMBERS:
        return None
    prefix, suffix = _common(parts["prefix"]), _common(parts["suffix"])
    if prefix is None or suffix is None or (not prefix and suffix.strip() in ("e", "E")):
        return None
    best, most = None, 0
    for mark, group in sorted(NUMBER_DIGITS.values(), key=lambda marks: len(marks[1])):
        candidate = NumberFormat(mark, group, prefix, suffix)
        read = len(frame) - frame.select(candidate.read(pl.col("text"))).to_series().null_count()
        if read > most or (read == most and best is not None and not best.thousands and is_ambiguous(texts, best)):
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


def _common(parts: pl.Series) -> str | None:
    """The one text that nearly all parts are, an empty one included; None where there are several."""
    counts = parts.fill_null("").value_counts(name="rows").sort("rows", descending=True)
    names = [name for name in counts[parts.name] if name]
    if not names:
        return ""
    return str(names[0]) if len({name.strip() for name in names}) == 1 else None


def _number(decimal: str, thousands: str) -> str:
    mark = re.escape(thousands)
    whole = rf"(?:\d+|\d{{1,3}}(?:{mark}\d{{2,3}})*{mark}\d{{3}})" if thousands else r"\d+"
    return rf"[+-]?(?:{whole}(?:{re.escape(decimal)}\d*)?|{re.escape(decimal)}\d+)(?:[eE][+-]?\d+)?"


def _plain(text: pl.Expr) -> pl.Expr:
    """The text with plain spaces and minus signs."""
    return text.str.replace_all(_SPACES, " ").str.strip_chars().str.replace_all("\u2212", "-", literal=True)
