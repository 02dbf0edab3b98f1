"""Losses over a class axis of tensors on a CPU, by the kernels of PyTorch that compute them fastest.

Each function returns None where the kernel's result has another meaning than the loss (0 * inf, the mean of nothing,
excluded rows that are not finite), or where an argument is wrong: then `likelihood` computes the loss or raises the
error. `on_cpu` calls them for plain tensors only (`system.tensor_values.runs_plainly`).
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from polylogit.errors import ScoreError
from polylogit.losses.arithmetic import at_least_float32, dot
from polylogit.losses.excluded_rows import are_finite, may_have_ignored
from polylogit.losses.kernels import cross_entropy_on_cpu
from polylogit.losses.options import Options, checks_values, count_checked_batch
from polylogit.losses.picked import are_distributions, picked_cross_entropy, sample_of
from polylogit.losses.reduction import NUMBERS, Reduction
from polylogit.losses.target_checks import check_rows, explain_indices
from polylogit.losses.targets import INTEGERS, class_axis, soft_row_tolerance
from polylogit.losses.weights import broadcast_sample_weight, check_sample_weight, weights_of
from polylogit.system import torch_private
from polylogit.system.tensor_values import runs_plainly

__all__ = ["LOWEST_LOSS", "loss_of_log_probabilities", "loss_of_logits", "loss_of_probabilities", "on_cpu"]

LOWEST_LOSS = -1e-3  # what rounding in a sum of log-probabilities of nearly 0 may leave


def on_cpu(
    compute: Callable[[Tensor, Tensor, Options], Tensor | None], scores: Tensor, targets: Tensor, options: Options
) -> Tensor | None:
    """The loss by one of the functions below where the tensors are plain ones on a CPU, else None."""
    if not (scores.is_cpu and runs_plainly(scores, targets)):
        return None
    validate = options.validate
    if validate is None or validate is True or validate is False:
        return compute(scores, targets, options)
    checks = checks_values(validate, scores, targets, options.sample_weight)
    loss = compute(scores, targets, options._replace(validate=checks))
    if loss is not None and checks:
        count_checked_batch(validate, scores, targets, options.sample_weight)
    return loss


def loss_of_logits(
    logits: Shaped[Tensor, "..."], targets: Shaped[Tensor, "..."], options: Options
) -> Float[Tensor, "..."] | None:
    """Cross-entropy of logits, or None.

    Example:
        >>> loss_of_logits(torch.zeros(1, 2), torch.tensor([1]), Options())
        tensor(0.6931)
    """
    if not (_are_usable(logits, options) and 0.0 <= options.label_smoothing <= 1.0):
        return None
    class_weight = options.class_weight
    if class_weight is not None:
        class_weight = class_weight.to(torch.float64 if logits.dtype is torch.float64 else torch.float32)
    if _are_indices(targets, logits):
        return _logits_of_indices(logits, targets, class_weight, options)
    rows = _checked_rows(targets, logits, options)
    return None if rows is None else _logits_of_rows(logits, rows, class_weight, options)


def _logits_of_indices(logits: Tensor, targets: Tensor, class_weight: Tensor | None, options: Options) -> Tensor | None:
    indices = targets if targets.dtype is torch.int64 else targets.long()
    ignored = True
    if logits.requires_grad and torch.is_grad_enabled():
        ignored = may_have_ignored(indices, options.ignore_index)
        if ignored and not are_finite(logits):
            return None
    smoothing, weighted = options.label_smoothing, options.sample_weight is not None
    word: Reduction = "none" if weighted else options.reduction
    try:
        loss = cross_entropy_on_cpu(logits, indices, class_weight, options.ignore_index, smoothing, word)
    except IndexError:  # a class index that is neither in range nor ignore_index
        _raise_for_indices(indices, logits, options)
        raise
    if weighted:
        return _weighted(loss, indices, class_weight, options, logits)
    # Without these NaN can only come from the scores; with them from 0 * inf and the mean of nothing too.
    unsure = ignored or class_weight is not None or smoothing
    return None if unsure and _has_nan(loss) else loss


def _logits_of_rows(logits: Tensor, rows: Tensor, class_weight: Tensor | None, options: Options) -> Tensor | None:
    smoothing, weighted = options.label_smoothing, options.sample_weight is not None
    if weighted or class_weight is None or options.reduction != "mean":
        word: Reduction = "none" if weighted else options.reduction
        loss = cross_entropy_on_cpu(logits, rows, class_weight, options.ignore_index, smoothing, word)
        if weighted:
            return _weighted(loss, rows, class_weight, options, logits)
    else:
        # PyTorch's mean divides by the number of rows here, ours by the sum of weights.
        total = cross_entropy_on_cpu(logits, rows, class_weight, options.ignore_index, smoothing, "sum")
        loss = total / _sum_of_weights(rows, class_weight, logits)
    return None if _has_nan(loss) else loss


def loss_of_log_probabilities(
    scores: Shaped[Tensor, "..."], targets: Shaped[Tensor, "..."], options: Options
) -> Float[Tensor, "..."] | None:
    """Cross-entropy of log-probabilities, or None; also None where a loss is negative.

    Example:
        >>> loss_of_log_probabilities(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([1]), Options())
        tensor(0.6931)
    """
    if not _are_usable(scores, options):
        return None
    class_weight = options.class_weight
    if class_weight is not None:
        class_weight = class_weight.to(torch.float64 if scores.dtype is torch.float64 else torch.float32)
    if not _are_indices(targets, scores):
        loss = _of_rows(scores, targets, class_weight, options)
    elif options.label_smoothing:
        return None
    else:
        loss = _of_indices(scores, targets, class_weight, options)
    return None if loss is None or not _least_loss(loss) >= LOWEST_LOSS else loss


def loss_of_probabilities(
    scores: Shaped[Tensor, "..."], targets: Shaped[Tensor, "..."], options: Options
) -> Float[Tensor, "..."] | None:
    """Cross-entropy of probabilities, or None.

    Example:
        >>> loss_of_probabilities(torch.tensor([[0.5, 0.5]]), torch.tensor([1]), Options())
        tensor(0.6931)
    """
    if not _are_usable(scores, options):
        return None
    axis = class_axis(scores.shape)
    tolerance = None if options.validate is False else soft_row_tolerance(scores.dtype)
    if _are_indices(targets, scores):
        loss = _picked(scores, targets, tolerance, options)
        if loss is None and tolerance is not None:
            check_rows(scores, axis, name="probabilities", nan_passes=True)
        return loss
    if tolerance is not None and not are_distributions(sample_of(scores.detach()), axis, tolerance):
        return None
    logs = at_least_float32(scores, "probabilities").log()
    class_weight = None if options.class_weight is None else options.class_weight.to(logs.dtype)
    loss = _of_rows(logs, targets, class_weight, options)
    return None if loss is None or _has_nan(loss) else loss


def _picked(scores: Tensor, targets: Tensor, tolerance: float | None, options: Options) -> Tensor | None:
    """Probabilities of class indices."""
    if options.label_smoothing:
        return None
    indices = targets if targets.dtype is torch.int64 else targets.long()
    weighted = options.sample_weight is not None or options.class_weight is not None
    word: Reduction = "none" if weighted else options.reduction
    try:
        loss = picked_cross_entropy(scores, indices, options.ignore_index, word, tolerance)
    except IndexError:  # a class index that is neither in range nor ignore_index
        _raise_for_indices(indices, scores, options)
        raise
    if loss is None or not weighted:
        return loss
    if options.class_weight is None:
        return _weighted(loss, indices, None, options, scores)
    class_weight = options.class_weight.to(loss.dtype)
    loss = loss * class_weight[indices.masked_fill(indices == options.ignore_index, 0)]
    if options.sample_weight is not None:
        return _weighted(loss, indices, class_weight, options, scores)
    if options.reduction != "none":
        weights = weights_of(indices, class_axis(scores.shape), class_weight, None, options.ignore_index)
        loss = loss.sum() / (weights.sum() if options.reduction == "mean" else 1)
    return None if _has_nan(loss) else loss


def _are_indices(targets: Tensor, scores: Tensor) -> bool:
    """Whether the targets are class indices, by dtype and shape."""
    if targets.dtype not in INTEGERS or targets.dim() != scores.dim() - 1:
        return False
    shape, full = targets.shape, scores.shape
    return shape == full[:1] if len(full) == 2 else shape == full[:1] + full[2:] if len(full) > 2 else True


def _are_usable(scores: Tensor, options: Options) -> bool:
    """Whether the kernels take scores of this dtype, with this reduction and with these class weights."""
    class_weight = options.class_weight
    if class_weight is not None:
        classes = scores.shape[1 if scores.dim() > 1 else 0] if scores.dim() else 0
        if class_weight.requires_grad or class_weight.shape != (classes,) or not class_weight.is_cpu:
            return False
    return scores.numel() > 0 and scores.dim() > 0 and scores.is_floating_point() and options.reduction in NUMBERS


def _checked_rows(targets: Tensor, scores: Tensor, options: Options) -> Tensor | None:
    """One-hot or soft rows in the dtype of the loss, checked; None for any other form."""
    if targets.shape != scores.shape or targets.dtype.is_complex:
        return None
    rows = targets if targets.dtype.is_floating_point else targets.float()
    if options.validate is not False:
        check_rows(rows, class_axis(scores.shape))
    return rows.to(torch.float64 if scores.dtype is torch.float64 else torch.float32)


def _of_indices(scores: Tensor, targets: Tensor, class_weight: Tensor | None, options: Options) -> Tensor | None:
    """Log-probabilities of class indices; the kernel skips ignored rows, and so does its gradient."""
    indices = targets if targets.dtype is torch.int64 else targets.long()
    reduction, weighted, half = options.reduction, options.sample_weight is not None, scores.dtype.itemsize < 4
    if half and class_weight is not None:
        return None
    word: Reduction = "none" if weighted or half else reduction
    try:
        loss = torch_private.nll_loss(scores, indices, class_weight, NUMBERS[word], options.ignore_index)
    except IndexError:  # a class index that is neither in range nor ignore_index
        _raise_for_indices(indices, scores, options)
        raise
    if weighted:
        return _weighted(loss.float() if half else loss, indices, class_weight, options, scores)
    if half:
        loss = loss.float()
        if reduction == "none":
            return loss
        loss = loss.sum()
        if reduction == "mean":
            loss = loss / max(indices.numel() - int((indices == options.ignore_index).count_nonzero()), 1)
    return loss


def _of_rows(scores: Tensor, targets: Tensor, class_weight: Tensor | None, options: Options) -> Tensor | None:
    """Log-probabilities of one-hot and soft rows."""
    rows = _checked_rows(targets, scores, options)
    if rows is None or options.label_smoothing or options.sample_weight is not None or options.reduction == "none":
        return None
    wide = scores.to(rows.dtype)
    if class_weight is None:
        total = -dot(wide, rows)
        return total if options.reduction == "sum" else total / (rows.numel() // scores.shape[class_axis(scores.shape)])
    if scores.dim() != 2:
        return None
    total = -(rows * wide).sum(0).dot(class_weight)
    return total if options.reduction == "sum" else total / _sum_of_weights(rows, class_weight, scores)


def _sum_of_weights(rows: Tensor, class_weight: Tensor, scores: Tensor) -> Tensor:
    """Sum over rows and classes of target times class weight."""
    if scores.dim() == 2:
        return rows.sum(0).dot(class_weight)
    return weights_of(rows, class_axis(scores.shape), class_weight, None, 0).sum()


def _weighted(
    losses: Tensor, targets: Tensor, class_weight: Tensor | None, options: Options, scores: Tensor
) -> Tensor | None:
    """Multiply the kernel's losses, with class weights in them, by sample weights and reduce; None where 0 * inf."""
    weight, reduction = options.sample_weight, options.reduction
    if weight is None:
        return losses
    if options.validate is not False:
        check_sample_weight(weight)
    weight = broadcast_sample_weight(weight.to(losses.dtype), losses.shape)
    weighted = weight * losses
    total = weighted.sum()
    if math.isnan(total.item()):
        return None
    if reduction == "none":
        return weighted
    if reduction == "sum":
        return total
    divisor = weights_of(targets, class_axis(scores.shape), class_weight, weight, options.ignore_index).sum()
    return total / divisor if divisor.item() else total * 0


def _raise_for_indices(indices: Tensor, scores: Tensor, options: Options) -> None:
    """Raise ScoreError where a class index is out of range."""
    message = explain_indices(indices, scores.shape[class_axis(scores.shape)], options.ignore_index)
    if message is not None:
        raise ScoreError(message)


def _has_nan(loss: Tensor) -> bool:
    return math.isnan(loss.item() if loss.dim() == 0 else loss.detach().sum().item())


def _least_loss(loss: Tensor) -> float:
    """The least loss, NaN where one is NaN."""
    return loss.item() if loss.dim() == 0 else loss.detach().amin().item() if loss.numel() else 0.0
