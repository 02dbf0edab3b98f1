"""From losses per example to one number.

Owns the one reduction that every loss here shares, and its rule for the mean of nothing. Does not own what an example's
loss or weight is.
"""

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.errors import ScoreError, did_you_mean

__all__ = ["Reduction", "check_reduction", "check_share", "reduce_losses", "weighted_mean"]

Reduction = Literal["none", "sum", "mean"]
_WORDS = get_args(Reduction)


def check_reduction(reduction: str) -> None:
    """Raise ScoreError where the word is not one of "none", "sum" and "mean"."""
    if reduction not in _WORDS:
        hint = did_you_mean(str(reduction), _WORDS)
        raise ScoreError(f'reduction: expected "none", "sum" or "mean", got {reduction!r}.{hint}')


def check_share(name: str, share: float) -> None:
    """Raise ScoreError where a share is outside 0 to 1."""
    if not 0.0 <= share <= 1.0:
        raise ScoreError(f"{name}: expected a share from 0 to 1, got {share}.")


def weighted_mean(total: Float[Tensor, ""], weight: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """Sum of weighted losses over sum of weights, and 0 for the mean of nothing.

    mean = total / weight,   0 where weight is 0

    Where every row is ignored, or weighs nothing, or there is no row, there is nothing to learn from: the mean is 0 and
    so is its gradient. (PyTorch gives NaN, which then spreads through the parameters.)

    Args:
        total: Sum of weighted losses, a scalar.
        weight: Sum of weights, a scalar.

    Returns:
        The mean, a scalar on the graph of `total`.

    Example:
        >>> weighted_mean(torch.tensor(6.0), torch.tensor(4.0))
        tensor(1.5000)
        >>> weighted_mean(torch.tensor(0.0), torch.tensor(0.0))
        tensor(0.)
    """
    return total / torch.where(weight == 0, 1, weight)


def reduce_losses(
    losses: Float[Tensor, "..."], weights: Float[Tensor, "..."], reduction: Reduction
) -> Float[Tensor, "..."]:
    """Reduce losses that are weighted already.

    Args:
        losses: Weighted losses per example.
        weights: The weights that stand in them, same shape.
        reduction: "none", "sum", or "mean" (sum of losses over sum of weights).

    Returns:
        The losses, or a scalar.
    """
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    return weighted_mean(losses.sum(), weights.sum())
