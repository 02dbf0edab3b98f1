"""Reduction of losses per row to one number."""

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.errors import ScoreError, did_you_mean

__all__ = ["NUMBERS", "Reduction", "check_reduction", "check_share", "reduce_losses", "weighted_mean"]

Reduction = Literal["none", "sum", "mean"]
_WORDS = get_args(Reduction)
NUMBERS: dict[Reduction, int] = {"none": 0, "mean": 1, "sum": 2}  # as PyTorch's operators number them


def check_reduction(reduction: str) -> None:
    """Raise ScoreError where the reduction is not one of "none", "sum" and "mean"."""
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

    Where every row is ignored or has weight 0, or there is no row, the mean is 0 and so is its gradient. (PyTorch gives
    NaN, which then spreads through the parameters.)

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
    """Reduce losses that are multiplied by their weights already.

    Args:
        losses: Weighted losses per row.
        weights: The weights in them, same shape.
        reduction: "none", "sum", or "mean" (sum of losses over sum of weights).

    Returns:
        The losses, or a scalar.
    """
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    return weighted_mean(losses.sum(), weights.sum())
