"""Texts that a recipe names as missing values, in cells of every type."""

from collections.abc import Sequence
from contextlib import suppress

import polars as pl

__all__ = ["MissingMarkers", "without_markers"]


class MissingMarkers:
    """Cells that mean a missing value: texts, and numbers where the texts are numbers.

    Args:
        texts: The markers as a recipe has them.

    Example:
        >>> markers = MissingMarkers(["--", "-9"])
        >>> [markers.hold(cell) for cell in (" --", "-9", -9.0, 0, None)]
        [True, True, True, False, False]
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = frozenset(texts)
        numbers = []
        for text in texts:
            with suppress(ValueError):
                numbers.append(float(text))
        self.numbers = frozenset(numbers)

    def hold(self, cell: object) -> bool:
        """Whether a cell is one of them."""
        if isinstance(cell, str):
            return cell.strip() in self.texts
        return isinstance(cell, int | float) and cell in self.numbers


def without_markers(frame: pl.DataFrame, markers: Sequence[str]) -> pl.DataFrame:
    """The table with null in place of the markers.

    Args:
        frame: A table as it came.
        markers: Texts; in columns of numbers, those that are numbers count.

    Returns:
        The table.

    Example:
        >>> without_markers(pl.DataFrame({"skin": ["fur", "--"], "legs": [4, -9]}), ["--", "-9"]).rows()
        [('fur', 4), (None, None)]
    """
    if not markers:
        return frame
    known = MissingMarkers(markers)
    return pl.DataFrame([_without(series, known) for series in frame])


def _without(series: pl.Series, markers: MissingMarkers) -> pl.Series:
    cells = series.alias("cells")  # polars' own methods take a name such as ^a.*$ for a pattern
    if series.dtype == pl.String:
        marked = cells.str.strip_chars().is_in(sorted(markers.texts))
    elif series.dtype in (pl.Categorical, pl.Enum):
        marked = cells.cast(pl.String).is_in(sorted(markers.texts))
    elif series.dtype.is_numeric() and markers.numbers:
        marked = cells.cast(pl.Float64).is_in(sorted(markers.numbers))
    else:
        return series
    marked = marked.fill_null(value=False)
    if not marked.any():
        return series
    return cells.set(marked, None).alias(series.name)
