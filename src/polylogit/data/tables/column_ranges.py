"""What a model file records of the training values of each column for people and services: range and typical value.

No prediction depends on it. The typical value is taken column by column, so that no training row is recorded.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import polars as pl

from polylogit.data.tables.encoded_column import Column
from polylogit.data.tables.named_column import named

__all__ = ["with_ranges"]


def with_ranges(columns: Sequence[Column], seen: pl.DataFrame) -> list[Column]:
    """The columns with the ranges and typical values of their training rows.

    Args:
        columns: Fitted columns.
        seen: The training rows, as `read_columns` gives them.

    Returns:
        The same columns; numbers and dates with `minimum` and `maximum`, all with `example`: the median, the most
        frequent value, or of text the most frequent words.

    Example:
        >>> frame = pl.DataFrame({"legs": [4.0, 2.0, 4.0], "skin": ["fur", "feathers", "fur"]})
        >>> columns = with_ranges([Column("legs", "number"), Column("skin", "category", ("feathers", "fur"))], frame)
        >>> columns[0].minimum, columns[0].example, columns[1].example
        (2.0, 4.0, 'fur')
    """
    ordered = [column for column in columns if column.type in ("number", "date")]
    types = seen.schema  # which polars makes each time that it is asked for
    lowest, highest, middle = (
        seen.select(of(named(column.name)).cast(types[column.name]) for column in ordered).row(0, named=True)
        if ordered
        else {}
        for of in (pl.Expr.min, pl.Expr.max, _median)
    )
    known = {column.name for column in ordered}
    return [
        replace(
            column,
            minimum=_plain(lowest[column.name]),
            maximum=_plain(highest[column.name]),
            example=_plain(middle[column.name]),
        )
        if column.name in known
        else replace(column, example=_most_frequent(seen[column.name], column))
        for column in columns
    ]


def _median(value: pl.Expr) -> pl.Expr:
    """A median that occurs in the column, not the mean of two."""
    return value.quantile(0.5, interpolation="lower")


def _plain(value: float | date | None) -> float | str | None:
    return value.isoformat() if isinstance(value, date) else value


def _most_frequent(values: pl.Series, column: Column) -> bool | str | None:
    there = values.alias("level").drop_nulls()
    if not len(there):
        return None
    if column.type == "boolean":
        return bool(2 * there.sum() >= len(there))
    if column.vocabulary is not None:
        return column.vocabulary.example
    counts = there.value_counts(name="rows").sort(["rows", "level"], descending=[True, False])
    return str(counts["level"][0])
