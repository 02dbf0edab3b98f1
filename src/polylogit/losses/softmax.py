"""Softmax cross-entropy, one function for each kind of score a network may give.

Owns `cross_entropy_with_logits`, `..._with_log_probabilities` and `..._with_probabilities`: the same number from three
declared kinds of scores. The kind is in the name; nothing is guessed from the values.
Does not own: two-class scores with one number a row (`binary`), and what a target may look like (`targets`).

Rules that hold for all of them:
- A class with target 0 adds 0, whatever its score; a class that has target mass and probability 0 makes the loss
  infinite. Nothing is added to a probability to hide that.
- The mean is the sum of weighted losses over the sum of weights, and 0 where that sum is 0 (`reduction`).
- NaN and +inf scores give NaN. They are not an error: mixed precision meets them and skips the step.
- float16 and bfloat16 scores are computed, and the loss returned, in float32.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from jaxtyping import Float, Shaped
from torch import Tensor

from polylogit.errors import ScoreError
from polylogit.losses.arithmetic import at_least_float32
from polylogit.losses.fused import row_losses
from polylogit.losses.likelihood import Options, negative_log_likelihood
from polylogit.losses.reduction import Reduction, check_reduction, reduce_losses
from polylogit.losses.targets import check_rows, class_axis, soft_row_tolerance

# From here on one look at each score less is worth the overhead of a few small operations; see benchmarks/losses.py.
_MANY_SCORES = 1 << 18
_MANY_CLASSES = 64
_FEW_SCORES = 1 << 13

_LEAST_LOSS = -1e-3  # what rounding in a sum of log-probabilities of nearly 0 may leave

__all__ = [
    "cross_entropy_with_log_probabilities",
    "cross_entropy_with_logits",
    "cross_entropy_with_probabilities",
]


def cross_entropy_with_logits(
    logits: Shaped[Tensor, "..."],
    targets: Shaped[Tensor, "..."],
    *,
    class_weight: Float[Tensor, " K"] | None = None,
    sample_weight: Float[Tensor, "..."] | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    validate: bool = True,
) -> Float[Tensor, "..."]:
    """Softmax cross-entropy of logits, in nats.

    loss_n = logsumexp_k(logits[n, k]) - sum_k targets[n, k] * logits[n, k]

    Args:
        logits: (N, K), (N, K, d1, ...) or (K,), floating: unnormalised log-probabilities, any real number, -inf for an
            impossible class. What a last linear layer gives, without softmax.
        targets: Class indices (N,) or (N, d1, ...) of any integer dtype; or one-hot or soft rows with the shape of
            the logits.
        class_weight: (K,), floating: multiplies each class's term of the loss.
        sample_weight: (N,) or the shape of the losses, floating, 0 or more: multiplies each row's loss.
        ignore_index: Class index that marks rows to leave out; -100 as in PyTorch.
        label_smoothing: Between 0 and 1: the share of each target that is spread evenly over all K classes.
        reduction: "none" (a weighted loss per example), "sum", or "mean": the sum over `target_weights(...).sum()`,
            0 where that is 0.
        validate: Check the targets' values, and say which row is at fault. Off, or under `torch.compile`, only shapes
            and dtypes are checked.

    Returns:
        A scalar, or for "none" one loss per example; float32 at least.

    Raises:
        ScoreError: Targets that fit no form, are out of range or do not sum to 1; an unknown reduction.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0]])
        >>> cross_entropy_with_logits(logits, torch.tensor([0, 1]))
        tensor(0.2513)
        >>> cross_entropy_with_logits(logits, torch.tensor([0, 3]))
        Traceback (most recent call last):
        polylogit.errors.ScoreError: targets, row 1: expected a class index from 0 to 2 ...

    Source: Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.4, eq. 4.108.
    """
    loss: Tensor | None
    if targets.dtype is torch.int64 and logits.is_cpu and sample_weight is None and not torch.compiler.is_compiling():
        # Two fused kernels, where their result is ours too. They look at every class index on their way through, so the
        # check of the targets is free here: what they refuse the long way refuses too, in words that help.
        try:
            if _is_large(logits, targets) and class_weight is None and not label_smoothing:
                skip = _skipped(targets, ignore_index)
                kept = targets if skip is None else targets.masked_fill(skip, 0)
                return _of_rows(row_losses(logits, kept), skip, reduction)
            if reduction != "none":
                loss = F.cross_entropy(
                    at_least_float32(logits, "logits"),
                    targets,
                    weight=class_weight,
                    ignore_index=ignore_index,
                    label_smoothing=label_smoothing,
                    reduction=reduction,
                )
                # Its NaN is the mean of nothing, or was in the scores; the long way tells them apart.
                if not math.isnan(loss.item()):
                    return loss
        except (IndexError, ValueError, RuntimeError):
            pass
    elif targets.dtype.is_floating_point and logits.is_cpu and class_weight is None and sample_weight is None:
        loss = _of_soft_rows(logits, targets, label_smoothing, reduction, validate=validate)
        if loss is not None:
            return loss
    log_probabilities = F.log_softmax(at_least_float32(logits, "logits"), class_axis(logits.shape))
    options = Options(class_weight, sample_weight, ignore_index, label_smoothing, reduction, validate)
    return negative_log_likelihood(log_probabilities, targets, options)


def _of_soft_rows(
    logits: Tensor, targets: Tensor, label_smoothing: float, reduction: Reduction, *, validate: bool
) -> Tensor | None:
    """PyTorch's kernel for soft rows; None where the long way has to be taken.

    It reads 0 * inf as NaN where a class without target mass is impossible; the long way knows better. Where its loss
    is not NaN, its value and gradient are the long way's.
    """
    if targets.shape != logits.shape or reduction == "none" or torch.compiler.is_compiling():
        return None
    if validate:
        check_rows(targets, class_axis(logits.shape))
    scores = at_least_float32(logits, "logits")
    try:
        loss = F.cross_entropy(scores, targets.to(scores.dtype), label_smoothing=label_smoothing, reduction=reduction)
        return None if math.isnan(loss.item()) else loss
    except (ValueError, RuntimeError):
        return None


def _is_large(scores: Tensor, targets: Tensor) -> bool:
    """Whether one look at each of the scores less is worth the overhead of a few small operations more."""
    return (
        scores.numel() >= _MANY_SCORES
        and scores.dim() == 2
        and scores.shape[1] >= _MANY_CLASSES
        and targets.shape == scores.shape[:1]
    )


def _of_rows(losses: Tensor, skip: Tensor | None, reduction: Reduction) -> Tensor:
    """Reduce the losses of rows, with skipped rows at 0."""
    check_reduction(reduction)
    if skip is not None:
        losses = losses.masked_fill(skip, 0)
        return reduce_losses(losses, (~skip).to(losses.dtype), reduction)
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.mean()


def _skipped(targets: Tensor, ignore_index: int) -> Tensor | None:
    """Where rows are to be left out; None where none is."""
    skip = targets == ignore_index
    return skip if bool(skip.any()) else None


def cross_entropy_with_log_probabilities(
    log_probabilities: Shaped[Tensor, "..."],
    targets: Shaped[Tensor, "..."],
    *,
    class_weight: Float[Tensor, " K"] | None = None,
    sample_weight: Float[Tensor, "..."] | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    validate: bool = True,
) -> Float[Tensor, "..."]:
    """Cross-entropy of log-probabilities, in nats.

    loss_n = -sum_k targets[n, k] * log_probabilities[n, k],   with 0 * -inf = 0

    Args:
        log_probabilities: (N, K), (N, K, d1, ...) or (K,), floating: what `log_softmax` gives; at most 0, -inf for an
            impossible class. Logits are not: they give a wrong value without a complaint from the arithmetic.
        targets: As in `cross_entropy_with_logits`.
        class_weight: As in `cross_entropy_with_logits`.
        sample_weight: As in `cross_entropy_with_logits`.
        ignore_index: As in `cross_entropy_with_logits`.
        label_smoothing: As in `cross_entropy_with_logits`.
        reduction: As in `cross_entropy_with_logits`.
        validate: As in `cross_entropy_with_logits`; also refuses a negative loss: such scores are no
            log-probabilities.

    Returns:
        A scalar, or for "none" one loss per example; float32 at least.

    Raises:
        ScoreError: Targets that fit no form, are out of range or do not sum to 1; a negative loss.

    Example:
        >>> log_probabilities = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.9, 0.0]]).log()
        >>> cross_entropy_with_log_probabilities(log_probabilities, torch.tensor([0, 1]), reduction="none")
        tensor([0.6931, 0.1054])

    Source: Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.4, eq. 4.108.
    """
    scores = at_least_float32(log_probabilities, "log_probabilities")
    options = Options(class_weight, sample_weight, ignore_index, label_smoothing, reduction, validate)
    loss = negative_log_likelihood(scores, targets, options)
    if validate and not torch.compiler.is_compiling():
        _refuse_negative_loss(loss)
    return loss


def _refuse_negative_loss(loss: Tensor) -> None:
    """A negative loss, further from 0 than rounding: log-probabilities above 0, so none."""
    lowest = loss.detach().amin() if loss.numel() else loss.new_zeros(())
    if lowest.item() < _LEAST_LOSS:
        raise ScoreError(
            f"log_probabilities: expected numbers of at most 0, got a loss of {lowest.item():g}, so some are above 0. "
            "Logits need cross_entropy_with_logits, probabilities need cross_entropy_with_probabilities."
        )


def cross_entropy_with_probabilities(
    probabilities: Shaped[Tensor, "..."],
    targets: Shaped[Tensor, "..."],
    *,
    class_weight: Float[Tensor, " K"] | None = None,
    sample_weight: Float[Tensor, "..."] | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    validate: bool = True,
) -> Float[Tensor, "..."]:
    """Cross-entropy of probabilities, in nats: the loss that PyTorch has no name for.

    loss_n = -sum_k targets[n, k] * log(probabilities[n, k]),   with 0 * log 0 = 0

    The rule for p = 0: where the target has mass on it the loss is +inf (and the gradient -inf), because the model
    called impossible what happened; elsewhere it adds 0 with gradient 0. No epsilon is added. Where a network can give
    logits, `cross_entropy_with_logits` is the better loss: a probability that has rounded to 0 or 1 has lost its
    information.

    Args:
        probabilities: (N, K), (N, K, d1, ...) or (K,), floating: from 0 to 1, each row's sum over the classes 1.
        targets: As in `cross_entropy_with_logits`.
        class_weight: As in `cross_entropy_with_logits`.
        sample_weight: As in `cross_entropy_with_logits`.
        ignore_index: As in `cross_entropy_with_logits`.
        label_smoothing: As in `cross_entropy_with_logits`.
        reduction: As in `cross_entropy_with_logits`.
        validate: As in `cross_entropy_with_logits`; also refuses scores that do not sum to the number
            of rows.

    Returns:
        A scalar, or for "none" one loss per example; float32 at least.

    Raises:
        ScoreError: Targets that fit no form, are out of range or do not sum to 1; scores that are no probabilities.

    Example:
        >>> probabilities = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.9, 0.0]])
        >>> cross_entropy_with_probabilities(probabilities, torch.tensor([0, 1]), reduction="none")
        tensor([0.6931, 0.1054])
        >>> cross_entropy_with_probabilities(probabilities, torch.tensor([0, 2]), reduction="none")
        tensor([0.6931,    inf])

    Source: Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.4, eq. 4.108.
    """
    tracing = torch.compiler.is_compiling()
    if validate and not tracing:
        _check_total(probabilities)
    plain = class_weight is None and sample_weight is None and not label_smoothing and not tracing
    if plain and targets.dtype is torch.int64 and probabilities.is_cpu:
        try:
            return _of_picked(probabilities, targets, ignore_index, reduction)
        except (IndexError, ValueError, RuntimeError):
            pass
    scores = at_least_float32(probabilities, "probabilities")
    options = Options(class_weight, sample_weight, ignore_index, label_smoothing, reduction, validate)
    return negative_log_likelihood(scores, targets, options, probabilities=True)


def _of_picked(probabilities: Tensor, targets: Tensor, ignore_index: int, reduction: Reduction) -> Tensor:
    """Pick each row's probability first, then widen and take the log of those alone."""
    few = probabilities.numel() <= _FEW_SCORES and probabilities.dtype.itemsize >= 4 and reduction != "none"
    if few and probabilities.detach().amin().item() > 0:
        # Few operations count for more than few logs here. With a p = 0 about, their gradient would be NaN.
        loss = F.nll_loss(probabilities.log(), targets, ignore_index=ignore_index, reduction=reduction)
        if not math.isnan(loss.item()):
            return loss
    picked = -F.nll_loss(probabilities, targets, ignore_index=ignore_index, reduction="none")
    skip = _skipped(targets, ignore_index)
    if skip is not None:
        picked = picked.masked_fill(skip, 1)
    return _of_rows(-at_least_float32(picked, "probabilities").log(), skip, reduction)


def _check_total(probabilities: Tensor) -> None:
    """Raise ScoreError where the rows cannot all be distributions, because their sizes do not sum to their number.

    One pass and one number read back; the rows are looked at one by one only to say which is at fault. NaN passes.
    """
    axis = class_axis(probabilities.shape)
    rows = probabilities.numel() // max(probabilities.shape[axis], 1)
    wide = torch.float32 if probabilities.dtype.itemsize < 4 else None
    total = torch.linalg.vector_norm(probabilities.detach(), 1, dtype=wide).item()
    if abs(total - rows) > rows * soft_row_tolerance(probabilities.dtype):
        check_rows(probabilities, axis, name="probabilities")
