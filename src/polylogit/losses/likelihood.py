"""Negative log-likelihood: what the multi-class losses have in common once log-probabilities are there.

Owns the checks, the loss per example and its weighing, for resolved targets and log-probabilities (or probabilities,
whose log is taken only where it is needed). Does not own the way from logits to log-probabilities.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from polylogit.losses.arithmetic import product
from polylogit.losses.reduction import Reduction, check_reduction, check_share, reduce_losses
from polylogit.losses.targets import (
    broadcast_sample_weight,
    check_class_weight,
    check_sample_weight,
    check_targets,
    class_axis,
    resolve_targets,
    weights_of,
)

__all__ = ["Options", "negative_log_likelihood", "weighted_on_cpu"]


class Options(NamedTuple):
    """The options of a multi-class loss, as `cross_entropy_with_logits` documents them."""

    class_weight: Tensor | None
    sample_weight: Tensor | None
    ignore_index: int
    label_smoothing: float
    reduction: Reduction
    validate: bool


def negative_log_likelihood(
    scores: Float[Tensor, "..."],
    targets: Shaped[Tensor, "..."],
    options: Options,
    *,
    probabilities: bool = False,
) -> Float[Tensor, "..."]:
    """Check, compute the loss per example, weigh and reduce.

    loss_n = -sum_k class_weight[k] * t[n, k] * log p[n, k],   t = (1 - s) * targets + s / K

    Args:
        scores: Log-probabilities, or probabilities where so said; float32 or wider.
        targets: Any of the forms in `targets`.
        options: The caller's options.
        probabilities: The scores are probabilities.

    Returns:
        A scalar, or one weighted loss per example.

    Raises:
        ScoreError: An option or a target does not hold.
    """
    check_reduction(options.reduction)
    check_share("label_smoothing", options.label_smoothing)
    resolved = resolve_targets(targets, scores.shape)
    axis = class_axis(scores.shape)
    if options.class_weight is not None:
        check_class_weight(options.class_weight, scores.shape[axis])
        options = options._replace(class_weight=options.class_weight.to(scores.dtype))
    readable = options.validate and not torch.compiler.is_compiling()
    if readable and (resolved.dtype.is_floating_point or not scores.is_cpu):
        check_targets(resolved, axis, scores.shape[axis], options.ignore_index)

    if resolved.dtype.is_floating_point:
        losses = _of_soft_rows(scores, resolved.to(scores.dtype), options, probabilities=probabilities)
    else:
        try:
            losses = _of_indices(scores, resolved, options, probabilities=probabilities)
        except (IndexError, RuntimeError):
            # On a CPU picking the scores looks at each index, so that a check beforehand would be a second look.
            if readable:
                check_targets(resolved, axis, scores.shape[axis], options.ignore_index)
            raise
    sample_weight = options.sample_weight
    if sample_weight is not None:
        if readable:
            check_sample_weight(sample_weight)
        sample_weight = sample_weight.to(losses.dtype)
        losses = product(broadcast_sample_weight(sample_weight, losses.shape), losses)
    if options.reduction == "none":
        return losses
    weights = weights_of(resolved, axis, options.class_weight, sample_weight, options.ignore_index)
    return reduce_losses(losses, weights, options.reduction)


def weighted_on_cpu(losses: Tensor, weight: Tensor, resolved: Tensor, axis: int, options: Options) -> Tensor | None:
    """Sample weights on losses that a kernel gave, by plain products; None where these are not a number (0 * inf).

    Args:
        losses: Per example, with class weights in them.
        weight: Sample weights.
        resolved: Targets as `resolve_targets` gives them.
        axis: The class axis of the scores.
        options: The caller's options.
    """
    check_reduction(options.reduction)
    if options.validate:
        check_sample_weight(weight)
    weight = broadcast_sample_weight(weight.to(losses.dtype), losses.shape)
    weighted = weight * losses
    total = weighted.sum()
    if math.isnan(total.item()):
        return None
    if options.reduction == "none":
        return weighted
    if options.reduction == "sum":
        return total
    divisor = weights_of(resolved, axis, options.class_weight, weight, options.ignore_index).sum()
    return total / divisor if divisor.item() else total * 0


def _of_soft_rows(scores: Tensor, rows: Tensor, options: Options, *, probabilities: bool) -> Tensor:
    """-sum_k w_k t_k log p_k, where t is the smoothed row."""
    axis = class_axis(scores.shape)
    if options.label_smoothing:
        rows = (1 - options.label_smoothing) * rows + options.label_smoothing / scores.shape[axis]
    if options.class_weight is not None:
        rows = rows * _along(options.class_weight, axis, scores.dim())
    if probabilities:
        # Where p = 0 has no target mass its log stays out of the gradient too, not only out of the sum.
        scores = scores.masked_fill((scores == 0) & (rows == 0), 1).log()
    return -product(rows, scores).sum(axis)


def _of_indices(scores: Tensor, indices: Tensor, options: Options, *, probabilities: bool) -> Tensor:
    """-(1 - s) w_y log p_y - s / K sum_k w_k log p_k, and 0 for ignored rows."""
    axis = class_axis(scores.shape)
    skip = indices == options.ignore_index
    safe = indices.masked_fill(skip, 0)
    chosen = scores.gather(axis, safe.unsqueeze(axis)).squeeze(axis)
    if probabilities:
        chosen = chosen.masked_fill(skip, 1).log()
    weight = options.class_weight
    losses = -chosen if weight is None else -product(weight[safe], chosen)
    if options.label_smoothing:
        log_probabilities = scores.log() if probabilities else scores
        if weight is not None:
            log_probabilities = product(_along(weight, axis, scores.dim()), log_probabilities)
        spread = log_probabilities.sum(axis) * (options.label_smoothing / scores.shape[axis])
        losses = (1 - options.label_smoothing) * losses - spread
    return losses.masked_fill(skip, 0)


def _along(class_weight: Tensor, axis: int, axes: int) -> Tensor:
    """Lay (K,) along the class axis of scores with this many axes."""
    return class_weight.reshape([-1 if number == axis else 1 for number in range(axes)])
