"""Cells of predictions as text that a spreadsheet does not take for a formula."""

import polars as pl

__all__ = ["without_formulas"]

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
    text = pl.col(pl.String)
    escaped = pl.when(text.str.contains(_FORMULA) & ~text.str.contains(_NUMBER)).then("'" + text).otherwise(text)
    frame = frame.with_columns(escaped.name.keep()) if pl.String in frame.dtypes else frame
    return frame.rename(
        {name: f"'{name}" for name in frame.columns if name.startswith(("=", "+", "-", "@", "\t", "\r"))}
    )
