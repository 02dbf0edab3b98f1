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
from jaxtyping import Float, Shaped
from torch import Tensor

from polylogit.errors import ScoreError
from polylogit.losses.arithmetic import at_least_float32
from polylogit.losses.kernels import cross_entropy_on_cpu, log_softmax
from polylogit.losses.likelihood import Options, negative_log_likelihood, weighted_on_cpu
from polylogit.losses.picked import are_distributions, picked_cross_entropy, sample_of
from polylogit.losses.reduction import Reduction
from polylogit.losses.targets import check_rows, class_axis, soft_row_tolerance

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
    if logits.is_cpu and not torch.compiler.is_compiling():
        # PyTorch's kernels, where their result is ours too. They look at every class index on their way through, so
        # that check is free here: what they refuse the long way refuses too, in words that help.
        resolved: Tensor | None = targets
        try:
            if targets.dtype is not torch.int64 or targets.dim() == logits.dim():
                resolved = _resolved(logits, targets, class_weight, validate=validate)
            if resolved is None:
                pass
            elif sample_weight is None:
                loss = cross_entropy_on_cpu(logits, resolved, class_weight, ignore_index, label_smoothing, reduction)
                # Its NaN is the mean of nothing, 0 * inf, or was in the scores; the long way tells them apart.
                if not math.isnan(loss.item() if reduction != "none" else loss.detach().sum().item()):
                    return loss
            else:
                losses = cross_entropy_on_cpu(logits, resolved, class_weight, ignore_index, label_smoothing, "none")
                options = Options(class_weight, sample_weight, ignore_index, label_smoothing, reduction, validate)
                weighted = weighted_on_cpu(losses, sample_weight, resolved, class_axis(logits.shape), options)
                if weighted is not None:
                    return weighted
        except (LookupError, ValueError, RuntimeError):
            pass
    log_probabilities = log_softmax(at_least_float32(logits, "logits"), class_axis(logits.shape))
    options = Options(class_weight, sample_weight, ignore_index, label_smoothing, reduction, validate)
    return negative_log_likelihood(log_probabilities, targets, options)


def _resolved(logits: Tensor, targets: Tensor, class_weight: Tensor | None, *, validate: bool) -> Tensor | None:
    """Targets as PyTorch's kernels take them: int64, or rows of the loss's dtype, checked; None for any other form."""
    if targets.shape != logits.shape:
        index = targets.dtype is not torch.bool and not targets.dtype.is_floating_point
        return targets.long() if index and targets.dim() == logits.dim() - 1 else None
    if class_weight is not None:
        return None  # PyTorch's mean divides by the number of rows then, ours by the sum of weights
    rows = targets if targets.dtype.is_floating_point else targets.to(torch.get_default_dtype())
    if validate:
        check_rows(rows, class_axis(logits.shape))
    return rows.to(torch.float32 if logits.dtype.itemsize < 4 else logits.dtype)


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
        _check_negative_loss(loss)
    return loss


def _check_negative_loss(loss: Tensor) -> None:
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
        validate: As in `cross_entropy_with_logits`; also refuses scores that are no probabilities, on the word of
            the first 16 rows: what a score is, a network decides for all rows alike.

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
    tolerance = soft_row_tolerance(probabilities.dtype) if validate and not tracing else None
    suspicious = False
    if (
        class_weight is None
        and sample_weight is None
        and not label_smoothing
        and targets.dtype is torch.int64
        and probabilities.is_cpu
        and not tracing
    ):
        try:
            loss = picked_cross_entropy(probabilities, targets, ignore_index, reduction, tolerance)
            if loss is not None:
                return loss
            suspicious = True
        except (LookupError, ValueError, RuntimeError):
            pass
    if tolerance is not None:
        axis = class_axis(probabilities.shape)
        if suspicious or not are_distributions(sample_of(probabilities.detach()), axis, tolerance):
            check_rows(probabilities, axis, name="probabilities", nan_passes=True)
    scores = at_least_float32(probabilities, "probabilities")
    options = Options(class_weight, sample_weight, ignore_index, label_smoothing, reduction, validate)
    return negative_log_likelihood(scores, targets, options, probabilities=True)
