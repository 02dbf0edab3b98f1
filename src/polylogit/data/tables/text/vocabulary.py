"""The vocabulary of a text column: its terms and their weights, learned from training cells.

See also: `tokens.py`, which cuts cells into words, and `weighting.py`, which makes features of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from polylogit.data.tables.text.analyzer import Analyzer
from polylogit.data.tables.text.cells import plain_cells
from polylogit.data.tables.text.key_table import KeyTable
from polylogit.data.tables.text.tokens import codes_of, grams_of_words, numbered_texts, ragged_places, tokens_of
from polylogit.errors import DataError, ModelFileError

__all__ = ["MOST_TERMS", "CountedTerms", "Vocabulary", "text_blocks"]

MOST_TERMS = 50_000
"""The most terms of a column: those in the most training rows."""

MOST_LEARNED_FROM = 2**27
"""Bytes of text that the terms are learned from; of more, evenly spaced rows are taken."""

_FEWEST_ROWS = 2
_LARGEST = 2**63 - 1
_WORDS_IN_EXAMPLE = 4
_BYTES_A_BLOCK = 2**21
_ROWS_A_BLOCK = 2**16

_Numbered = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""The row of each word of some cells, and the number of the word."""


@dataclass(frozen=True, eq=False)
class CountedTerms:
    """How often each term of a vocabulary occurs in each of some cells.

    Args:
        rows: The number of the cell, rising.
        terms: The number of the term, rising within a cell.
        counts: How often it occurs there, at least once.
        words: How many words the cells have in all.
        unknown: How many of these are in no term.
    """

    rows: npt.NDArray[np.int64]
    terms: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    words: int
    unknown: int


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The terms of a text column.

    Args:
        analyzer: How cells are cut into terms.
        terms: The terms, words of a term with a space between them, in the order of their features.
        idf: The inverse document frequency of each.

    Example:
        >>> cells = pl.Series(["red fish", "blue fish", "red bird"])
        >>> vocabulary = Vocabulary.fit(cells, Analyzer.from_text("words"))
        >>> vocabulary.terms.to_list(), [round(weight, 3) for weight in vocabulary.idf.tolist()]
        (['fish', 'red'], [1.288, 1.288])
    """

    analyzer: Analyzer
    terms: pl.Series
    idf: npt.NDArray[np.float32]

    def __len__(self) -> int:
        """The number of terms."""
        return len(self.terms)

    @classmethod
    def fit(cls, cells: pl.Series, analyzer: Analyzer, most_terms: int = MOST_TERMS) -> "Vocabulary":
        """Learn the terms of training cells.

        A term is taken if at least two rows have it, or one where none has a term in common with another. Of too many,
        those in the most rows are taken, whatever their class: a choice by class would make the logits of held-out rows
        optimistic, from which the calibration is fitted. The weight of a term is

            idf = ln((1 + rows) / (1 + rows with the term)) + 1

        as in scikit-learn's `TfidfVectorizer`.

        Args:
            cells: Texts; null for a missing one.
            analyzer: How they are cut into terms.
            most_terms: The most terms.

        Returns:
            The vocabulary.

        Raises:
            DataError: No cell has a term.
        """
        size = int(cells.str.len_bytes().sum() or 0)
        cells = cells.gather_every(max(1, -(-size // MOST_LEARNED_FROM)))
        words, blocks = _numbered_words(cells, analyzer)
        counted, terms_of = (_rows_with_runs if analyzer.unit == "words" else _rows_with_grams)(blocks, words, analyzer)
        if not counted.height:
            raise DataError(
                f"no {analyzer.unit} that could be terms were found in {len(cells)} cells. Read the column in another "
                "way, or leave it out."
            )
        least = _FEWEST_ROWS if bool((counted["rows"] >= _FEWEST_ROWS).any()) else 1
        kept = counted.filter(pl.col("rows") >= least)
        kept = kept.select(terms_of(kept["key"]).alias("term"), "rows")
        if kept.height > most_terms:
            kept = kept.sort(["rows", "term"], descending=[True, False]).head(most_terms)
        kept = kept.sort("term")
        idf = np.log((1 + len(cells)) / (1 + kept["rows"].to_numpy())) + 1
        return cls(analyzer, kept["term"], idf.astype(np.float32))

    @property
    def example(self) -> str:
        """A text of the most frequent terms, which is no text of a training row."""
        most = pl.DataFrame({"term": self.terms, "idf": self.idf}).sort("idf", "term", maintain_order=True)
        single = most.filter(~pl.col("term").str.contains(" ")) if self.analyzer.unit == "words" else most
        return " ".join((single if single.height else most)["term"].head(_WORDS_IN_EXAMPLE).str.strip_chars())

    def count(self, plain: pl.Series) -> CountedTerms:
        """How often each term occurs in each cell.

        Args:
            plain: Cells as `plain_cells` gives them.
        """
        tokens = tokens_of(plain, self.analyzer)
        if self.analyzer.unit == "words":
            words, keys = self._words_and_keys
            codes = codes_of(tokens.texts, words)
            runs = _keys_of_runs(tokens.rows, codes, len(words), self.analyzer)
            pairs = [(rows, keys.places(wanted)) for rows, wanted in runs]
            unknown = int((codes < 0).sum())
        else:
            words, (codes,) = numbered_texts([tokens.texts])
            starts, grams = grams_of_words(words, self.analyzer)
            found = codes_of(grams, self.terms)
            counts = np.diff(starts)[codes]
            pairs = [(np.repeat(tokens.rows, counts), found[ragged_places(starts[:-1][codes], counts)])]
            has_term = np.add.reduceat(found >= 0, starts[:-1]) > 0 if len(words) else np.zeros(0, dtype=np.bool_)
            unknown = int((~has_term[codes]).sum())
        places = np.concatenate([(rows * len(self) + terms)[terms >= 0] for rows, terms in pairs])
        places.sort()
        firsts = np.flatnonzero(np.diff(places, prepend=-1))
        distinct = places[firsts]
        rows = distinct // max(len(self), 1)
        return CountedTerms(
            rows, distinct - rows * len(self), np.diff(firsts, append=len(places)), len(tokens.rows), unknown
        )

    @cached_property
    def _words_and_keys(self) -> tuple[pl.Series, KeyTable]:
        """Every word of a term, and the key of each term: see `_keys_of_runs`."""
        lists = self.terms.alias("words").str.split(" ")
        lengths = lists.list.len().cast(pl.Int64).to_numpy()
        words, (codes,) = numbered_texts([lists.explode()])
        keys, starts = np.zeros(len(self), dtype=np.int64), np.cumsum(lengths) - lengths
        for place in range(self.analyzer.longest):
            there = lengths > place
            keys[there] = keys[there] * (len(words) + 1) + codes[(starts + place)[there]] + 1
        return words, KeyTable(keys)

    def tensors(self) -> dict[str, Tensor]:
        """The terms in UTF-8 with a line break after each, and their weights."""
        terms = "".join(f"{term}\n" for term in self.terms).encode()
        return {"terms": torch.frombuffer(bytearray(terms), dtype=torch.uint8), "idf": torch.from_numpy(self.idf)}

    @classmethod
    def from_tensors(
        cls, analyzer: Analyzer, count: int, terms: UInt8[Tensor, " B"], idf: Float[Tensor, " T"]
    ) -> "Vocabulary":
        """The vocabulary whose `tensors` these are.

        Raises:
            ModelFileError: They are not of a vocabulary of so many terms.
        """
        if terms.dtype != torch.uint8 or terms.ndim != 1 or idf.dtype != torch.float32 or idf.shape != (count,):
            raise ModelFileError(f"a vocabulary of {count} terms: expected uint8 terms and float32 idf [{count}]")
        try:
            texts = terms.numpy().tobytes().decode().split("\n")
        except UnicodeDecodeError as fault:
            raise ModelFileError(f"the terms of a vocabulary: {fault}") from fault
        if texts.pop() or len(texts) != count or len(set(texts)) != count or "" in texts:
            raise ModelFileError(f"a vocabulary: expected {count} distinct terms, each followed by a line break")
        if not bool((idf > 0).all()):
            raise ModelFileError("a vocabulary: every idf must be positive")
        if analyzer.unit == "words" and any(
            not analyzer.shortest <= term.count(" ") + 1 <= analyzer.longest for term in texts
        ):
            raise ModelFileError(f"a vocabulary: expected terms of {analyzer.shortest} to {analyzer.longest} words")
        return cls(analyzer, pl.Series("term", texts, dtype=pl.String), idf.numpy())


def text_blocks(cells: pl.Series) -> Iterator[tuple[int, pl.Series]]:
    """Cells a block at a time, with the number of the first: few where they are long, so that memory is bounded."""
    size = int(cells.str.len_bytes().sum() or 0)
    at_once = max(1, min(_ROWS_A_BLOCK, len(cells) * _BYTES_A_BLOCK // max(size, 1)))
    for start in range(0, len(cells), at_once):
        yield start, cells.slice(start, at_once)


def _numbered_words(cells: pl.Series, analyzer: Analyzer) -> tuple[pl.Series, list[_Numbered]]:
    """The distinct words, and the rows and the numbers of the words of each block of cells."""
    tokens = [tokens_of(plain_cells(block), analyzer) for _, block in text_blocks(cells)]
    words, numbers = numbered_texts(found.texts for found in tokens)
    return words, [(found.rows, codes) for found, codes in zip(tokens, numbers, strict=True)]


def _keys_of_runs(
    rows: npt.NDArray[np.int64], codes: npt.NDArray[np.int64], words: int, analyzer: Analyzer
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """For each length the row and the key of each run of known words: codes from 1 as digits to the base words + 1."""
    keys = codes + 1
    known = codes >= 0
    for length in range(1, analyzer.longest + 1):
        if length > 1:
            last = len(codes) - length + 1
            within = known[:last] & (rows[:last] == rows[length - 1 :]) & (codes[length - 1 :] >= 0)
            keys = keys[:last] * (words + 1) + codes[length - 1 :] + 1
            known = within
        if length >= analyzer.shortest:
            yield rows[: len(keys)][known], keys[known]


def _rows_with_runs(
    blocks: list[_Numbered], words: pl.Series, analyzer: Analyzer
) -> tuple[pl.DataFrame, Callable[[pl.Series], pl.Series]]:
    """The columns `key` and `rows`: how many rows have each run of words; and the text of keys."""
    if (len(words) + 1) ** analyzer.longest > _LARGEST:
        raise DataError(
            f"{len(words):,} distinct words are too many for terms of {analyzer.longest} words. Ask for shorter ones: "
            "text:words:1-2."
        )
    parts = []
    for rows, codes in blocks:
        runs = _keys_of_runs(rows, codes, len(words), analyzer)
        parts.append(pl.concat([_rows_with(some, keys) for some, keys in runs]))  # longer runs have larger keys

    def terms_of(keys: pl.Series) -> pl.Series:
        digits = [keys // (len(words) + 1) ** place % (len(words) + 1) for place in reversed(range(analyzer.longest))]
        of_run = [words.gather((digit - 1).replace(-1, None)).alias(str(place)) for place, digit in enumerate(digits)]
        return pl.select(pl.concat_str(of_run, separator=" ", ignore_nulls=True).alias("term")).to_series()

    return _summed(parts), terms_of


def _rows_with_grams(
    blocks: list[_Numbered], words: pl.Series, analyzer: Analyzer
) -> tuple[pl.DataFrame, Callable[[pl.Series], pl.Series]]:
    """The columns `key` and `rows`: how many rows have each run of characters; and the text of keys."""
    starts, grams = grams_of_words(words, analyzer)
    distinct, (numbers,) = numbered_texts([grams])
    parts = []
    for rows, codes in blocks:
        counts = np.diff(starts)[codes]
        parts.append(_rows_with(np.repeat(rows, counts), numbers[ragged_places(starts[:-1][codes], counts)]))
    return _summed(parts), distinct.gather


def _rows_with(rows: npt.NDArray[np.int64], keys: npt.NDArray[np.int64]) -> pl.DataFrame:
    """How many rows have each key, which rises."""
    if not len(keys):
        return pl.DataFrame(schema={"key": pl.Int64, "rows": pl.Int64})
    many = int(rows[-1]) + 1
    if int(keys.max()) >= _LARGEST // many:
        distinct = pl.DataFrame({"row": rows, "key": keys}).unique()
        return distinct.group_by("key").agg(pl.len().cast(pl.Int64).alias("rows")).sort("key")
    pairs = keys * many + rows  # one sort of these takes half the time of polars' hash tables
    pairs.sort()
    keys = pairs[np.diff(pairs, prepend=-1) > 0] // many
    firsts = np.flatnonzero(np.diff(keys, prepend=-1))
    return pl.DataFrame({"key": keys[firsts], "rows": np.diff(firsts, append=len(keys))})


def _summed(blocks: list[pl.DataFrame]) -> pl.DataFrame:
    """The counts of all blocks together; each key occurs once in a block, and rises there."""
    if not blocks:
        return pl.DataFrame(schema={"key": pl.Int64, "rows": pl.Int64})
    return blocks[0] if len(blocks) == 1 else pl.concat(blocks).group_by("key").agg(pl.col("rows").sum()).sort("key")
