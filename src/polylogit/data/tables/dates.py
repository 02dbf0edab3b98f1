"""Dates as people write them: the formats that are known, and the one or several that a column is written in."""

import polars as pl

from polylogit.data.tables.column_types import SEVERAL_FORMATS

__all__ = ["DATE_FORMATS", "ambiguous_formats", "date_of_text", "find_date_format", "has_time", "look_like_dates"]

DATE_FORMATS = (
    *("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y.%m.%d", "%d-%m-%Y", "%m-%d-%Y"),
    *("%d-%B-%Y", "%d %B %Y", "%d/%B/%Y", "%B %d, %Y", "%B %d %Y", "%d-%B-%y", "%Y%m%d"),
    *("%Y-%m", "%B %Y", "%m/%Y", "%B-%Y"),
)
"""How dates may be written, as for `strftime`; the name of a month in English, in full or its first three letters.

A time may follow, which is passed over. Without a day, the first of the month is meant."""

_EXCHANGED = {"%d/%m/%Y": "%m/%d/%Y", "%m/%d/%Y": "%d/%m/%Y", "%d-%m-%Y": "%m-%d-%Y", "%m-%d-%Y": "%d-%m-%Y"}
_ISO_WITH_TIME = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}"
_TIME = r"(?i)[T ,]+\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?\s*([ap]\.?m\.?)?\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})?$"
_LIKE_A_DATE = (
    r"(?i)^(?:[a-z]{2,9}[.,]* +)?(?:\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\d{1,2}[. -]+[a-z]{3,9}[., -]+\d{2,4}"
    r"|[a-z]{3,9}[. -]+\d{1,2}[., -]+\d{2,4})\b"
)
_EIGHT_DIGITS = r"^(19|20)\d{6}$"
_FIRST_YEAR = 1000
_MOST_FORMATS = 3
_TRIED = 100


def date_of_text(text: pl.Expr, date_format: str) -> pl.Expr:
    """Dates that are written in a format; null where the text is none. A time behind a date is passed over.

    Args:
        text: Texts.
        date_format: One of `DATE_FORMATS` or another as for `strftime`; several with `SEVERAL_FORMATS` between them.

    Returns:
        An expression.

    Example:
        >>> texts = pl.Series(["03/25/2021 02:30 PM", "2021-03-26"])
        >>> texts.to_frame("t").select(date_of_text(pl.col("t"), "%m/%d/%Y|%Y-%m-%d")).to_series().to_list()
        [datetime.date(2021, 3, 25), datetime.date(2021, 3, 26)]
    """
    return pl.coalesce(_of_one_format(text.str.strip_chars(), each) for each in date_format.split(SEVERAL_FORMATS))


def _of_one_format(text: pl.Expr, date_format: str) -> pl.Expr:
    if date_format == DATE_FORMATS[0]:
        text = pl.when(text.str.contains(_ISO_WITH_TIME)).then(text.str.head(10)).otherwise(text)
    elif date_format == "%Y%m%d":
        text = pl.when(text.str.contains(_EIGHT_DIGITS)).then(text)
    else:
        text = text.str.replace(_TIME, "")
    if not any(day in date_format for day in ("%d", "%e", "%j", "%D", "%F", "%x")):
        text, date_format = text + pl.lit(" 01"), f"{date_format} %d"
    dates = text.str.to_date(date_format, strict=False)
    # %Y takes 21 for the year 21, and of "Mar 2021" the first two digits for a day.
    is_plain = date_format == DATE_FORMATS[0] or "%Y" not in date_format
    return dates if is_plain else pl.when(dates.dt.year() >= _FIRST_YEAR).then(dates)


def find_date_format(texts: pl.Series, least: float) -> str | None:
    """The formats that read at least a share of the texts, the one that reads the most of them first.

    Args:
        texts: Texts that are there.
        least: The share.

    Returns:
        Formats with `SEVERAL_FORMATS` between them; None where fewer are dates, or day and month could be exchanged,
        or stand in either order.

    Example:
        >>> find_date_format(pl.Series(["05-Mar-2021", "17-Apr-2021"]), 0.9)
        '%d-%B-%Y'
    """
    chosen: list[str] = []
    rest = texts
    while len(rest) and len(chosen) < _MOST_FORMATS:
        counts = _read_counts(rest)
        best = max(counts, key=lambda name: counts[name], default=None)
        if best is None or not counts[best] or counts.get(_EXCHANGED.get(best, ""), 0) == counts[best]:
            break
        if _EXCHANGED.get(best) in chosen:
            return None
        chosen.append(best)
        rest = rest.filter(_dates(rest, best).is_null())
    return SEVERAL_FORMATS.join(chosen) if chosen and len(rest) <= (1 - least) * len(texts) else None


def ambiguous_formats(texts: pl.Series) -> tuple[str, str] | None:
    """The two formats that nearly all texts are in, which differ in the order of day and month.

    Each text can be in both, or some can only be in the one and some only in the other.

    Example:
        >>> ambiguous_formats(pl.Series(["03/04/2021", "07/08/2021"]))
        ('%d/%m/%Y', '%m/%d/%Y')
    """
    for day_first in ("%d/%m/%Y", "%d-%m-%Y"):
        month_first = _EXCHANGED[day_first]
        in_first, in_second = (_dates(texts, each).is_not_null() for each in (day_first, month_first))
        in_either = (in_first | in_second).sum()
        differ = (in_first & ~in_second).any(), (in_second & ~in_first).any()
        if in_either and differ[0] == differ[1] and in_either >= 0.9 * len(texts):
            return day_first, month_first
    return None


def has_time(texts: pl.Series) -> bool:
    """Whether a time of day stands behind a date.

    Example:
        >>> has_time(pl.Series(["2021-01-05T23:30:00-08:00"])), has_time(pl.Series(["05.01.2021"]))
        (True, False)
    """
    return bool(texts.str.contains(f"(?:{_ISO_WITH_TIME})|(?:{_TIME})").any())


def look_like_dates(texts: pl.Series) -> bool:
    """Whether most texts look like dates, in whatever format.

    Example:
        >>> look_like_dates(pl.Series(["02/14/21", "14.02.21", "Tue, 14 Feb 2021", "none"]))
        True
    """
    return 2 * int(texts.str.contains(_LIKE_A_DATE).sum()) > len(texts)


def _read_counts(texts: pl.Series) -> dict[str, int]:
    """How many texts each format reads, without the formats that read none of the first hundred."""
    counts, first = {}, texts.head(_TRIED)
    for date_format in DATE_FORMATS:
        if _dates(first, date_format).null_count() < len(first):
            counts[date_format] = len(texts) - _dates(texts, date_format).null_count()
    return counts


def _dates(texts: pl.Series, date_format: str) -> pl.Series:
    return texts.to_frame("").select(date_of_text(pl.col(""), date_format)).to_series()
