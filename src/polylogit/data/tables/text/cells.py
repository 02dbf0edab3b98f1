"""Text before it is cut into terms: one form of each character, no markup, lower case, and a limit on its length."""

import html
from collections.abc import Callable

import polars as pl

__all__ = ["LONGEST_CELL", "plain_cells", "with_change"]

LONGEST_CELL = 100_000
"""Characters of a cell that are looked at; what follows them is not used."""

_ENTITY = r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
_TAG = r"</?[A-Za-z][^<>]{0,1000}>|<!--[^>]{0,1000}-->"


def plain_cells(cells: pl.Series) -> pl.Series:
    """The cells of a text column without what only says how they are written.

    In this order: the first `LONGEST_CELL` characters, HTML tags as spaces, HTML entities as their characters, Unicode
    form NFKC, in which full-width and composed characters have one form, and lower case.

    Args:
        cells: Texts; null for a missing one.

    Returns:
        The texts, without nulls: a missing text is empty.

    Example:
        >>> plain_cells(pl.Series(["<b>Fish</b> &amp; Chips", None])).to_list()
        [' fish  & chips', '']
    """
    plain = cells.alias("cells").fill_null("")
    if bool((plain.str.len_bytes() > LONGEST_CELL).any()):
        plain = plain.str.slice(0, LONGEST_CELL)
    plain = with_change(plain, plain.str.contains("<", literal=True), lambda some: some.str.replace_all(_TAG, " "))
    plain = with_change(plain, plain.str.contains("&", literal=True), _without_entities)
    beyond_ascii = plain.str.len_bytes() != plain.str.len_chars()
    return with_change(plain, beyond_ascii, lambda some: some.str.normalize("NFKC")).str.to_lowercase()


def with_change(cells: pl.Series, chosen: pl.Series, change: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """The cells with a change of the chosen ones.

    Args:
        cells: Texts.
        chosen: Whether each is changed.
        change: Gives the new texts of the chosen ones.

    Example:
        >>> with_change(pl.Series(["a", "b"]), pl.Series([False, True]), lambda some: some + "!").to_list()
        ['a', 'b!']
    """
    return cells.scatter(chosen.arg_true(), change(cells.filter(chosen))) if bool(chosen.any()) else cells


def _without_entities(cells: pl.Series) -> pl.Series:
    return with_change(
        cells,
        cells.str.contains(_ENTITY),
        lambda some: pl.Series("cells", [html.unescape(text) for text in some.to_list()], dtype=pl.String),
    )
