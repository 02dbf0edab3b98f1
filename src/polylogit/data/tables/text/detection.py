"""Which columns are text, and how a text column is best cut into terms."""

import polars as pl

from polylogit.data.tables.text.analyzer import Analyzer

__all__ = ["find_analyzer", "is_text"]

FEWEST_WORDS = 3.0
"""Cells have as many words on average where a column with mostly distinct texts is text, and no identifier."""

FEWEST_WORDS_REPEATED = 8.0
"""As many where texts recur: more than half of the cells repeat another one."""

_LEAST_DISTINCT = 0.1
_UNBROKEN = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
_WORD = r"\S*\p{L}[\p{L}\p{M}]\S*"
_LEAST_UNBROKEN = 0.2
_SHORT = 2.5


def is_text(cells: pl.Series, distinct: float) -> bool:
    """Whether a column is text: most of its cells differ, and they have several words.

    A word has at least two letters. Two characters of a script without spaces count as a word.

    Args:
        cells: Some cells of the column.
        distinct: The number of distinct texts for each cell.

    Example:
        >>> cells = pl.Series(["a good story with a poor end", "the best of all films"])
        >>> is_text(cells, 1.0), is_text(pl.Series(["AB-1002", "AB-1003"]), 1.0)
        (True, False)
    """
    words = _words(cells) + 0.5 * float(cells.str.count_matches(_UNBROKEN).mean() or 0)  # type: ignore[arg-type]
    return (distinct > 0.5 and words >= FEWEST_WORDS) or (distinct > _LEAST_DISTINCT and words >= FEWEST_WORDS_REPEATED)


def find_analyzer(cells: pl.Series) -> Analyzer:
    """How to cut a column into terms.

    Runs of one to three characters where a fifth of the letters are of a script without spaces, as in Chinese; runs of
    three to five characters within words where cells have fewer than three words; else runs of one and two words.

    Args:
        cells: Some cells of the column.

    Example:
        >>> cells = ("a good film with a poor end", "鲜嫩多汁的牛肉", "Jon Smyth")
        >>> [str(find_analyzer(pl.Series([cell]))) for cell in cells]
        ['words:1-2', 'characters:1-3', 'characters:3-5']
    """
    letters = int(cells.str.count_matches(r"\p{L}").sum() or 0)
    if int(cells.str.count_matches(_UNBROKEN).sum() or 0) > _LEAST_UNBROKEN * letters:
        return Analyzer("characters", 1, 3)
    return Analyzer.from_text("characters" if _words(cells) < _SHORT else "words")


def _words(cells: pl.Series) -> float:
    return float(cells.str.count_matches(_WORD).mean() or 0)  # type: ignore[arg-type]  # counts are numbers
