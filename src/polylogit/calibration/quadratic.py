"""A quadratic map of the log-probabilities, and its fit on held-out rows.

One temperature stretches all log-probabilities alike. A network that was fitted to smoothed labels has learnt that no
class is less probable than a share of the smoothing: its small probabilities are too large, the more so the smaller
they are. No temperature corrects that without making the large probabilities too large.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.evaluation.metrics import row_losses
from polylogit.evaluation.rows import ScoredRows

__all__ = ["QuadraticFit", "QuadraticMap", "fit_quadratic"]

TOLERANCE = 1e-12
MOST_STEPS = 50
ERRORS_OF_GAIN = 2  # docs/log.md tells how it was chosen


@dataclass(frozen=True)
class QuadraticMap:
    """The map s -> slope * s - curvature * s^2 of log-probabilities s. It rises wherever s <= 0: the order stays.

    Attributes:
        slope: Positive.
        curvature: Positive: small probabilities become smaller still.

    Example:
        >>> QuadraticMap(slope=1.0, curvature=0.2).apply(torch.tensor([[0.9, 0.1]]).log()).softmax(dim=1)
        tensor([[0.9629, 0.0371]])
    """

    slope: float
    curvature: float

    def apply(self, logits: Float[Tensor, "N K"]) -> Float[Tensor, "N K"]:
        """Logits whose log-probabilities have gone through the map, up to a constant for each row."""
        scores = logits.log_softmax(dim=1)
        return scores * (self.slope - self.curvature * scores)

    def formula(self) -> str:
        """The map with its numbers, as in "0.25 s - 0.20 s²"."""
        return f"{self.slope:.2f} s - {self.curvature:.2f} s²"

    def in_words(self) -> str:
        """One sentence for a reader of the report."""
        return (
            f"The log-probabilities s become {self.formula()}, because the network leaves too much probability to "
            "unlikely classes."
        )


@dataclass(frozen=True)
class QuadraticFit:
    """A fitted quadratic map and its evidence.

    Attributes:
        quadratic: None where it is not accepted.
        gain: Fall of the log loss of the held-out rows, beyond what the best temperature alone gives, in nats.
        gain_error: Standard error of the gain.
    """

    quadratic: QuadraticMap | None
    gain: float
    gain_error: float


def fit_quadratic(rows: ScoredRows, temperature: float) -> QuadraticFit:
    """The quadratic map that gives held-out rows the smallest log loss.

    min over a, b of mean -log softmax((a s - b s^2) / T)[target], s = log softmax(z)

    The temperature is kept, so that the two parameters measure the gain beyond it. The scores are linear in them: this
    is softmax regression on two features of each class with shared weights, convex, and solved by Newton's method. The
    map is accepted if both parameters are positive and the gain exceeds two standard errors.

    Args:
        rows: Rows that the network was not fitted to.
        temperature: The best temperature without a quadratic map.

    Returns:
        The map, or None in its place, and the gain.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> truth = 3 * torch.randn(20000, 10, generator=generator, dtype=torch.float64)
        >>> targets = torch.multinomial(truth.softmax(1), 1, generator=generator)[:, 0]
        >>> smoothed = (0.9 * truth.softmax(1) + 0.1 / 10).log()  # what a network learns from smoothed labels
        >>> fit_quadratic(ScoredRows.check(truth, targets), 1.0).quadratic is None
        True
        >>> fit_quadratic(ScoredRows.check(smoothed, targets), 0.7).quadratic.curvature > 0.1
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
    quadratic = QuadraticMap(slope, curvature)
    alone, mapped = (rows.with_logits(logits / temperature) for logits in (rows.logits, quadratic.apply(rows.logits)))
    gain, gain_error = rows.mean_and_error(row_losses(alone) - row_losses(mapped))
    accepted = slope > 0 and curvature > 0 and gain > ERRORS_OF_GAIN * gain_error
    return QuadraticFit(quadratic if accepted else None, gain, gain_error)


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
