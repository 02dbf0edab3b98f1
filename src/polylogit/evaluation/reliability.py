"""Reliability bins and binned calibration errors.

Binning, everywhere in polylogit unless stated otherwise: 15 bins of equal width between 0 and 1, closed below and open
above, the last one closed. Calibration errors with other bins are not comparable with these.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.evaluation.rows import ScoredRows

__all__ = [
    "BINS",
    "ReliabilityBins",
    "calibration_error",
    "classwise_calibration_errors",
    "consistency_intervals",
    "reliability_bins",
]

BINS = 15
DRAWS = 200

ROWS_OF_A_LARGE_BIN = 10_000
"""From so many rows on the frequency of a bin is taken as normal, which it then is but for some thousandths."""

_NORMAL_QUANTILE = 1.959964


@dataclass(frozen=True)
class ReliabilityBins:
    """What was claimed and what came true, bin by bin.

    Attributes:
        edges: Lower ends of the bins and the upper end of the last.
        weight: Share of all rows (by weight) in each bin; the shares sum to 1.
        confidence: Mean probability claimed in each bin; None where the bin is empty.
        frequency: Share of that bin's rows for which the claim came true; None where the bin is empty.
    """

    edges: tuple[float, ...]
    weight: tuple[float, ...]
    confidence: tuple[float | None, ...]
    frequency: tuple[float | None, ...]

    @property
    def error(self) -> float:
        """Expected calibration error: mean over rows of |confidence - frequency| of the row's bin."""
        triples = zip(self.weight, self.confidence, self.frequency, strict=True)
        return sum(w * abs(c - f) for w, c, f in triples if c is not None and f is not None)


def reliability_bins(rows: ScoredRows, bins: int = BINS) -> ReliabilityBins:
    """Bins of the probability of the predicted class, against how often the prediction is right.

    Args:
        rows: Evaluated rows.
        bins: Number of bins of equal width.

    Returns:
        The bins; `.error` is the expected calibration error.

    Example:
        >>> rows = ScoredRows.check(torch.log(torch.tensor([[0.9, 0.1], [0.9, 0.1]])), torch.tensor([0, 1]))
        >>> round(reliability_bins(rows).error, 6)  # claimed 0.9, right half the time
        0.4

    Source: Guo, Pleiss, Sun and Weinberger (2017), eq. 2 and 3.
    """
    top = rows.probabilities.max(dim=1).values
    return bin_claims(top, rows.hits, rows.weights, bins)


def consistency_intervals(rows: ScoredRows, bins: int = BINS) -> tuple[tuple[float, float] | None, ...]:
    """For each bin where 95 % of the observed frequencies would be if the probabilities were calibrated.

    200 times it is drawn whether each prediction is right, from its own probability and with a fixed seed; the interval
    is from the 2.5 % to the 97.5 % quantile of a bin's frequencies. In bins of at least 10,000 rows it is that of the
    normal distribution with the same mean and variance.

    Args:
        rows: Evaluated rows.
        bins: Number of bins of equal width.

    Returns:
        An interval for each bin of `reliability_bins`; None where the bin is empty.

    Example:
        >>> rows = ScoredRows.check(torch.log(torch.tensor([[0.9, 0.1]])).repeat(100, 1), torch.arange(100) % 2)
        >>> [interval for interval in consistency_intervals(rows) if interval is not None]
        [(0.8..., 0.94...)]

    Source: Broecker and Smith (2007), Increasing the Reliability of Reliability Diagrams, section 3.
    """
    top = rows.probabilities.max(dim=1).values
    place = _bin_of(top, bins)
    few = torch.bincount(place, minlength=bins)[place] < ROWS_OF_A_LARGE_BIN
    claimed, weights = top[few], rows.weights[few]
    generator = torch.Generator().manual_seed(0)
    drawn = []
    for _ in range(DRAWS):
        hits = (torch.rand(len(claimed), generator=generator, dtype=torch.float64) < claimed).double()
        drawn.append([float("nan") if f is None else f for f in bin_claims(claimed, hits, weights, bins).frequency])
    low, high = torch.tensor(drawn, dtype=torch.float64).quantile(torch.tensor([0.025, 0.975]).double(), dim=0).tolist()
    of_few = [None if math.isnan(a) else (a, b) for a, b in zip(low, high, strict=True)]
    of_many = _normal_intervals(top[~few], rows.weights[~few], place[~few], bins)
    return tuple(many or one for many, one in zip(of_many, of_few, strict=True))


def _normal_intervals(
    claimed: Float[Tensor, " M"], weights: Float[Tensor, " M"], place: Int[Tensor, " M"], bins: int
) -> list[tuple[float, float] | None]:
    """For each bin an interval of the weighted mean of independent hits with these probabilities; None: no rows."""
    total, sums, variances = (
        torch.bincount(place, weights=values, minlength=bins)
        for values in (weights, weights * claimed, weights.square() * claimed * (1 - claimed))
    )
    reach = _NORMAL_QUANTILE * variances.sqrt()
    low, high = ((sums - reach) / total).clamp_min(0).tolist(), ((sums + reach) / total).clamp_max(1).tolist()
    return [(a, b) if full else None for a, b, full in zip(low, high, (total > 0).tolist(), strict=True)]


def calibration_error(rows: ScoredRows, bins: int = BINS) -> float:
    """Expected calibration error of the predicted class (ECE), 0 (best) to 1.

    sum over bins of (rows in bin / rows) |mean top probability in bin - accuracy in bin|

    Source: Guo, Pleiss, Sun and Weinberger (2017), eq. 3.
    """
    return reliability_bins(rows, bins).error


def classwise_calibration_errors(rows: ScoredRows, bins: int = BINS) -> tuple[float, ...]:
    """Calibration error of each class's own probability, over all rows; their mean is the class-wise error.

    sum over bins of (rows in bin / rows) |mean p[k] in bin - share of class k in bin|

    Source: Kull et al. (2019), Beyond temperature scaling, eq. 3.
    """
    columns = enumerate(rows.probabilities.T)
    return tuple(
        bin_claims(column, (rows.targets == k).to(torch.float64), rows.weights, bins).error for k, column in columns
    )


def bin_claims(
    claimed: Float[Tensor, " N"], came_true: Float[Tensor, " N"], weights: Float[Tensor, " N"], bins: int
) -> ReliabilityBins:
    """Bins of any claimed probability against whether the claim came true (1) or not (0)."""
    place = _bin_of(claimed, bins)
    total = torch.bincount(place, weights=weights, minlength=bins)
    claims = torch.bincount(place, weights=weights * claimed, minlength=bins)
    truths = torch.bincount(place, weights=weights * came_true, minlength=bins)
    filled = (total > 0).tolist()

    def mean(sums: Float[Tensor, " bins"]) -> tuple[float | None, ...]:
        return tuple(value if full else None for value, full in zip((sums / total).tolist(), filled, strict=True))

    return ReliabilityBins(
        edges=tuple(_edges(bins).tolist()),
        weight=tuple((total / weights.sum()).tolist()),
        confidence=mean(claims),
        frequency=mean(truths),
    )


def _edges(bins: int) -> Tensor:
    return torch.linspace(0, 1, bins + 1, dtype=torch.float64)


def _bin_of(claimed: Float[Tensor, " N"], bins: int) -> Int[Tensor, " N"]:
    """The number of the bin of each probability."""
    return torch.bucketize(claimed.contiguous(), _edges(bins)[1:-1], right=True)
