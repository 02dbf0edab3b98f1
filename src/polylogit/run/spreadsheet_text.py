"""Cells of predictions as text: prediction sets in one cell, and no text that a spreadsheet takes for a formula."""

from collections.abc import Iterable

import polars as pl

from polylogit.errors import RecipeError

__all__ = ["check_names_fit_in_a_cell", "with_sets_as_text", "without_formulas"]

BETWEEN_CLASSES = "|"

_FORMULA = r"^[=+\-@\t\r]"
_NUMBER = r"^[+-]?\d[\d.,]*([eE][+-]?\d+)?$"


def without_formulas(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with an apostrophe before text cells and column names that a spreadsheet would take for a formula.

    Args:
        frame: Predictions, with the columns carried from the table.

    Returns:
        A frame of the same shape. Cells that are plain numbers stay.

    Example:
        >>> frame = pl.DataFrame({"class": ["=1+1", "bird", "-2.5", None]})
        >>> without_formulas(frame)["class"].to_list()
        ["'=1+1", 'bird', '-2.5', None]

    Source: OWASP, CSV Injection.
    """
    if pl.String in frame.dtypes:
        frame = frame.with_columns(_escaped(pl.col(pl.String)).name.keep())
    if pl.List(pl.String) in frame.dtypes:
        frame = frame.with_columns(pl.col(pl.List(pl.String)).list.eval(_escaped(pl.element())))
    return frame.rename(
        {name: f"'{name}" for name in frame.columns if name.startswith(("=", "+", "-", "@", "\t", "\r"))}
    )


def _escaped(text: pl.Expr) -> pl.Expr:
    return pl.when(text.str.contains(_FORMULA) & ~text.str.contains(_NUMBER)).then("'" + text).otherwise(text)


def with_sets_as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with each prediction set as one text, the names of its classes with `|` between.

    Example:
        >>> with_sets_as_text(pl.DataFrame({"prediction_set": [["ant", "bee"], ["cat"]]}))["prediction_set"].to_list()
        ['ant|bee', 'cat']
    """
    if "prediction_set" not in frame.columns or frame.schema["prediction_set"] == pl.String:
        return frame
    return frame.with_columns(pl.col("prediction_set").list.join(BETWEEN_CLASSES))


def check_names_fit_in_a_cell(class_names: Iterable[str]) -> None:
    """Check that prediction sets can be written with `|` between the names of their classes.

    Raises:
        RecipeError: A name contains the separator.

    Example:
        >>> check_names_fit_in_a_cell(["a|b"])
        Traceback (most recent call last):
        ...
        polylogit.errors.RecipeError: --coverage: the class "a|b" contains "|", which stands between the classes of ...
    """
    for name in class_names:
        if BETWEEN_CLASSES in name:
            raise RecipeError(
                f'--coverage: the class "{name}" contains "{BETWEEN_CLASSES}", which stands between the classes of a '
                "set in CSV. Write a .jsonl or .parquet file with --out."
            )
