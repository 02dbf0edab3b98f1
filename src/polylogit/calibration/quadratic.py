"""A bend in the log-probabilities, for a network that leaves too much, or too little, to the improbable classes.

Owns its fit, and the judgement whether it is worth having. One temperature stretches all log-probabilities alike. A
network that was fitted to smoothed labels was taught that no class is less probable than a share of the smoothing: its
small probabilities are too large, by more the smaller they are, and no temperature mends that without making the
large ones too large.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.evaluation.metrics import row_losses
from polylogit.evaluation.rows import ScoredRows

__all__ = ["Curve", "CurveFit", "fit_curve", "with_curve"]

TOLERANCE = 1e-12
MOST_STEPS = 50
ERRORS_OF_GAIN = 2  # docs/log.md tells how it was chosen


@dataclass(frozen=True)
class Curve:
    """What log-probabilities become: slope * s - curvature * s^2. It rises wherever s <= 0, so no answer changes.

    Attributes:
        slope: Positive; 1 together with a curvature of 0 changes nothing.
        curvature: Positive: small probabilities become smaller still.
    """

    slope: float
    curvature: float


@dataclass(frozen=True)
class CurveFit:
    """A curve, and what it rests on.

    Attributes:
        curve: None where it is not worth having.
        gain: Fall of the log loss of the held-out rows, beyond what the best temperature alone gives, in nats.
        gain_error: Standard error of the gain.
    """

    curve: Curve | None
    gain: float
    gain_error: float


def with_curve(logits: Float[Tensor, "N K"], curve: Curve | None) -> Float[Tensor, "N K"]:
    """Logits whose log-probabilities went through the curve, up to a constant for each row; their order stays.

    z'[k] = slope * s[k] - curvature * s[k]^2, s = log softmax(z)

    Example:
        >>> with_curve(torch.tensor([[0.9, 0.1]]).log(), Curve(slope=1.0, curvature=0.2)).softmax(dim=1)
        tensor([[0.9629, 0.0371]])
    """
    if curve is None:
        return logits
    scores = logits.log_softmax(dim=1)
    return scores * (curve.slope - curve.curvature * scores)


def fit_curve(rows: ScoredRows, temperature: float) -> CurveFit:
    """The curve that gives held-out rows the smallest log loss.

    min over a, b of mean -log softmax((a s - b s^2) / T)[target], s = log softmax(z)

    The temperature stays, so that the two numbers tell what the curve does beyond it. The scores are linear in them:
    this is softmax regression on two features of each class with shared weights, convex, and solved by Newton's
    method. The curve is taken where both numbers are positive and the log loss falls by more than two standard errors
    of that.

    Args:
        rows: Rows that the network was not fitted to.
        temperature: The best temperature without a curve.

    Returns:
        The curve, or None in its place, and the gain.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> truth = 3 * torch.randn(20000, 10, generator=generator, dtype=torch.float64)
        >>> targets = torch.multinomial(truth.softmax(1), 1, generator=generator)[:, 0]
        >>> smoothed = (0.9 * truth.softmax(1) + 0.1 / 10).log()  # what a network learns from smoothed labels
        >>> fit_curve(ScoredRows.check(truth, targets), 1.0).curve is None
        True
        >>> fit_curve(ScoredRows.check(smoothed, targets), 0.7).curve.curvature > 0.1
        True

    Source: Rahimi et al. (2020), Intra Order-Preserving Functions for Calibration of Multi-Class Neural Networks,
        section 4.3 (one increasing function for all classes); two numbers in place of a network.
    """
    scores = rows.logits.log_softmax(dim=1)
    features = torch.stack((scores, -scores.square()), dim=2) / temperature
    own = features.gather(1, rows.targets[:, None, None].expand(-1, 1, 2))[:, 0]

    def loss(numbers: Float[Tensor, "2"]) -> float:
        return rows.mean((features @ numbers).logsumexp(dim=1) - own @ numbers)

    numbers = features.new_tensor([1.0, 0.0])
    least = loss(numbers)
    for _ in range(MOST_STEPS):
        step, fall = _newton_step(features, own, rows.weights, numbers)
        length = 1.0
        while not (shorter := loss(numbers - length * step)) <= least - 1e-4 * length * fall and length > TOLERANCE:
            length /= 2
        if not least - shorter > TOLERANCE:
            break
        numbers, least = numbers - length * step, shorter
    slope, curvature = numbers.tolist()
    curve = Curve(slope, curvature)
    alone, curved = (rows.with_logits(logits / temperature) for logits in (rows.logits, with_curve(rows.logits, curve)))
    gain, gain_error = rows.mean_and_error(row_losses(alone) - row_losses(curved))
    worth_having = slope > 0 and curvature > 0 and gain > ERRORS_OF_GAIN * gain_error
    return CurveFit(curve if worth_having else None, gain, gain_error)


def _newton_step(
    features: Float[Tensor, "N K 2"],
    own: Float[Tensor, "N 2"],
    weights: Float[Tensor, " N"],
    numbers: Float[Tensor, "2"],
) -> tuple[Float[Tensor, "2"], float]:
    """Newton's step H^-1 g and g' H^-1 g: g the mean of E_p[f] - f[target], H the mean of Cov_p[f]."""
    probabilities = (features @ numbers).softmax(dim=1)
    shares = weights / weights.sum()
    means = torch.einsum("nk,nkf->nf", probabilities, features)
    gradient = shares @ (means - own)
    around = features - means[:, None]
    hessian = ((shares[:, None] * probabilities)[..., None] * around).flatten(0, 1).T @ around.flatten(0, 1)
    step = torch.linalg.lstsq(hessian, gradient[:, None]).solution[:, 0]
    return step, float(gradient @ step)
