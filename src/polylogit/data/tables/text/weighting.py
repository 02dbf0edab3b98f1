"""The features of a text column: weighted counts of its terms, each row of length 1."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from polylogit.data.tables.text.cells import plain_cells
from polylogit.data.tables.text.vocabulary import Vocabulary, text_blocks

__all__ = ["WeightedTerms", "weighted_terms"]


@dataclass(frozen=True, eq=False)
class WeightedTerms:
    """The terms of each cell with their weights.

    Args:
        starts: Where the terms of each cell start, and where those of the last end.
        terms: The number of the term, rising within a cell.
        weights: The weight of the term there.
        words: How many words the cells have in all.
        unknown: How many of these the vocabulary does not have.
    """

    starts: npt.NDArray[np.int64]
    terms: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    words: int = 0
    unknown: int = 0


def weighted_terms(cells: pl.Series, vocabulary: Vocabulary) -> WeightedTerms:
    """The weights of the terms of each cell.

    weight = (1 + ln(count)) * idf, divided by the Euclidean length of the row of weights

    Args:
        cells: Texts; null for a missing one, which has no term.
        vocabulary: The terms and their idf.

    Returns:
        The weights of all cells. A cell without a known term has none.

    Example:
        >>> from polylogit.data.tables.text.analyzer import Analyzer
        >>> vocabulary = Vocabulary.fit(pl.Series(["red fish", "blue fish", "red bird"]), Analyzer.from_text("words"))
        >>> found = weighted_terms(pl.Series(["red red fish", "green"]), vocabulary)
        >>> found.starts.tolist(), found.terms.tolist(), [f"{weight:.3f}" for weight in found.weights], found.unknown
        ([0, 2, 2], [0, 1], ['0.509', '0.861'], 1)

    Source: Salton and Buckley (1988), Term-weighting approaches in automatic text retrieval, Information Processing and
    Management 24; the formulas are those of scikit-learn's `TfidfVectorizer(sublinear_tf=True)`.
    """
    counts, terms, weights = [np.zeros(0, np.int64)], [np.zeros(0, np.int32)], [np.zeros(0, np.float32)]
    words = unknown = 0
    for _, block in text_blocks(cells):
        found = vocabulary.count(plain_cells(block))
        weight = (1 + np.log(found.counts)) * vocabulary.idf[found.terms].astype(np.float64)
        length = np.sqrt(np.bincount(found.rows, weight * weight, minlength=len(block)))
        counts.append(np.bincount(found.rows, minlength=len(block)))
        terms.append(found.terms.astype(np.int32))
        weights.append((weight / length[found.rows]).astype(np.float32))
        words, unknown = words + found.words, unknown + found.unknown
    starts = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)
    return WeightedTerms(starts, np.concatenate(terms), np.concatenate(weights), words, unknown)
