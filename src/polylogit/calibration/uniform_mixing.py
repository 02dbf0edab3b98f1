"""Mixing with the uniform distribution, fitted together with the temperature (ensemble temperature scaling).

One temperature has to suit both the many rows and the few confident mistakes. The log loss makes it suit the mistakes,
and then all other probabilities are too low. A small uniform share limits the cost of the mistakes and leaves the
temperature to the other rows.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.calibration.newton import minimise
from polylogit.evaluation.rows import ScoredRows

__all__ = ["fit_uniform_share", "mix_with_uniform"]

START = 0.01
LEAST_ROWS = 0.1
"""A share of fewer rows than this is none."""


def mix_with_uniform(logits: Float[Tensor, "N K"], share: float) -> Float[Tensor, "N K"]:
    """Logits whose probabilities are (1 - share) softmax(logits) + share / K; their order stays.

    Example:
        >>> mix_with_uniform(torch.tensor([[50.0, 0.0]]), 0.02).exp()
        tensor([[0.9900, 0.0100]])
    """
    if share == 0:
        return logits
    least = logits.new_tensor(math.log(share / logits.shape[1]))
    return torch.logaddexp(logits.log_softmax(dim=1) + math.log1p(-share), least)


def fit_uniform_share(rows: ScoredRows, temperature: float) -> tuple[float, float]:
    """The temperature and the uniform share that together give held-out rows the smallest log loss.

    min over T > 0, 0 <= f < 1 of mean -log((1 - f) softmax(z / T)[target] + f / K)

    The problem is not convex. It is solved by Newton's method in (1/T, f) from the given temperature and a share of
    1 %, with the mean outer product of the rows' gradients where the Hessian is not positive definite.

    Args:
        rows: Rows that the network was not fitted to.
        temperature: The best temperature without mixing.

    Returns:
        The temperature and the share; the given temperature and 0 where no share lowers the log loss.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> logits = 4 * torch.randn(40000, 4, generator=generator)
        >>> targets = torch.multinomial(mix_with_uniform(logits, 0.04).exp(), 1, generator=generator)[:, 0]
        >>> temperature, share = fit_uniform_share(ScoredRows.check(logits, targets), 1.2)
        >>> round(temperature, 1), round(share, 2)
        (1.0, 0.04)

    Source: Zhang, Kailkhura and Han (2020), Mix-n-Match, section 4.1 (ensemble temperature scaling).
    """
    classes, shares = rows.logits.shape[1], rows.weights / rows.weights.sum()
    own = rows.logits.gather(1, rows.targets[:, None])[:, 0]

    def objective(point: Float[Tensor, "2"]) -> float:
        sharpness, share = point.tolist()
        if not (sharpness > 0 and 0 <= share < 1):
            return math.inf
        claimed = (rows.logits * sharpness).log_softmax(dim=1).gather(1, rows.targets[:, None])[:, 0].exp()
        return float(shares @ -((1 - share) * claimed + share / classes).log())

    def derivatives(point: Float[Tensor, "2"]) -> tuple[Float[Tensor, "2"], Float[Tensor, "2 2"]]:
        sharpness, share = point.tolist()
        probabilities = (rows.logits * sharpness).softmax(dim=1)
        mean = (probabilities * rows.logits).sum(dim=1)
        variance = (probabilities * (rows.logits - mean[:, None]).square()).sum(dim=1)
        claimed, margin = probabilities.gather(1, rows.targets[:, None])[:, 0], own - mean
        mixed = (1 - share) * claimed + share / classes
        scores = torch.stack([(1 - share) * claimed * margin, 1 / classes - claimed], dim=1) / mixed[:, None]
        outer = scores.T @ (scores * shares[:, None])
        curved = shares @ ((1 - share) * claimed * (margin.square() - variance) / mixed)
        crossed = shares @ (-claimed * margin / mixed)
        hessian = outer - torch.stack([curved, crossed, crossed, torch.zeros_like(curved)]).reshape(2, 2)
        definite = bool(hessian[0, 0] > 0) and bool(torch.linalg.det(hessian) > 0)
        return -(shares @ scores), hessian if definite else outer

    alone = rows.logits.new_tensor([1 / temperature, 0.0])
    found = minimise(objective, derivatives, rows.logits.new_tensor([1 / temperature, START]))
    sharpness, share = found.tolist()
    if share * rows.effective_rows < LEAST_ROWS or objective(found) >= objective(alone):
        return temperature, 0.0
    return 1 / sharpness, share
