"""Text before it is cut into terms: one form of each character, no markup, lower case, and a limit on its length."""

import html

import polars as pl

__all__ = ["LONGEST_CELL", "plain_cells"]

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
    if bool(plain.str.contains_any(["<"]).any()):
        plain = plain.str.replace_all(_TAG, " ")
    written_in_entities = plain.str.contains(_ENTITY)
    if bool(written_in_entities.any()):
        places = written_in_entities.arg_true()
        plain = plain.scatter(places, [html.unescape(text) for text in plain.gather(places).to_list()])
    if not bool((plain.str.len_bytes() == plain.str.len_chars()).all()):
        plain = plain.str.normalize("NFKC")
    return plain.str.to_lowercase()
