"""A least probability for every class, for a classifier that is now and then very sure and wrong.

Owns its fit together with the temperature, and the judgement whether it is worth having. One temperature has to choose:
sharp enough for the many rows, or soft enough for the few sure mistakes. The log loss makes it choose the few, and then
all other probabilities are too low. A floor takes care of the few and leaves the temperature to the many.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.calibration.temperature import best_sharpness
from polylogit.evaluation.metrics import row_losses
from polylogit.evaluation.rows import ScoredRows

__all__ = ["FloorFit", "fit_floor", "with_floor"]

START = 0.01
LEAST = 1e-6
TOLERANCE = 1e-9
MOST_STEPS = 100


@dataclass(frozen=True)
class FloorFit:
    """A floor, the temperature that goes with it, and what they rest on.

    Attributes:
        temperature: What the logits are to be divided by.
        floor: The share of the probability that is spread over all classes; 0 where it is not worth having.
        gain: Fall of the log loss of the held-out rows, beyond what the best temperature alone gives, in nats.
        gain_error: Standard error of the gain.
    """

    temperature: float
    floor: float
    gain: float
    gain_error: float


def with_floor(logits: Float[Tensor, "N K"], floor: float) -> Float[Tensor, "N K"]:
    """Logits whose probabilities are (1 - floor) softmax(logits) + floor / K; their order stays.

    Example:
        >>> with_floor(torch.tensor([[50.0, 0.0]]), 0.02).exp()
        tensor([[0.9900, 0.0100]])
    """
    if floor == 0:
        return logits
    least = logits.new_tensor(math.log(floor / logits.shape[1]))
    return torch.logaddexp(logits.log_softmax(dim=1) + math.log1p(-floor), least)


def fit_floor(rows: ScoredRows, temperature: float) -> FloorFit:
    """The floor and the temperature that together give held-out rows the smallest log loss.

    min over T > 0, 0 <= f < 1 of mean -log((1 - f) softmax(z / T)[target] + f / K)

    By expectation and maximisation: each row's loss is shared between the two parts, f is the floor's mean share, and T
    the best temperature of rows that weigh what is left to them. The floor is taken where it lowers the log loss by
    more than the standard error of that; for one number more this is the likelihood ratio test at two deviations.

    Args:
        rows: Rows that the network was not fitted to.
        temperature: The best temperature without a floor.

    Returns:
        Both, or the temperature that came and a floor of 0.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> logits = 4 * torch.randn(40000, 4, generator=generator)
        >>> targets = torch.multinomial(with_floor(logits, 0.04).exp(), 1, generator=generator)[:, 0]
        >>> fit = fit_floor(ScoredRows.check(logits, targets), 1.2)
        >>> round(fit.temperature, 1), round(fit.floor, 2)
        (1.0, 0.04)

    Source: Zhang, Kailkhura and Han (2020), Mix-n-Match, section 4.1 (ensemble temperature scaling).
    """
    classes = rows.logits.shape[1]
    sharpness, floor, loss = 1 / temperature, START, math.inf
    for _ in range(MOST_STEPS):
        claimed = (1 - floor) * _own(rows, sharpness)
        total = claimed + floor / classes
        if loss - (loss := rows.mean(-total.log())) < TOLERANCE or floor < LEAST:
            break
        share = claimed / total
        floor = rows.mean(1 - share)
        counted = share > 0
        sharpness = best_sharpness(
            ScoredRows(rows.logits[counted], rows.targets[counted], (rows.weights * share)[counted]), start=sharpness
        )
    alone = rows.with_logits(rows.logits / temperature)
    mixed = rows.with_logits(with_floor(rows.logits * sharpness, floor))
    gain, gain_error = rows.mean_and_error(row_losses(alone) - row_losses(mixed))
    if gain <= gain_error or floor < LEAST:
        return FloorFit(temperature, 0.0, gain, gain_error)
    return FloorFit(1 / sharpness, floor, gain, gain_error)


def _own(rows: ScoredRows, sharpness: float) -> Float[Tensor, " N"]:
    """The probability of each row's own class without a floor."""
    return (rows.logits * sharpness).softmax(dim=1).gather(1, rows.targets[:, None])[:, 0]
