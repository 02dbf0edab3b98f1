"""The types that a column may have, and the words that ask for one.

Owns names alone and stays free of polars, so that a recipe can be checked at no cost. How cells are read is the
business of `columns`.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from polylogit.errors import did_you_mean

__all__ = ["ColumnType", "Reading", "UsableType", "asked_reading"]

ColumnType = Literal["number", "boolean", "category", "date", "text", "empty", "nested"]
UsableType = Literal["number", "boolean", "category", "date"]


@dataclass(frozen=True)
class Reading:
    """How the cells of a column are read.

    Args:
        type: One of `ColumnType`; "text", "empty" and "nested" cannot be used.
        format: How a date is written, as for `strftime`; only for dates that are text.
    """

    type: ColumnType
    format: str | None = None

    @property
    def usable(self) -> bool:
        """Whether the column can become features."""
        return self.type in get_args(UsableType)


def asked_reading(words: str) -> Reading:
    """What a recipe asks for a column: a type, or `date:FORMAT`.

    Raises:
        ValueError: The words name no type.

    Example:
        >>> asked_reading("date:%d/%m/%Y")
        Reading(type='date', format='%d/%m/%Y')
    """
    kind, colon, date_format = words.partition(":")
    if kind not in get_args(UsableType) or (colon and (kind != "date" or not date_format)):
        known = [*get_args(UsableType), "date:%d/%m/%Y"]
        raise ValueError(f'no column is of type "{words}".{did_you_mean(words, known)}')
    return Reading(kind, date_format or None)  # type: ignore[arg-type]  # it is one of the literals, as just checked
