"""Smooth calibration error of the predicted class: no bins, with an interval and what calibrated scores would show."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.evaluation.rows import ScoredRows

__all__ = ["SmoothCalibration", "smooth_calibration"]

POINTS = 256
RESAMPLES = 200
SEED = 0


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
    probabilities, all with the kernel width of the rows themselves and a fixed seed.

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

    def binned(values: Float[Tensor, "B N"]) -> Float[Tensor, "B points"]:
        return values.new_zeros(len(values), POINTS).index_add_(1, place, values)

    own = binned((shares * residuals)[None])
    width = _fixed_point(own)
    error = float(_error(own, width))
    generator = torch.Generator().manual_seed(SEED)
    resampled, drawn = [], []
    for _ in range(RESAMPLES):
        counts = torch.bincount(torch.randint(len(top), (len(top),), generator=generator), minlength=len(top)).double()
        weights = shares * counts
        resampled.append(binned((weights / weights.sum() * residuals)[None]))
        hits = (torch.rand(len(top), generator=generator, dtype=torch.float64) < top).double()
        drawn.append(binned((shares * (hits - top))[None]))
    spread = _error(torch.cat(resampled), width).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    limit = float(_error(torch.cat(drawn), width).quantile(0.95))
    return SmoothCalibration(
        error=error,
        interval=(max(0.0, min(error, 2 * error - spread[1])), max(error, 2 * error - spread[0])),
        limit_if_calibrated=limit,
        overconfidence=-rows.mean(residuals),
    )


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
