"""Smooth calibration error of the predicted class: no bins, with an interval and what calibrated scores would show."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.evaluation.rows import ScoredRows

__all__ = ["SmoothCalibration", "smooth_calibration"]

POINTS = 256
RESAMPLES = 200
SEED = 0

ROWS_DRAWN_ONE_BY_ONE = 100_000
"""With more rows what is drawn is not the rows but the sums at each point, which are then close to normal."""


@dataclass(frozen=True)
class SmoothCalibration:
    """The smooth calibration error, and how far these rows determine it.

    Attributes:
        error: Smooth calibration error (smECE), 0 (best) to 1.
        interval: 95 % bootstrap interval of the error.
        limit_if_calibrated: The error that perfectly calibrated probabilities stay below on 95 % of such sets of rows.
        overconfidence: Mean top probability minus accuracy; positive: overconfident.
    """

    error: float
    interval: tuple[float, float]
    limit_if_calibrated: float
    overconfidence: float

    @property
    def miscalibrated(self) -> bool:
        """Whether the error is larger than chance explains."""
        return self.error > self.limit_if_calibrated

    def verdict(self) -> str:
        """What follows from the interval, in one sentence."""
        if not self.miscalibrated:
            return (
                f"These rows show no miscalibration: the smooth calibration error is {self.error:.4f}, and perfectly "
                f"calibrated probabilities stay below {self.limit_if_calibrated:.4f} on 95% of such sets of rows."
            )
        direction = "overconfident" if self.overconfidence > 0 else "underconfident"
        low, high = self.interval
        return (
            f"The probabilities are miscalibrated, on average {direction} by {abs(self.overconfidence):.4f}: the "
            f"smooth calibration error is {self.error:.4f} (95% interval {low:.4f} to {high:.4f}), and perfectly "
            f"calibrated probabilities stay below {self.limit_if_calibrated:.4f} on 95% of such sets of rows."
        )


def smooth_calibration(rows: ScoredRows) -> SmoothCalibration:
    """Smooth calibration error of the probability of the predicted class.

    smECE(s) = integral over t in [0, 1] of |mean over rows of (hit - p) K_s(t, p)|, at the s where smECE(s) = s; K_s is
    the Gaussian kernel of width s reflected at 0 and 1. Probabilities are rounded to 256 points. The interval is that
    of 200 bootstrap resamples of the rows (basic bootstrap), the limit that of 200 draws of hits from the
    probabilities, all with the kernel width of the rows themselves and a fixed seed. With more than 100,000 rows the
    sums of residuals at the points are drawn, from normal distributions of the same mean and variance, so that the
    time does not grow with 200 times the rows.

    Args:
        rows: Scored rows.

    Returns:
        The error with its interval and its limit under calibration.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> logits = torch.randn(3000, 3, generator=generator)
        >>> targets = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
        >>> smooth_calibration(ScoredRows.check(logits, targets)).miscalibrated
        False
        >>> found = smooth_calibration(ScoredRows.check(3 * logits, targets))
        >>> found.miscalibrated, found.overconfidence > 0.1
        (True, True)

    Source: Blasiok and Nakkiran (2023), Smooth ECE: Principled Reliability Diagrams via Kernel Smoothing,
        arXiv 2309.12236, definition 1 and section 3; the draws under calibration as in Broecker and Smith (2007),
        Increasing the Reliability of Reliability Diagrams.
    """
    top = rows.probabilities.max(dim=1).values
    place = (top * POINTS).long().clamp(max=POINTS - 1)
    shares = rows.weights / rows.weights.sum()
    residuals = rows.hits - top

    own = _binned(shares * residuals, place)[None]
    width = _fixed_point(own)
    error = float(_error(own, width))
    draws = _draws_of_sums if len(top) > ROWS_DRAWN_ONE_BY_ONE else _draws_of_rows
    resampled, drawn = draws(top, residuals, shares, place)
    spread = _error(resampled, width).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    limit = float(_error(drawn, width).quantile(0.95))
    return SmoothCalibration(
        error=error,
        interval=(max(0.0, min(error, 2 * error - spread[1])), max(error, 2 * error - spread[0])),
        limit_if_calibrated=limit,
        overconfidence=-rows.mean(residuals),
    )


def _binned(values: Float[Tensor, " N"], place: Int[Tensor, " N"]) -> Float[Tensor, " points"]:
    """The sum of the values at each point."""
    return values.new_zeros(POINTS).index_add_(0, place, values)


def _draws_of_rows(
    top: Float[Tensor, " N"], residuals: Float[Tensor, " N"], shares: Float[Tensor, " N"], place: Int[Tensor, " N"]
) -> tuple[Float[Tensor, "B points"], Float[Tensor, "B points"]]:
    """Sums of residuals at each point: of bootstrap resamples, and of hits drawn from the probabilities."""
    generator = torch.Generator().manual_seed(SEED)
    resampled, drawn = [], []
    for _ in range(RESAMPLES):
        counts = torch.bincount(torch.randint(len(top), (len(top),), generator=generator), minlength=len(top)).double()
        weights = shares * counts
        resampled.append(_binned(weights / weights.sum() * residuals, place))
        hits = (torch.rand(len(top), generator=generator, dtype=torch.float64) < top).double()
        drawn.append(_binned(shares * (hits - top), place))
    return torch.stack(resampled), torch.stack(drawn)


def _draws_of_sums(
    top: Float[Tensor, " N"], residuals: Float[Tensor, " N"], shares: Float[Tensor, " N"], place: Int[Tensor, " N"]
) -> tuple[Float[Tensor, "B points"], Float[Tensor, "B points"]]:
    """`_draws_of_rows` for very many rows: normal sums, with the mean and the variance that those have."""
    generator = torch.Generator().manual_seed(SEED)
    noise = torch.randn(2, RESAMPLES, POINTS, generator=generator, dtype=torch.float64)
    of_resamples = _binned((shares * residuals).square(), place).sqrt()
    of_hits = _binned(shares.square() * top * (1 - top), place).sqrt()
    return _binned(shares * residuals, place) + noise[0] * of_resamples, noise[1] * of_hits


def _error(binned: Float[Tensor, "B points"], width: float) -> Float[Tensor, " B"]:
    """The integral of the smoothed residuals' absolute value, for residuals summed at each point."""
    points = (torch.arange(POINTS, dtype=torch.float64) + 0.5) / POINTS
    kernel = torch.zeros(POINTS, POINTS, dtype=torch.float64)
    for image in (points, -points, 2 - points):
        kernel += torch.exp(-0.5 * ((points[:, None] - image) / width).square())
    kernel /= kernel.sum(dim=0)
    return (binned @ kernel.T).abs().sum(dim=1)


def _fixed_point(binned: Float[Tensor, "1 points"]) -> float:
    """The width at which the error equals the width; the error falls as the width grows, so bisection finds it."""
    low, high = 1 / POINTS, 1.0
    for _ in range(12):
        middle = math.sqrt(low * high)
        if float(_error(binned, middle)) > middle:
            low = middle
        else:
            high = middle
    return high
