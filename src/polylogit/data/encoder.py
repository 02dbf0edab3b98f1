"""The encoder of tables: named columns in, one row of numbers per row out.

A number column is standardised with the mean and the standard deviation of the training rows; a category column
becomes one 0/1 feature per level. Owns the state of that map, which is plain data, and every complaint about a
cell. It does not read files and does not know the target.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.errors import DataError, ModelFileError, did_you_mean

__all__ = ["MOST_LEVELS", "Column", "TableEncoder"]

MOST_LEVELS = 100
"""A text column with more distinct values than this is taken for free text or an identifier, and refused."""


@dataclass(frozen=True)
class Column:
    """What the encoder knows of one column.

    Args:
        name: As in the header.
        type: "number" or "category".
        levels: The distinct values of a category in their order; empty for a number.
    """

    name: str
    type: Literal["number", "category"]
    levels: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many features the column becomes."""
        return 1 if self.type == "number" else len(self.levels)


class TableEncoder:
    """A fitted map from named columns to features.

    number:   (value - mean) / scale, where scale is the standard deviation, or 1 for a constant column
    category: 1 for the level that the row has, 0 for the others; a level never seen in training gives zeros only

    Args:
        columns: The columns in the order of their features.
        mean: One float64 mean per number column, in their order.
        scale: One positive float64 scale per number column.

    Example:
        >>> frame = pl.DataFrame({"legs": ["4", "2", "0"], "skin": ["fur", "feathers", "scales"]})
        >>> encoder = TableEncoder.fit(frame)
        >>> encoder.feature_names
        ('legs', 'skin=feathers', 'skin=fur', 'skin=scales')
        >>> encoder.encode(frame)
        tensor([[ 1.2247,  0.0000,  1.0000,  0.0000],
                [ 0.0000,  1.0000,  0.0000,  0.0000],
                [-1.2247,  0.0000,  0.0000,  1.0000]])
    """

    kind = "table"

    def __init__(self, columns: Sequence[Column], mean: Float[Tensor, " C"], scale: Float[Tensor, " C"]) -> None:
        self.columns = tuple(columns)
        self.mean = mean
        self.scale = scale

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The name of each feature: the column's, or `column=level` for a category."""
        names: list[str] = []
        for column in self.columns:
            names += [column.name] if column.type == "number" else [f"{column.name}={x}" for x in column.levels]
        return tuple(names)

    @property
    def features(self) -> int:
        """D, the number of features."""
        return sum(column.width for column in self.columns)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one encoded row: (D,)."""
        return (self.features,)

    @classmethod
    def fit(
        cls, frame: pl.DataFrame, place: str = "the table", rows: Int[Tensor, " A"] | None = None
    ) -> "TableEncoder":
        """Learn types from all rows, and levels, means and scales from the training rows.

        Args:
            frame: The feature columns.
            place: What messages call the table.
            rows: The row numbers of the training rows; None: all.

        Returns:
            The fitted encoder.

        Raises:
            DataError: There is no column, or a column is missing throughout, has gaps, holds NaN or infinity, or is
                text with too many distinct values.
        """
        if not frame.width:
            raise DataError(f"{place}: no feature column is left beside the target.")
        taken = np.arange(frame.height) if rows is None else rows.numpy()
        columns = [_fitted_column(series, place, taken) for series in frame]
        numbers = [_numbers(frame[column.name], place)[taken] for column in columns if column.type == "number"]
        mean = torch.tensor([float(values.mean()) for values in numbers], dtype=torch.float64)
        spread = torch.tensor([float(values.std()) for values in numbers], dtype=torch.float64)
        # A constant column may show a spread of rounding errors only; dividing by it would blow the errors up.
        negligible = spread <= 1e-12 * mean.abs()
        return cls(columns, mean, torch.where(negligible, torch.ones_like(spread), spread))

    def encode(self, frame: pl.DataFrame, place: str = "the table") -> Float[Tensor, "N D"]:
        """Features of the rows. The columns may stand in any order, and others may stand beside them.

        Args:
            frame: A frame that holds at least the fitted columns.
            place: What messages call the table.

        Returns:
            Float32 features.

        Raises:
            DataError: A column is not there, or a cell is missing or of the wrong type.
        """
        self._refuse_missing_columns(frame, place)
        features = np.zeros((frame.height, self.features), dtype=np.float32)
        at = number = 0
        for column in self.columns:
            series = frame[column.name]
            if column.type == "number":
                values = _numbers(series, place)
                features[:, at] = (values - float(self.mean[number])) / float(self.scale[number])
                number += 1
            else:
                place_of = {level: index for index, level in enumerate(column.levels)}
                levels = np.array([place_of.get(level, -1) for level in _texts(series, place)])
                known = np.flatnonzero(levels >= 0)
                features[known, at + levels[known]] = 1.0
            at += column.width
        return torch.from_numpy(features)

    def unseen_levels(self, frame: pl.DataFrame) -> dict[str, int]:
        """How many rows of each category column hold a level that training never saw (columns with none left out)."""
        counts = {
            column.name: frame[column.name].cast(pl.String).is_in(list(column.levels)).not_().sum()
            for column in self.columns
            if column.type == "category"
        }
        return {name: int(count) for name, count in counts.items() if count}

    def other_columns(self, frame: pl.DataFrame) -> tuple[str, ...]:
        """The columns of the frame that the encoder does not use."""
        used = {column.name for column in self.columns}
        return tuple(name for name in frame.columns if name not in used)

    def as_json(self) -> dict[str, Any]:
        """The state that is not a tensor, as plain data for a model file."""
        return {
            "kind": self.kind,
            "columns": [
                {"name": column.name, "type": column.type}
                | ({"levels": list(column.levels)} if column.type == "category" else {})
                for column in self.columns
            ],
        }

    def tensors(self) -> dict[str, Tensor]:
        """The state that is tensors, by name."""
        return {"mean": self.mean, "scale": self.scale}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "TableEncoder":
        """The encoder whose `as_json` and `tensors` these are.

        Raises:
            ModelFileError: The tensors do not fit the columns.
        """
        columns = [Column(item["name"], item["type"], tuple(item.get("levels", ()))) for item in state["columns"]]
        numbers = sum(column.type == "number" for column in columns)
        for name in ("mean", "scale"):
            if name not in tensors or tensors[name].shape != (numbers,) or tensors[name].dtype != torch.float64:
                found = f"{tensors[name].dtype} {list(tensors[name].shape)}" if name in tensors else "nothing"
                raise ModelFileError(f"preprocessing.{name}: expected torch.float64 [{numbers}], found {found}")
        if not bool((tensors["scale"] > 0).all()):
            raise ModelFileError("preprocessing.scale: every scale must be positive")
        return cls(columns, tensors["mean"], tensors["scale"])

    def _refuse_missing_columns(self, frame: pl.DataFrame, place: str) -> None:
        missing = [column.name for column in self.columns if column.name not in frame.columns]
        if missing:
            listed = ", ".join(f'"{name}"' for name in missing[:10]) + (", …" if len(missing) > 10 else "")
            spare = self.other_columns(frame)
            hint = did_you_mean(missing[0], spare) if spare else ""
            raise DataError(
                f"{place}: {'a column' if len(missing) == 1 else f'{len(missing)} columns'} that the model needs "
                f"{'is' if len(missing) == 1 else 'are'} not there: {listed}.{hint}"
            )


def _fitted_column(series: pl.Series, place: str, rows: npt.NDArray[np.int64]) -> Column:
    if series.null_count() == len(series):
        raise DataError(
            f'{place}, column "{series.name}": every value is missing. '
            f"Leave the column out with --set 'data.drop=[\"{series.name}\"]'."
        )
    if _is_number(series):
        _numbers(series, place)
        return Column(series.name, "number")
    _texts(series, place)
    distinct = series.n_unique()
    if distinct > MOST_LEVELS:
        raise DataError(
            f'{place}, column "{series.name}": {distinct} distinct texts in {len(series)} rows; this looks like '
            f"free text or an identifier, and at most {MOST_LEVELS} levels are taken. "
            f"Leave the column out with --set 'data.drop=[\"{series.name}\"]'."
        )
    return Column(series.name, "category", tuple(series[rows].cast(pl.String).unique().sort()))


def _is_number(series: pl.Series) -> bool:
    """Whether the column is numbers: by its type, or, for text, because most cells that are there read as one.

    A text column where all but a few cells are numbers is a number column with mistakes in it, and `_numbers` names
    the first; a column of categories does not read as numbers at all.
    """
    if series.dtype.is_numeric() or series.dtype == pl.Boolean:
        return True
    if series.dtype != pl.String:
        return False
    there = series.drop_nulls()
    read = there.cast(pl.Float64, strict=False)
    return 2 * read.null_count() < len(there)


def _numbers(series: pl.Series, place: str) -> npt.NDArray[np.float64]:
    _refuse_gaps(series, place)
    values = series.cast(pl.Float64, strict=False)
    if values.null_count():
        row = int(values.is_null().arg_max() or 0)
        raise DataError(
            f'{place}, column "{series.name}", row {row + 1}: expected a number, got "{series[row]}". '
            "Correct the cell, or drop the row."
        )
    infinite = ~values.is_finite()
    if infinite.any():
        row = int(infinite.arg_max() or 0)
        raise DataError(
            f'{place}, column "{series.name}", row {row + 1}: expected a finite number, got {values[row]}. '
            "Correct the cell, or drop the row."
        )
    return values.to_numpy()


def _texts(series: pl.Series, place: str) -> list[str]:
    if series.dtype not in (pl.String, pl.Categorical, pl.Enum, pl.Boolean) and not series.dtype.is_numeric():
        raise DataError(
            f'{place}, column "{series.name}": values of type {series.dtype} are not handled. Make numbers or '
            f"categories of them, or leave the column out with --set 'data.drop=[\"{series.name}\"]'."
        )
    _refuse_gaps(series, place)
    texts: list[str] = series.cast(pl.String).to_list()
    return texts


def _refuse_gaps(series: pl.Series, place: str) -> None:
    if series.null_count():
        row = int(series.is_null().arg_max() or 0)
        raise DataError(
            f'{place}, column "{series.name}", row {row + 1}: the value is missing ({series.null_count()} of '
            f"{len(series)} rows). Missing features are not filled: fill the cells, drop the rows, or leave the "
            f"column out with --set 'data.drop=[\"{series.name}\"]'."
        )
