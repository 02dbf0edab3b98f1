"""Columns selected by exactly the name that the table gives them.

`polars.col` reads a name such as `*` or `^amount$` as a pattern; a table may have columns that are called so.
"""

import re
from collections.abc import Iterable

import polars as pl

__all__ = ["is_pattern", "named", "select_named"]


def is_pattern(name: str) -> bool:
    """Whether polars would read the name of a column as a pattern, even in methods of a single series."""
    return name == "*" or (name.startswith("^") and name.endswith("$"))


def named(name: str) -> pl.Expr:
    """The column of exactly this name.

    Example:
        >>> pl.DataFrame({"*": [1], "b": [2]}).select(named("*")).columns
        ['*']
    """
    return pl.col(f"^{re.escape(name)}$" if is_pattern(name) else name)


def select_named(frame: pl.DataFrame, names: Iterable[str]) -> pl.DataFrame:
    """The columns of exactly these names, in this order.

    Example:
        >>> select_named(pl.DataFrame({"*": [1], "b": [2]}), ["*"]).columns
        ['*']
    """
    wanted = list(names)
    return frame[wanted] if wanted else pl.DataFrame()
