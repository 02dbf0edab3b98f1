"""Negative log-likelihood: the checks, the loss per row and its weights, which all losses over a class axis share."""

from collections.abc import Callable

from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from polylogit.losses.arithmetic import product
from polylogit.losses.excluded_rows import replace_excluded
from polylogit.losses.options import Options, checks_values, count_checked_batch
from polylogit.losses.picked import are_distributions, sample_of
from polylogit.losses.reduction import check_reduction, check_share, reduce_losses
from polylogit.losses.target_checks import check_rows, check_targets
from polylogit.losses.targets import class_axis, resolve_targets
from polylogit.losses.weights import broadcast_sample_weight, check_class_weight, check_sample_weight, weights_of

__all__ = ["negative_log_likelihood"]


def negative_log_likelihood(
    scores: Float[Tensor, "..."],
    targets: Shaped[Tensor, "..."],
    options: Options,
    *,
    to_log_probabilities: Callable[[Tensor, int], Tensor] | None = None,
    elementwise: Callable[[Tensor], Tensor] | None = None,
    probability_tolerance: float | None = None,
) -> Float[Tensor, "..."]:
    """Check the arguments, compute the loss per row, multiply by the weights and reduce.

    loss_n = -sum_k class_weight[k] * t[n, k] * log p[n, k],   t = (1 - s) * targets + s / K

    Everything here can be traced and differentiated by every transform of PyTorch. Losses of tensors on a CPU come
    here where a faster kernel of PyTorch has another meaning (see `cpu_losses`).

    Args:
        scores: Log-probabilities, float32 or wider; or what `to_log_probabilities` makes them from; or probabilities.
        targets: Any of the forms in `targets`.
        options: The caller's options, with weights as tensors.
        to_log_probabilities: Takes scores and the class axis.
        elementwise: Applied to the log-probabilities that are used; only without label smoothing and for logits.
        probability_tolerance: Given where the scores are probabilities, whose log is taken only where it is needed: how
            far the sum of a row may be from 1.

    Returns:
        A scalar, or one weighted loss per row.

    Raises:
        ScoreError: An option or a target is wrong.
    """
    probabilities = probability_tolerance is not None
    check_reduction(options.reduction)
    check_share("label_smoothing", options.label_smoothing)
    resolved = resolve_targets(targets, scores.shape)
    axis = class_axis(scores.shape)
    per_row = scores.shape[:axis] + scores.shape[axis + 1 :]
    class_weight, sample_weight = options.class_weight, options.sample_weight
    if class_weight is not None:
        check_class_weight(class_weight, scores.shape[axis])
        options = options._replace(class_weight=class_weight.to(scores.dtype))
    if checks_values(options.validate, scores, targets, sample_weight):
        if probability_tolerance is not None:
            _check_probabilities(scores, axis, probability_tolerance)
        check_targets(resolved, axis, scores.shape[axis], options.ignore_index)
        if sample_weight is not None:
            check_sample_weight(sample_weight)
        count_checked_batch(options.validate, scores, targets, sample_weight)
    if sample_weight is not None:
        sample_weight = broadcast_sample_weight(sample_weight, per_row).to(scores.dtype)

    excluded = _excluded(resolved, sample_weight, options.ignore_index)
    scores = replace_excluded(scores, excluded, axis, 1.0 if probabilities else 0.0)
    if to_log_probabilities is not None:
        scores = to_log_probabilities(scores, axis)
    if resolved.dtype.is_floating_point:
        used = scores if elementwise is None else elementwise(scores)
        losses = _of_soft_rows(used, resolved.to(scores.dtype), options, probabilities=probabilities)
    else:
        losses = _of_indices(scores, resolved, options, elementwise, probabilities=probabilities)
    if sample_weight is not None:
        losses = product(sample_weight, losses)
    if options.reduction == "none":
        return losses
    weights = weights_of(resolved, axis, options.class_weight, sample_weight, options.ignore_index)
    return reduce_losses(losses, weights, options.reduction)


def _check_probabilities(scores: Tensor, axis: int, tolerance: float) -> None:
    """Raise ScoreError where the first 16 rows are not probabilities; then the message names the first wrong row."""
    if not are_distributions(sample_of(scores.detach()), axis, tolerance):
        check_rows(scores, axis, name="probabilities", nan_passes=True)


def _excluded(resolved: Tensor, sample_weight: Tensor | None, ignore_index: int) -> Bool[Tensor, "..."] | None:
    """Which rows take no part: ignored ones, and those of sample weight 0; None where there can be none."""
    weightless = None if sample_weight is None else sample_weight == 0
    if resolved.dtype.is_floating_point:
        return weightless
    ignored = resolved == ignore_index
    return ignored if weightless is None else ignored | weightless


def _of_soft_rows(scores: Tensor, rows: Tensor, options: Options, *, probabilities: bool) -> Tensor:
    """-sum_k w_k t_k log p_k, where t is the smoothed row."""
    axis = class_axis(scores.shape)
    if options.label_smoothing:
        rows = (1 - options.label_smoothing) * rows + options.label_smoothing / scores.shape[axis]
    if options.class_weight is not None:
        rows = rows * _along(options.class_weight, axis, scores.dim())
    if probabilities:
        # Where p = 0 has no target mass its log is kept out of the gradient too, not only out of the sum.
        scores = scores.masked_fill((scores == 0) & (rows == 0), 1).log()
    return -product(rows, scores).sum(axis)


def _of_indices(
    scores: Tensor,
    indices: Tensor,
    options: Options,
    elementwise: Callable[[Tensor], Tensor] | None,
    *,
    probabilities: bool,
) -> Tensor:
    """-(1 - s) w_y log p_y - s / K sum_k w_k log p_k, and 0 for ignored rows."""
    axis = class_axis(scores.shape)
    skip = indices == options.ignore_index
    safe = indices.masked_fill(skip, 0)
    chosen = scores.gather(axis, safe.unsqueeze(axis)).squeeze(axis)
    if probabilities:
        chosen = chosen.masked_fill(skip, 1).log()
    if elementwise is not None:
        chosen = elementwise(chosen)
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
    """Shape (K,) so that it broadcasts along the class axis of scores with this many axes."""
    return class_weight.reshape([-1 if number == axis else 1 for number in range(axes)])
