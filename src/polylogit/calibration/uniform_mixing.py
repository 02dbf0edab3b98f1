"""Mixing with the uniform distribution, fitted together with the temperature (ensemble temperature scaling).

One temperature has to suit both the many rows and the few confident mistakes. The log loss makes it suit the mistakes,
and then all other probabilities are too low. A small uniform share limits the cost of the mistakes and leaves the
temperature to the other rows.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.calibration.temperature import best_sharpness
from polylogit.evaluation.metrics import row_losses
from polylogit.evaluation.rows import ScoredRows

__all__ = ["MixingFit", "fit_uniform_share", "mix_with_uniform"]

START = 0.01
LEAST = 1e-6
TOLERANCE = 1e-9
MOST_STEPS = 100


@dataclass(frozen=True)
class MixingFit:
    """A uniform share, the temperature that goes with it, and their evidence.

    Attributes:
        temperature: Divisor of the logits.
        uniform_share: Share of the probability that is spread evenly over all classes; 0 where it is not accepted.
        gain: Fall of the log loss of the held-out rows, beyond what the best temperature alone gives, in nats.
        gain_error: Standard error of the gain.
    """

    temperature: float
    uniform_share: float
    gain: float
    gain_error: float


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


def fit_uniform_share(rows: ScoredRows, temperature: float) -> MixingFit:
    """The uniform share and the temperature that together give held-out rows the smallest log loss.

    min over T > 0, 0 <= f < 1 of mean -log((1 - f) softmax(z / T)[target] + f / K)

    Solved by expectation maximisation: each row is divided between the two components, f is the mean share of the
    uniform one, and T the best temperature of rows weighted by the other. The share is accepted if the gain exceeds its
    standard error.

    Args:
        rows: Rows that the network was not fitted to.
        temperature: The best temperature without mixing.

    Returns:
        Both, or the given temperature and a share of 0.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> logits = 4 * torch.randn(40000, 4, generator=generator)
        >>> targets = torch.multinomial(mix_with_uniform(logits, 0.04).exp(), 1, generator=generator)[:, 0]
        >>> fit = fit_uniform_share(ScoredRows.check(logits, targets), 1.2)
        >>> round(fit.temperature, 1), round(fit.uniform_share, 2)
        (1.0, 0.04)

    Source: Zhang, Kailkhura and Han (2020), Mix-n-Match, section 4.1 (ensemble temperature scaling).
    """
    classes = rows.logits.shape[1]
    sharpness, share, loss = 1 / temperature, START, math.inf
    for _ in range(MOST_STEPS):
        claimed = (1 - share) * _own(rows, sharpness)
        total = claimed + share / classes
        if loss - (loss := rows.mean(-total.log())) < TOLERANCE or share < LEAST:
            break
        responsibility = claimed / total
        share = rows.mean(1 - responsibility)
        counted = responsibility > 0
        sharpness = best_sharpness(
            ScoredRows(rows.logits[counted], rows.targets[counted], (rows.weights * responsibility)[counted]),
            start=sharpness,
        )
    alone = rows.with_logits(rows.logits / temperature)
    mixed = rows.with_logits(mix_with_uniform(rows.logits * sharpness, share))
    gain, gain_error = rows.mean_and_error(row_losses(alone) - row_losses(mixed))
    if gain <= gain_error or share < LEAST:
        return MixingFit(temperature, 0.0, gain, gain_error)
    return MixingFit(1 / sharpness, share, gain, gain_error)


def _own(rows: ScoredRows, sharpness: float) -> Float[Tensor, " N"]:
    """The probability of each row's own class without mixing."""
    return (rows.logits * sharpness).softmax(dim=1).gather(1, rows.targets[:, None])[:, 0]
