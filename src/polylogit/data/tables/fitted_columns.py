"""Columns learned from the training rows: their levels and bins, as many as memory has room for.

See also: `encoded_column.py`, one column.
"""

from collections.abc import Mapping, Sequence

from polylogit.data.tables.chosen_rows import ChosenRows
from polylogit.data.tables.column_types import Reading
from polylogit.data.tables.encoded_column import LEVELS_ALWAYS_KEPT, Column

__all__ = ["MOST_FEATURE_CELLS", "bins_that_fit", "fitted_columns"]

MOST_FEATURE_CELLS = 2**28
"""Features of levels and bins are limited so that all training rows together have about as many cells: 1 GiB."""


def fitted_columns(
    seen: ChosenRows,
    readings: Mapping[str, Reading],
    most_levels: int | None = None,
    most_bins: int | None = None,
) -> list[Column]:
    """Learn each column from its training rows.

    Without a limit, categories keep a feature for each level; the penalty shrinks the weights of levels with few rows.
    Where these would be more than `MOST_FEATURE_CELLS` numbers in all rows together, the columns with the most levels
    keep the most frequent ones only, but at least `LEVELS_ALWAYS_KEPT` each. Bins get what room there is then.

    Args:
        seen: The training rows.
        readings: How the columns were read; each usable.
        most_levels: The most levels of a category with a feature each.
        most_bins: The most bins of a number or a date; None: none.

    Returns:
        The columns in the order in which they stand in the table.
    """
    columns = [Column.fit(values, readings[values.name], most_levels) for some in seen.by_columns() for values in some]
    if most_levels is None:
        columns = _with_levels_that_fit(seen, columns)
    bins = bins_that_fit(columns, seen.height, most_bins)
    return columns if bins is None else [column.with_bins(seen.column(column.name), bins) for column in columns]


def bins_that_fit(columns: Sequence[Column], rows: int, most_bins: int | None) -> int | None:
    """The most bins of a column that memory has room for in addition to the other features.

    Args:
        columns: Columns with their levels; bins that they have already do not count.
        rows: The number of training rows.
        most_bins: The most bins wanted; None: none.

    Returns:
        At most `most_bins`, and at least 1, with which a column has no feature for a bin; None as `most_bins`.

    Example:
        >>> bins_that_fit([Column("a", "number")] * 100, rows=1_000_000, most_bins=16)
        1
    """
    with_bins = sum(column.type in ("number", "date") for column in columns)
    if most_bins is None or not with_bins:
        return most_bins
    others = sum(column.width - len(column.ramps) for column in columns if column.type != "text")
    room = MOST_FEATURE_CELLS // max(rows, 1) - others
    return max(min(most_bins, room // with_bins), 1)


def _with_levels_that_fit(seen: ChosenRows, columns: list[Column]) -> list[Column]:
    """The columns with fewer levels where all of them would not fit memory."""
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
        Column.fit(seen.column(column.name), column.reading, limit) if len(column.levels) > limit else column
        for column in columns
    ]
