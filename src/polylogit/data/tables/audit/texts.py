"""The audit rule for text: cells that nearly repeat an earlier cell.

Near copies on both sides of a split make test metrics optimistic, and near copies of different classes are often
mistakes in the labels. Cells are compared by their sets of words, found by MinHash and locality-sensitive hashing, so
that the time is in proportion to the cells.

Source: Broder (1997), "On the resemblance and containment of documents"; Leskovec, Rajaraman and Ullman (2020),
"Mining of massive datasets", sections 3.3 and 3.4.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from polylogit.data.tables.audit.findings import AuditFinding
from polylogit.data.tables.text.analyzer import Analyzer
from polylogit.data.tables.text.cells import plain_cells
from polylogit.data.tables.text.tokens import codes_of, tokens_of
from polylogit.plural import agreeing, counted

__all__ = ["audit_texts", "near_copies"]

_ALIKE = 0.8
"""Cells are near copies if so large a share of the words of both is in both."""

_FEWEST_WORDS = 5
_MOST_ROWS = 50_000
_MOST_WORDS = 200
_BANDS, _HASHES_A_BAND = 6, 4


def audit_texts(cells: pl.Series, targets: npt.NDArray[np.int64] | None) -> Iterator[AuditFinding]:
    """Cells of a text column that nearly repeat an earlier one; of at most 50,000 evenly spaced rows.

    Args:
        cells: Texts; null for a missing one. Of each the first 200 words are compared, if they are 5 or more.
        targets: Class indices, -1 for rows that are of no class; None without a target.

    Yields:
        At most one finding.
    """
    rows = np.arange(0, len(cells), max(1, -(-len(cells) // _MOST_ROWS)))
    places, first = near_copies(cells.gather(rows))
    if not len(places):
        return
    rows_of = (rows[places], rows[first])
    row, earlier = (int(found[0]) + 1 for found in rows_of)
    repeat = f"{counted(len(places), 'row')} nearly {agreeing(len(places), 'repeats', 'repeat')}"
    words = f"{repeat} the text of an earlier row, as row {row} does that of row {earlier}"
    if len(rows) < len(cells):
        words += f" ({len(rows):,} rows were compared)"
    if targets is not None:
        other = (targets[rows_of[0]] != targets[rows_of[1]]) & (targets[rows_of[0]] >= 0) & (targets[rows_of[1]] >= 0)
        if other.any():
            others = int(other.sum())
            one, another = (int(found[other][0]) + 1 for found in rows_of)
            of_another = f"{others:,} of them {agreeing(others, 'is', 'are')} of another class"
            words += f"; {of_another}, as rows {another} and {one} are"
    yield AuditFinding(
        "near-duplicate-texts",
        "note",
        f"{words}.",
        "Near copies on both sides of a split make metrics optimistic: if they belong together, name a column that "
        "says so with data.group.",
        column=cells.name,
        row=row,
        count=len(places),
    )


def near_copies(cells: pl.Series) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The cells that nearly repeat an earlier one, in order, and the earlier one of each.

    Args:
        cells: Texts; null for a missing one.

    Returns:
        Two arrays of numbers of cells.

    Example:
        >>> cells = pl.Series(["a red fish in the blue sea", "nothing", "A red fish, in the  blue SEA!"])
        >>> near_copies(cells)
        (array([2]), array([0]))
    """
    rows, codes, words = _words_of_rows(cells)
    if not len(rows):
        return rows, rows
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    numbers, sizes = rows[starts], np.diff(starts, append=len(rows))
    draw = np.random.default_rng(0)
    candidates = []
    for _ in range(_BANDS):
        band = np.zeros(len(starts), dtype=np.uint64)
        for _ in range(_HASHES_A_BAND):
            of_word = draw.integers(2**64, size=words, dtype=np.uint64)
            band = band * np.uint64(0x9E3779B97F4A7C15) + np.minimum.reduceat(of_word[codes], starts)
        _, first, group = np.unique(band, return_index=True, return_inverse=True)
        earlier = first[group]
        later = np.flatnonzero(earlier < np.arange(len(starts)))
        candidates.append(np.stack([later, earlier[later]], 1))
    pairs = np.unique(np.concatenate(candidates), axis=0)
    alike = np.array([_similarity(codes, starts, sizes, *pair) >= _ALIKE for pair in pairs.tolist()], np.bool_)
    later, earlier = pairs[alike].T if len(pairs) else (np.zeros(0, np.int64),) * 2
    later, place = np.unique(later, return_index=True)
    return numbers[later], numbers[earlier[place]]


def _words_of_rows(cells: pl.Series) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], int]:
    """The row and the number of each distinct word of the rows that have enough of them, and the number of words."""
    tokens = tokens_of(plain_cells(cells), Analyzer.from_text("words"))
    distinct = tokens.texts.unique().sort()
    pairs = pl.DataFrame({"row": tokens.rows, "word": codes_of(tokens.texts, distinct)})
    pairs = pairs.filter(pl.int_range(pl.len()).over("row") < _MOST_WORDS).unique().sort("row", "word")
    pairs = pairs.filter(pl.len().over("row") >= _FEWEST_WORDS)
    return pairs["row"].to_numpy(), pairs["word"].to_numpy(), len(distinct)


def _similarity(
    codes: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], one: int, other: int
) -> float:
    """The share of the words of two rows that both have (Jaccard)."""
    first, second = (codes[starts[row] : starts[row] + sizes[row]] for row in (one, other))
    common = len(np.intersect1d(first, second, assume_unique=True))
    return common / (len(first) + len(second) - common)
