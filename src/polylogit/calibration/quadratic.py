"""A quadratic map of the log-probabilities, and its fit on held-out rows.

One temperature stretches all log-probabilities alike. A network that was fitted to smoothed labels has learnt that no
class is less probable than a share of the smoothing: its small probabilities are too large, the more so the smaller
they are. No temperature corrects that without making the large probabilities too large.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.calibration.newton import minimise
from polylogit.evaluation.rows import ScoredRows

__all__ = ["QuadraticMap", "fit_quadratic"]


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


def fit_quadratic(rows: ScoredRows, temperature: float) -> QuadraticMap | None:
    """The quadratic map that gives held-out rows the smallest log loss.

    min over a, b of mean -log softmax((a s - b s^2) / T)[target], s = log softmax(z)

    The temperature is kept, so that the two parameters measure the gain beyond it. The scores are linear in them: this
    is softmax regression on two features of each class with shared weights, convex, and solved by Newton's method.

    Args:
        rows: Rows that the network was not fitted to.
        temperature: The best temperature without a quadratic map.

    Returns:
        The map; None where a parameter is not positive, so that the map would not keep the order of the classes.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> truth = 3 * torch.randn(20000, 10, generator=generator, dtype=torch.float64)
        >>> targets = torch.multinomial(truth.softmax(1), 1, generator=generator)[:, 0]
        >>> smoothed = (0.9 * truth.softmax(1) + 0.1 / 10).log()  # what a network learns from smoothed labels
        >>> fit_quadratic(ScoredRows.check(smoothed, targets), 0.7).curvature > 0.1
        True

    Source: Rahimi et al. (2020), Intra Order-Preserving Functions for Calibration of Multi-Class Neural Networks,
        section 4.3 (one increasing function for all classes); two parameters in place of a network.
    """
    scores = rows.logits.log_softmax(dim=1)
    features = torch.stack((scores, -scores.square()), dim=2) / temperature
    own = features.gather(1, rows.targets[:, None, None].expand(-1, 1, 2))[:, 0]
    shares = rows.weights / rows.weights.sum()

    def objective(parameters: Float[Tensor, "2"]) -> float:
        return rows.mean((features @ parameters).logsumexp(dim=1) - own @ parameters)

    def derivatives(parameters: Float[Tensor, "2"]) -> tuple[Float[Tensor, "2"], Float[Tensor, "2 2"]]:
        probabilities = (features @ parameters).softmax(dim=1)
        means = torch.einsum("nk,nkf->nf", probabilities, features)
        around = features - means[:, None]
        weighted = (shares[:, None] * probabilities)[..., None] * around
        return shares @ (means - own), weighted.flatten(0, 1).T @ around.flatten(0, 1)

    slope, curvature = minimise(objective, derivatives, features.new_tensor([1.0, 0.0])).tolist()
    return QuadraticMap(slope, curvature) if slope > 0 and curvature > 0 else None
