"""The rows that an export is compared on: drawn within the ranges of training, and edge cases of every column."""

import math
import random
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import islice

import polars as pl
import torch
from jaxtyping import UInt8
from torch import Tensor

from polylogit.classifier import Classifier
from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.tables.column_types import LARGEST_FEATURE
from polylogit.data.tables.encoded_column import Column
from polylogit.export.parity import Rows

__all__ = ["check_rows"]

ROWS_DRAWN = 200
MISSING_SHARE = 0.1
UNSEEN_SHARE = 0.05
UNSEEN_LEVEL = "\N{WHITE SQUARE} never seen in training"
HUGE = 1e30
COLUMNS_VARIED_ALONE = 50
"""So many columns have each of their edge cases in a row that is typical otherwise."""

LEVELS_CHECKED = 1000
PICTURES_DRAWN = 297
"""With the others 300: more than networks and `Classifier` take at once."""

PIXELS_DRAWN = 2**22
LARGE_PICTURES_DRAWN = 30
"""Of pictures so large that more would exceed `PIXELS_DRAWN`: an export may take all of them at once."""

_DTYPES = {"number": pl.Float64, "boolean": pl.Boolean, "category": pl.String, "date": pl.Date}
_DAYS = (
    *(date(1, 1, 1), date(1582, 10, 15), date(1899, 12, 31), date(1900, 2, 28), date(1900, 3, 1), date(1969, 12, 31)),
    *(date(1970, 1, 1), date(2000, 2, 29), date(2023, 12, 31), date(2024, 2, 29), date(2100, 3, 1), date(9999, 12, 31)),
)

Cell = float | bool | str | date | None


def check_rows(classifier: Classifier) -> Rows:
    """Rows to compare an export with its model on; the same for the same model.

    Args:
        classifier: The model.

    Returns:
        For a table rows drawn within the ranges of the training rows, with missing and unseen cells among them; rows
        with all cells missing, unseen, or of magnitude 1e30; each edge case of a column alone; and each level of each
        category, the first `LEVELS_CHECKED` of them. For pictures noise, black, white and a gradient.

    Example:
        >>> from polylogit.recipes.recipe import LinearRecipe
        >>> from polylogit.run import train
        >>> import tempfile
        >>> from pathlib import Path
        >>> run = train("zoo", LinearRecipe(), out=Path(tempfile.mkdtemp()) / "zoo.safetensors")
        >>> check_rows(run.classifier).shape
        (252, 16)
    """
    encoder = classifier.preprocessing
    if isinstance(encoder, PictureEncoder):
        return _pictures(encoder)
    means, scales = iter(encoder.mean.tolist()), iter(encoder.scale.tolist())
    columns = []
    for column in encoder.columns:
        places = [(next(means), next(scales)) for _ in range(column.scaled)]
        columns.append(_ColumnCells(column, places[0] if places else (0.0, 1.0)))
    names = [column.name for column in encoder.columns]
    rows = [dict(zip(names, cells, strict=True)) for cells in _rows_of(columns)]
    schema = {column.name: _DTYPES[column.type] for column in encoder.columns}
    return pl.DataFrame({name: [row[name] for row in rows] for name in names}, schema=schema, strict=False)


class _ColumnCells:
    """The cells of one column that are checked."""

    def __init__(self, column: Column, scaling: tuple[float, float]) -> None:
        self.column = column
        self._draw = random.Random(column.name)  # noqa: S311 - not for secrets
        mean, scale = scaling
        self._huge = min(HUGE, LARGEST_FEATURE / 10 * scale)  # more is refused where training values hardly differ
        self._low = column.minimum if isinstance(column.minimum, float) else mean - 2 * scale
        self._high = column.maximum if isinstance(column.maximum, float) else mean + 2 * scale

    def drawn(self) -> Cell:
        """A cell as in training, sometimes missing or unseen."""
        draw, column = self._draw, self.column
        if draw.random() < MISSING_SHARE:
            return None
        match column.type:
            case "number":
                return draw.uniform(self._low, self._high)
            case "boolean":
                return draw.random() < 0.5
            case "date":
                first, last = (date.fromisoformat(str(end or "2024-01-01")) for end in (column.minimum, column.maximum))
                return first + timedelta(days=draw.randint(0, max((last - first).days, 0)))
            case _:
                unseen = not column.levels or draw.random() < UNSEEN_SHARE
                return UNSEEN_LEVEL if unseen else draw.choice(column.levels)

    def edges(self) -> tuple[Cell, ...]:
        """Cells at the edges of what the column may hold."""
        match self.column.type:
            case "number":
                return None, self._huge, -self._huge, 0.0
            case "boolean":
                return None, True, False
            case "date":
                return None, *_DAYS
            case _:
                whole = [f"{level}.0" for level in self.column.levels if level.isascii() and level.isdigit()]
                return None, UNSEEN_LEVEL, *whole[:3]

    @property
    def typical(self) -> Cell:
        """A cell in the middle of the column."""
        match self.column.type:
            case "number":
                return (self._low + self._high) / 2
            case "boolean":
                return True
            case "date":
                return date.fromisoformat(str(self.column.example or "2024-01-01"))
            case _:
                return self.column.levels[0] if self.column.levels else None


def _rows_of(columns: list[_ColumnCells]) -> Iterator[list[Cell]]:
    for _ in range(ROWS_DRAWN):
        yield [column.drawn() for column in columns]
    edges = [column.edges() for column in columns]
    for place in range(max(map(len, edges))):
        yield [cells[place % len(cells)] for cells in edges]
    typical = [column.typical for column in columns]
    for place, cells in islice(enumerate(edges), COLUMNS_VARIED_ALONE):
        for cell in cells[:3]:
            yield [*typical[:place], cell, *typical[place + 1 :]]
    levels = [column.column.levels or (cell,) for column, cell in zip(columns, typical, strict=True)]
    most = max(map(len, levels))
    for place in range(min(most, LEVELS_CHECKED) if most > 1 else 0):
        yield [of_column[place % len(of_column)] for of_column in levels]


def _pictures(encoder: PictureEncoder) -> UInt8[Tensor, "N C H W"]:
    shape = encoder.input_shape
    drawn = min(PICTURES_DRAWN, max(LARGE_PICTURES_DRAWN, PIXELS_DRAWN // math.prod(shape)))
    noise = torch.randint(256, (drawn, *shape), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    gradient = torch.linspace(0, 255, shape[2]).to(torch.uint8).expand(shape)
    plain = [torch.full(shape, value, dtype=torch.uint8) for value in (0, 255)]
    return torch.cat([noise, torch.stack([*plain, gradient])])
