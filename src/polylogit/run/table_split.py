"""The training and test rows of a table, and the rows that stay on one side of every split."""

from contextlib import suppress

import polars as pl
import torch
from jaxtyping import Int
from torch import Tensor

from polylogit.data.split import Split, drawn_split, given_split, group_numbers, grouped_split, time_split
from polylogit.data.tables.column_types import asked_reading
from polylogit.data.tables.columns import read_columns
from polylogit.data.tables.copies import Copies
from polylogit.data.tables.sources import TableSource
from polylogit.data.tables.type_inference import check_columns_exist
from polylogit.errors import DataError
from polylogit.recipes import Recipe

__all__ = ["notes_on_copies", "rows_kept_together", "split_of_table"]


def rows_kept_together(source: TableSource, copies: Copies | None, recipe: Recipe) -> Int[Tensor, " N"] | None:
    """The group of each row of a table, where groups of rows stay on one side of every split.

    Args:
        source: The table.
        copies: The exact copies among its rows.
        recipe: Names a column of groups, or says what happens to copies.

    Returns:
        Numbers of groups: of the column that the recipe names, else of copies of a row; None where every row is drawn
        for itself.

    Raises:
        DataError: There is no such column.
    """
    if recipe.data.group is not None:
        _check_column(source, "group", recipe.data.group)
        return group_numbers(_read(source, recipe.data.group, "category"))
    if copies is None or not _stay_together(copies, recipe):
        return None
    return torch.from_numpy(copies.groups)


def notes_on_copies(copies: Copies | None, recipe: Recipe) -> tuple[str, ...]:
    """What happens to exact copies of rows, in a sentence; nothing where there are none or a column groups the rows."""
    if copies is None or recipe.data.group is not None:
        return ()
    repeats = (
        f"{copies.repeats:,} {'rows repeat' if copies.repeats > 1 else 'row repeats'} an earlier row, class included"
    )
    if _stay_together(copies, recipe):
        return (f"{repeats}: copies stay on one side of every split (data.duplicate_rows).",)
    if recipe.data.duplicate_rows == "independent":
        return (f"{repeats}: copies can be on both sides of a split, so metrics can be optimistic.",)
    return (
        f"{repeats}, as is expected where columns have few distinct values: they are split like other rows "
        "(if they are copies of one observation: --set data.duplicate_rows=together).",
    )


def _stay_together(copies: Copies, recipe: Recipe) -> bool:
    wanted = recipe.data.duplicate_rows
    return wanted == "together" or (wanted == "auto" and not copies.by_chance)


def split_of_table(
    source: TableSource, targets: Int[Tensor, " N"], recipe: Recipe, together: Int[Tensor, " N"] | None
) -> Split:
    """The rows that a recipe trains on, and those that it holds out.

    Args:
        source: The table.
        targets: Class indices of its rows; -1 for rows that are left out, for their class or their weight of 0.
        recipe: Names the column to split by, or else the share of rows to draw.
        together: The result of `rows_kept_together`.

    Returns:
        The split; the same for the same table and recipe. Rows that are left out are in neither part.

    Raises:
        DataError: A column is not there or cannot be split by, or too few rows or classes are left to train on.
    """
    wanted = recipe.data
    for option in ("time", "split"):
        if getattr(wanted, option) is not None:
            _check_column(source, option, getattr(wanted, option))
    rows = torch.nonzero(targets >= 0).flatten()
    if wanted.test is not None:
        first = source.rows_to_train
        given = Split(train=torch.arange(first), test=torch.arange(first, source.frame.height))
        split = given.within(rows)
    elif wanted.split is not None:
        split = given_split(_read(source, wanted.split, "category"), source.name).within(rows)
    elif wanted.group is not None and together is not None and wanted.test_fraction:
        split = grouped_split(targets[rows], together[rows], wanted.test_fraction, recipe.seed).of(rows)
    elif wanted.time is not None and wanted.test_fraction:
        split = time_split(_time(source, wanted.time)[rows.numpy()], wanted.test_fraction).of(rows)
    else:
        return drawn_split(targets, wanted.test_fraction, recipe.seed, together)
    if len(torch.unique(targets[split.train])) < 2:
        raise DataError(f"{source.name}: the rows to train on are all of one class. Split the rows in another way.")
    return split


def _check_column(source: TableSource, option: str, name: str) -> None:
    words = f'data.{option} names the column "{{}}", which is not there'
    check_columns_exist(source.frame, [name], words, source.name)


def _read(source: TableSource, name: str, kind: str) -> pl.Series:
    return read_columns(source.frame, {name: asked_reading(kind)}, source.name)[name]


def _time(source: TableSource, name: str) -> pl.Series:
    """Moments that can be put in order: numbers, or dates with their time."""
    column = source.frame[name]
    if column.dtype.is_temporal() or column.dtype.is_numeric():
        moments = column.to_physical()
    else:
        text = column.cast(pl.String).str.strip_chars()
        moments = text.cast(pl.Float64, strict=False)
        if moments.null_count():
            with suppress(pl.exceptions.ComputeError):  # polars finds no format for any cell
                moments = text.str.replace(" ", "T").str.to_datetime(strict=False).to_physical()
        if moments.null_count():
            moments = _read(source, name, "date").to_physical()
    if moments.null_count():
        row = int(moments.is_null().arg_max() or 0)
        raise DataError(
            f'{source.name}, column "{name}", row {row + 1}: the time is missing, so the rows cannot be split by it. '
            "Write it in, or drop the row."
        )
    return moments
