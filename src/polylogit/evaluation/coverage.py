"""Selective classification: accuracy against coverage when only rows above a probability are answered.

See also: `polylogit predict --abstain-below`, which applies a threshold.
"""

from dataclasses import dataclass

from polylogit.evaluation.ranking import ends_of_ties
from polylogit.evaluation.rows import ScoredRows

__all__ = ["THRESHOLDS", "Answered", "CoverageCurve", "answered_above", "coverage_curve"]

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Answered:
    """Coverage and accuracy when only rows whose top probability is at least a threshold are answered.

    Attributes:
        threshold: The least top probability that is answered.
        coverage: Share of rows answered.
        accuracy: Share of the answered rows that are right; None where none is answered.
    """

    threshold: float
    coverage: float
    accuracy: float | None


@dataclass(frozen=True)
class CoverageCurve:
    """Accuracy of the rows with the largest top probability, for every share of rows that can be answered.

    Attributes:
        threshold: Distinct top probabilities, falling.
        coverage: Share of rows whose top probability is at least that; rises to 1.
        accuracy: Share of those rows that are right.
    """

    threshold: tuple[float, ...]
    coverage: tuple[float, ...]
    accuracy: tuple[float, ...]


def answered_above(rows: ScoredRows, thresholds: tuple[float, ...] = THRESHOLDS) -> tuple[Answered, ...]:
    """Coverage and accuracy when only rows of at least that top probability are answered.

    Args:
        rows: Judged rows.
        thresholds: Probabilities, 0 to 1.

    Returns:
        One entry for each threshold, in its order.

    Example:
        >>> import torch
        >>> rows = ScoredRows.check(torch.log(torch.tensor([[0.9, 0.1], [0.6, 0.4]])), torch.tensor([0, 1]))
        >>> answered_above(rows, (0.5, 0.8))
        (Answered(threshold=0.5, coverage=1.0, accuracy=0.5), Answered(threshold=0.8, coverage=0.5, accuracy=1.0))

    Source: El-Yaniv and Wiener (2010), section 2: coverage and risk of a selective classifier.
    """
    top = rows.probabilities.max(dim=1).values
    advice = []
    for threshold in thresholds:
        answered = rows.weights * (top >= threshold)
        total = float(answered.sum())
        accuracy = float(answered @ rows.hits) / total if total else None
        advice.append(Answered(threshold, total / float(rows.weights.sum()), accuracy))
    return tuple(advice)


def coverage_curve(rows: ScoredRows) -> CoverageCurve:
    """The whole curve: rows in falling order of their top probability; equal ones enter together.

    Example:
        >>> import torch
        >>> rows = ScoredRows.check(torch.log(torch.tensor([[0.9, 0.1], [0.6, 0.4]])), torch.tensor([0, 1]))
        >>> coverage_curve(rows).accuracy
        (1.0, 0.5)

    Source: El-Yaniv and Wiener (2010), section 2.
    """
    top, order = rows.probabilities.max(dim=1).values.sort(descending=True, stable=True)
    answered = rows.weights[order].cumsum(0)
    right = (rows.weights * rows.hits)[order].cumsum(0)
    ends = ends_of_ties(top)
    return CoverageCurve(
        threshold=tuple(top[ends].tolist()),
        coverage=tuple((answered / answered[-1])[ends].tolist()),
        accuracy=tuple((right / answered)[ends].tolist()),
    )
