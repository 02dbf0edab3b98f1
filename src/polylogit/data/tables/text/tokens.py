"""Tokens: the words of each cell, and the runs of characters of each word."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from polylogit.data.tables.text.analyzer import Analyzer
from polylogit.data.tables.text.cells import with_change

__all__ = ["Tokens", "codes_of", "grams_of_words", "numbered_texts", "ragged_places", "tokens_of"]

_SHORTEST_WORD = 2
_NO_WORD = r"\W"
_UNBROKEN = r"\S+"

_CELL_END = "¶"
_ASCII_IN_SPACES = bytes(code if code > 127 or re.match(r"\w", chr(code)) else ord(" ") for code in range(256))
"""For `bytes.translate`: ASCII characters that are in no word become spaces."""


@dataclass(frozen=True, eq=False)
class Tokens:
    """The words of some cells, one after the other.

    Args:
        rows: The number of the cell of each word, rising.
        texts: The words.
    """

    rows: npt.NDArray[np.int64]
    texts: pl.Series


def tokens_of(plain: pl.Series, analyzer: Analyzer) -> Tokens:
    """The words of each cell: runs of two or more letters, digits or underscores; for characters of anything but space.

    Args:
        plain: Cells as `plain_cells` gives them.
        analyzer: Says what a word is.

    Example:
        >>> found = tokens_of(pl.Series(["a big dog", "", "cat"]), Analyzer.from_text("words"))
        >>> found.rows.tolist(), found.texts.to_list()
        ([0, 0, 2], ['big', 'dog', 'cat'])
    """
    if analyzer.unit == "words":
        return _words_of(plain)
    lists = plain.alias("words").str.extract_all(_UNBROKEN)
    rows = np.repeat(np.arange(len(plain)), lists.list.len().to_numpy())
    return Tokens(rows, lists.explode().drop_nulls())


def _words_of(plain: pl.Series) -> Tokens:
    """All cells cut at spaces, which stand for all that is in no word: faster than a search for each word."""
    beyond_ascii = plain.str.len_bytes() != plain.str.len_chars()
    spaced = with_change(plain, beyond_ascii, lambda some: some.str.replace_all(_NO_WORD, " "))
    together = spaced.str.join(f" {_CELL_END} ").cast(pl.Binary).item().translate(_ASCII_IN_SPACES)
    parts = pl.Series([together]).cast(pl.String).str.split(" ").explode()
    are_words = parts.str.len_chars() >= _SHORTEST_WORD
    rows = (parts == _CELL_END).cum_sum().filter(are_words)
    return Tokens(rows.cast(pl.Int64).to_numpy(), parts.filter(are_words).alias("words"))


def codes_of(texts: pl.Series, known: pl.Series) -> npt.NDArray[np.int64]:
    """The place of each text among the known ones; -1 for others.

    Args:
        texts: Texts without nulls.
        known: Distinct texts.

    Example:
        >>> codes_of(pl.Series(["b", "c"]), pl.Series(["a", "b"])).tolist()
        [1, -1]
    """
    if not len(known):
        return np.full(len(texts), -1)
    codes = texts.cast(pl.Enum(known), strict=False).to_physical().cast(pl.Int64).fill_null(-1)
    return codes.to_numpy()


def numbered_texts(parts: Iterable[pl.Series]) -> tuple[pl.Series, list[npt.NDArray[np.int64]]]:
    """The distinct texts, in the order in which they occur first, and the place among them of each text of each part.

    Args:
        parts: Texts without nulls.

    Example:
        >>> distinct, numbers = numbered_texts([pl.Series(["b", "a", "b"]), pl.Series(["a"])])
        >>> distinct.to_list(), [some.tolist() for some in numbers]
        (['b', 'a'], [[0, 1, 0], [1]])
    """
    dtype = pl.Categorical(pl.Categories.random())
    coded = [part.cast(dtype) for part in parts]
    numbers = [some.to_physical().cast(pl.Int64).to_numpy() for some in coded]
    count = 1 + max((int(some.max(initial=-1)) for some in numbers), default=-1)
    return pl.int_range(count, dtype=pl.UInt32, eager=True).cat.to(dtype).cast(pl.String), numbers


def ragged_places(starts: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The places from each start on, so many as its count says, one run after the other.

    Example:
        >>> ragged_places(np.array([5, 0]), np.array([2, 3])).tolist()
        [5, 6, 0, 1, 2]
    """
    ends = np.cumsum(counts)
    places: npt.NDArray[np.int64] = np.arange(ends[-1] if len(ends) else 0)
    places += np.repeat(starts - (ends - counts), counts)
    return places


def grams_of_words(words: pl.Series, analyzer: Analyzer) -> tuple[npt.NDArray[np.int64], pl.Series]:
    """The runs of characters of each word, with a space before and after it.

    Args:
        words: Distinct words.
        analyzer: How long the runs are.

    Returns:
        Where the runs of each word start and those of the last end; and the runs, word by word.

    Example:
        >>> starts, grams = grams_of_words(pl.Series(["cat", "a"]), Analyzer("characters", 4, 5))
        >>> starts.tolist(), grams.to_list()
        ([0, 3, 4], [' cat', 'cat ', ' cat ', ' a '])
    """
    padded = pl.DataFrame({"text": " " + words.alias("text") + " "}).with_row_index("word")
    padded = padded.with_columns(pl.col("text").str.len_chars().cast(pl.Int64).alias("length"))
    parts = []
    for length in range(analyzer.shortest, analyzer.longest + 1):
        some = padded if length == analyzer.shortest else padded.filter(pl.col("length") >= length)
        some = some.with_columns(pl.int_ranges(0, (pl.col("length") - length + 1).clip(1)).alias("place"))
        parts.append(
            some.explode("place").select("word", pl.col("text").str.slice(pl.col("place"), length).alias("gram"))
        )
    grams = pl.concat(parts).sort("word", maintain_order=True)
    counts = np.bincount(grams["word"].to_numpy(), minlength=len(words))
    return np.concatenate([[0], np.cumsum(counts)]), grams["gram"]
