"""Ranking metrics of each class against the rest: area under the ROC curve and average precision.

scikit-learn has both, but its metrics take over a second to import, and the command line evaluates every run. The tests
compare these values with scikit-learn's.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polylogit.evaluation.rows import ScoredRows

__all__ = ["ends_of_ties", "ranking_figures"]


def ranking_figures(rows: ScoredRows) -> list[tuple[float | None, float | None]]:
    """Area under the ROC curve and average precision of each class against the rest, by its probability.

    area = sum over thresholds of (FP_n - FP_n-1) (TP_n + TP_n-1) / 2, over FP TP
    average precision = sum over thresholds of (R_n - R_n-1) P_n

    Rows of equal probability pass a threshold together.

    Returns:
        For each class (ROC AUC, average precision); None where the rows hold no example, or nothing else, of it.

    Example:
        >>> ranking_figures(ScoredRows.check(torch.eye(2), torch.tensor([0, 1])))
        [(1.0, 1.0), (1.0, 1.0)]
        >>> ranking_figures(ScoredRows.check(torch.eye(2), torch.tensor([0, 0])))
        [(None, 1.0), (None, None)]

    Source: Fawcett (2006), An introduction to ROC analysis, sections 5 and 7; Manning, Raghavan and Schütze (2008),
        Introduction to Information Retrieval, section 8.4.
    """
    return [
        _area_and_precision(claimed, rows.targets == k, rows.weights)
        for k, claimed in enumerate(rows.probabilities.T.contiguous())
    ]


def _area_and_precision(
    claimed: Float[Tensor, " N"], own: Bool[Tensor, " N"], weights: Float[Tensor, " N"]
) -> tuple[float | None, float | None]:
    if not own.any():
        return None, None
    claimed, order = claimed.sort(descending=True)
    own, weights = own[order], weights[order]
    ends = ends_of_ties(claimed)
    true = (weights * own).cumsum(0)[ends]
    false = (weights * ~own).cumsum(0)[ends]
    steps = true.diff(prepend=true.new_zeros(1))
    precision = float(steps @ (true / (true + false)) / true[-1])
    if own.all():
        return None, precision
    area = float(false.diff(prepend=false.new_zeros(1)) @ (true - steps / 2) / (true[-1] * false[-1]))
    return area, precision


def ends_of_ties(ordered: Float[Tensor, " N"]) -> Bool[Tensor, " N"]:
    """Marks the last of each run of equal values.

    Example:
        >>> ends_of_ties(torch.tensor([0.9, 0.5, 0.5, 0.1])).tolist()
        [True, False, True, True]
    """
    ends = torch.ones_like(ordered, dtype=torch.bool)
    ends[:-1] = ordered[:-1] != ordered[1:]
    return ends
