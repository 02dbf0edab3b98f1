"""Columns learned from the training rows: their levels, as many as memory has room for.

See also: `encoded_column.py`, one column.
"""

from collections.abc import Mapping

import polars as pl

from polylogit.data.tables.column_types import Reading
from polylogit.data.tables.encoded_column import LEVELS_ALWAYS_KEPT, Column

__all__ = ["MOST_FEATURE_CELLS", "fitted_columns"]

MOST_FEATURE_CELLS = 2**28
"""Features of levels are limited so that all training rows together have about as many cells, 1 GiB of float32."""


def fitted_columns(seen: pl.DataFrame, readings: Mapping[str, Reading], most_levels: int | None = None) -> list[Column]:
    """Learn each column from its training rows.

    Without a limit, categories keep a feature for each level; the penalty shrinks the weights of levels with few rows.
    Where these would be more than `MOST_FEATURE_CELLS` numbers in all rows together, the columns with the most levels
    keep the most frequent ones only, but at least `LEVELS_ALWAYS_KEPT` each.

    Args:
        seen: The training rows, as read.
        readings: How the columns were read; each usable.
        most_levels: The most levels of a category with a feature each.

    Returns:
        The columns in the order of `readings`.
    """
    columns = [Column.fit(seen[name], reading, most_levels) for name, reading in readings.items()]
    if most_levels is not None:
        return columns
    widths = sorted(len(column.levels) for column in columns if column.type == "category")
    room = MOST_FEATURE_CELLS // max(seen.height, 1)
    if sum(widths) <= room:
        return columns
    limit = 0
    for place, width in enumerate(widths):  # the largest limit whose sum of min(width, limit) stays within the room
        limit = (room - sum(widths[:place])) // (len(widths) - place)
        if limit < width:
            break
    limit = max(limit, LEVELS_ALWAYS_KEPT)
    return [
        Column.fit(seen[column.name], column.reading, limit) if len(column.levels) > limit else column
        for column in columns
    ]
