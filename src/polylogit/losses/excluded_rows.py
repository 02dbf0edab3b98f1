"""Rows that take no part in a loss: they add 0 to its value and to its gradient, whatever their scores are."""

import math

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from polylogit.losses.arithmetic import least
from polylogit.system.tensor_values import runs_plainly

__all__ = ["are_finite", "may_have_ignored", "replace_excluded"]


def replace_excluded(
    scores: Float[Tensor, "..."], excluded: Bool[Tensor, "..."] | None, axis: int | None, value: float
) -> Float[Tensor, "..."]:
    """Put a harmless number in place of the scores of excluded rows.

    The gradient of log-softmax is 0 * NaN = NaN in a row whose scores are NaN, +inf or all -inf, even where nothing
    is asked of that row (pytorch/pytorch#11551). On a CPU, scores that need no replacement are returned as they are.

    Args:
        scores: (N, K), (N, K, d1, ...) or (K,).
        excluded: True for rows that are left out, with the scores' shape less the class axis; None: there are none.
        axis: The class axis; None: the mask has the scores' shape.
        value: What to put there.

    Returns:
        The scores, of which excluded rows are constant.

    Example:
        >>> replace_excluded(torch.tensor([[1.0, 2.0], [torch.nan, 1.0]]), torch.tensor([False, True]), 1, 0.0)
        tensor([[1., 2.],
                [0., 0.]])
    """
    if excluded is None:
        return scores
    if scores.is_cpu and runs_plainly(scores, excluded) and (not bool(excluded.any()) or are_finite(scores)):
        return scores
    return scores.masked_fill(excluded if axis is None else excluded.unsqueeze(axis), value)


def are_finite(scores: Float[Tensor, "..."]) -> bool:
    """Whether the sum of the scores is finite: one pass, and False where finite numbers have a sum that is not."""
    return math.isfinite(scores.detach().sum(dtype=torch.float64 if scores.dtype is torch.float64 else None).item())


def may_have_ignored(indices: Shaped[Tensor, "..."], ignore_index: int) -> bool:
    """Whether a class index may be ignore_index; with a negative one, any negative index makes this True."""
    if indices.numel() == 0:
        return False
    return least(indices) < 0 if ignore_index < 0 else bool((indices == ignore_index).any())
