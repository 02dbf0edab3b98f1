"""Texts that a recipe names as missing values, in cells of every type."""

import re
from collections.abc import Sequence
from contextlib import suppress

import polars as pl

__all__ = ["MissingMarkers", "unused_markers", "without_markers"]

_NUMBER = r"[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
"""A number as text; `007` is a code, and not the number 7."""


class MissingMarkers:
    """Cells that mean a missing value: texts, and numbers of the same value where the texts are numbers.

    Args:
        texts: The markers as a recipe has them.

    Example:
        >>> markers = MissingMarkers(["--", "-9"])
        >>> [markers.hold(cell) for cell in (" --", "-9.0", -9.0, 0, None)]
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
            text = cell.strip()
            return text in self.texts or bool(re.fullmatch(_NUMBER, text) and float(text) in self.numbers)
        return isinstance(cell, int | float) and cell in self.numbers


def unused_markers(frame: pl.DataFrame, markers: Sequence[str]) -> list[str]:
    """The markers that no cell of a table is, in their order.

    Example:
        >>> unused_markers(pl.DataFrame({"skin": ["fur", "--"], "legs": [4, -9]}), ["--", "-9", "-99"])
        ['-99']
    """
    known = MissingMarkers(markers)
    texts: set[str] = set()
    numbers: set[float] = set()
    for series in frame:
        for cell in series.filter(_marked(series, known)).unique().to_list():
            if not isinstance(cell, str):
                numbers.add(float(cell))
                continue
            text = cell.strip()
            texts.add(text)
            if series.dtype == pl.String and re.fullmatch(_NUMBER, text):
                numbers.add(float(text))
    return [text for text in markers if text not in texts and not MissingMarkers([text]).numbers & numbers]


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
    marked = _marked(series, markers)
    return series.alias("cells").set(marked, None).alias(series.name) if marked.any() else series


def _marked(series: pl.Series, markers: MissingMarkers) -> pl.Series:
    """Which cells are markers, without nulls."""
    cells = series.alias("cells")  # polars' own methods take a name such as ^a.*$ for a pattern
    texts, numbers = sorted(markers.texts), sorted(markers.numbers)
    if series.dtype == pl.String:
        cells = cells.str.strip_chars()
        marked = cells.is_in(texts)
        if numbers:
            is_number = cells.str.contains(f"^(?:{_NUMBER})$")
            marked |= is_number & cells.cast(pl.Float64, strict=False).is_in(numbers)
    elif series.dtype in (pl.Categorical, pl.Enum):
        marked = cells.cast(pl.String).is_in(texts)
    elif series.dtype.is_numeric() and numbers:
        marked = cells.cast(pl.Float64).is_in(numbers)
    else:
        return pl.repeat(False, len(series), eager=True)
    return marked.fill_null(value=False)
