"""Binary cross-entropy of logits and of probabilities, one score for each question.

For two classes with one score a row, and for several labels at once (multi-label), where each score is a question of
its own. A sigmoid of t is the softmax of (0, t), so these are the losses of `softmax` for two classes, written with one
number.

See also: `softmax`, for scores with a class axis.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from jaxtyping import Float, Shaped
from torch import Tensor

from polylogit.errors import ScoreError
from polylogit.losses.arithmetic import at_least_float32, product
from polylogit.losses.autocast import without_autocast
from polylogit.losses.excluded_rows import replace_excluded
from polylogit.losses.migration import Unexpected, raise_unexpected_arguments
from polylogit.losses.options import Validate, checks_values, count_checked_batch
from polylogit.losses.reduction import Reduction, check_reduction, check_share, reduce_losses, weighted_mean
from polylogit.losses.targets import where
from polylogit.losses.weights import SampleWeight, as_weight, broadcast_sample_weight, check_sample_weight
from polylogit.system.tensor_values import runs_plainly

__all__ = ["OPTIONS", "binary_cross_entropy_with_logits", "binary_cross_entropy_with_probabilities"]

OPTIONS = ("pos_weight", "sample_weight", "label_smoothing", "reduction", "validate")


_NEAR_0 = 1e-11


class BinaryOptions(NamedTuple):
    """The options of a binary loss, as `binary_cross_entropy_with_logits` documents them."""

    pos_weight: Tensor | None
    sample_weight: Tensor | None
    label_smoothing: float
    reduction: Reduction
    validate: Validate


def binary_cross_entropy_with_logits(
    logits: Shaped[Tensor, "..."],
    targets: Shaped[Tensor, "..."],
    *_positional: Unexpected,
    pos_weight: SampleWeight | None = None,
    sample_weight: SampleWeight | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    validate: Validate = None,
    **_unknown: Unexpected,
) -> Float[Tensor, "..."]:
    """Binary cross-entropy of logits, in nats.

    loss_n = -pos_weight * targets[n] * log sigmoid(logits[n]) - (1 - targets[n]) * log sigmoid(-logits[n])

    Args:
        logits: Any shape, floating: log-odds of class 1, any real number; +-inf for a certain class.
        targets: The logits' shape: bool, integers 0 and 1, or floating probabilities of class 1.
        pos_weight: A tensor, list or NumPy array that broadcasts against the logits: multiplies the loss of class 1;
            as in PyTorch the mean does not divide by it.
        sample_weight: The logits' shape, or (N,) for their first axis; 0 or more.
        label_smoothing: Between 0 and 1: targets become (1 - s) * targets + s / 2.
        reduction: "none" (a weighted loss per score), "sum", or "mean": over the sum of sample weights, 0 where
            that is 0.
        validate: As in `cross_entropy_with_logits`.

    Returns:
        A scalar, or for "none" a loss with the logits' shape; float32 at least.

    Raises:
        ScoreError: Targets of another shape, or outside 0 to 1; an unknown reduction.
        TypeError: An argument that only other libraries' losses have; the message names ours.

    Example:
        >>> binary_cross_entropy_with_logits(torch.tensor([2.0, -1.0]), torch.tensor([1, 0]), reduction="none")
        tensor([0.1269, 0.3133])

    Source: Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.2, eq. 4.90.
    """
    if _positional or _unknown:
        raise_unexpected_arguments("binary_cross_entropy_with_logits", OPTIONS, _positional, _unknown)
    options = BinaryOptions(
        as_weight(pos_weight, "pos_weight", logits),
        as_weight(sample_weight, "sample_weight", logits),
        label_smoothing,
        reduction,
        validate,
    )
    return without_autocast(_of_logits, logits, targets, options)


def _of_logits(logits: Tensor, targets: Tensor, options: BinaryOptions) -> Tensor:
    scores = at_least_float32(logits, "logits")
    rows, weights = _prepare(scores, targets, options)
    if scores.is_cpu and runs_plainly(scores, targets):
        loss = _by_one_kernel(scores, rows, weights, options)
        if loss is not None:
            return loss
    scores = replace_excluded(scores, None if weights is None else weights == 0, None, 0.0)
    # -log sigmoid(x) = log(1 + exp(-x)): exact at both ends, where log(sigmoid(x)) has rounded to log(0) or log(1).
    happened = -F.logsigmoid(scores)
    if options.pos_weight is not None:
        happened = options.pos_weight * happened
    losses = product(rows, happened) + product(1 - rows, -F.logsigmoid(-scores))
    return _reduce(losses, weights, options.reduction)


def _by_one_kernel(scores: Tensor, rows: Tensor, weights: Tensor | None, options: BinaryOptions) -> Tensor | None:
    """PyTorch's kernel; None where it gives NaN: it computes 0 * inf where an infinite logit is right."""
    pos_weight = None if options.pos_weight is None else options.pos_weight.to(scores.dtype)
    kernel = F.binary_cross_entropy_with_logits
    if pos_weight is not None:
        kernel = functools.partial(kernel, pos_weight=pos_weight)
    loss = _by_torch(kernel, scores, rows, weights, options.reduction)
    return None if math.isnan(loss.detach().sum().item()) else loss


def _by_torch(
    kernel: Callable[..., Tensor], scores: Tensor, rows: Tensor, weights: Tensor | None, reduction: Reduction
) -> Tensor:
    """A loss of torch.nn.functional; its mean divides by the number of scores, ours by the sum of weights."""
    if weights is None or reduction != "mean":
        return kernel(scores, rows, weights, reduction=reduction)
    return weighted_mean(kernel(scores, rows, weights, reduction="sum"), weights.sum())


def binary_cross_entropy_with_probabilities(
    probabilities: Shaped[Tensor, "..."],
    targets: Shaped[Tensor, "..."],
    *_positional: Unexpected,
    pos_weight: SampleWeight | None = None,
    sample_weight: SampleWeight | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    validate: Validate = None,
    **_unknown: Unexpected,
) -> Float[Tensor, "..."]:
    """Binary cross-entropy of probabilities of class 1, in nats.

    loss_n = -pos_weight * targets[n] * log(p[n]) - (1 - targets[n]) * log(1 - p[n]),   with 0 * log 0 = 0

    The rule for p = 0 and p = 1: where the target has mass on what the model calls impossible, the loss is +inf;
    elsewhere that side adds 0. (PyTorch stops at 100 there.) No epsilon is added.

    Args:
        probabilities: Any shape, floating, from 0 to 1: probability of class 1.
        targets: As in `binary_cross_entropy_with_logits`.
        pos_weight: As in `binary_cross_entropy_with_logits`.
        sample_weight: As in `binary_cross_entropy_with_logits`.
        label_smoothing: As in `binary_cross_entropy_with_logits`.
        reduction: As in `binary_cross_entropy_with_logits`.
        validate: As in `binary_cross_entropy_with_logits`; scores outside 0 to 1 are an error too.

    Returns:
        A scalar, or for "none" a loss with the probabilities' shape; float32 at least.

    Raises:
        ScoreError: Targets of another shape, or outside 0 to 1; scores outside 0 to 1; an unknown reduction.

    Example:
        >>> binary_cross_entropy_with_probabilities(torch.tensor([0.9, 0.0]), torch.tensor([1, 0]), reduction="none")
        tensor([0.1054, 0.0000])
        >>> binary_cross_entropy_with_probabilities(torch.tensor([0.0]), torch.tensor([1]))
        tensor(inf)

    Source: Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.2, eq. 4.90.
    """
    if _positional or _unknown:
        raise_unexpected_arguments("binary_cross_entropy_with_probabilities", OPTIONS, _positional, _unknown)
    options = BinaryOptions(
        as_weight(pos_weight, "pos_weight", probabilities),
        as_weight(sample_weight, "sample_weight", probabilities),
        label_smoothing,
        reduction,
        validate,
    )
    return without_autocast(_of_probabilities, probabilities, targets, options)


def _of_probabilities(probabilities: Tensor, targets: Tensor, options: BinaryOptions) -> Tensor:
    scores = at_least_float32(probabilities, "probabilities")
    checked = checks_values(options.validate, scores, targets, options.sample_weight)
    if checked:
        _check_range(scores, "probabilities", "Logits need binary_cross_entropy_with_logits.", nan_passes=True)
    rows, weights = _prepare(scores, targets, options)
    plain = scores.is_cpu and runs_plainly(scores, targets)
    if plain and options.pos_weight is None and not rows.requires_grad:
        # PyTorch's kernel clamps logarithms at -100 and p (1 - p) at 1e-12: it is exact for probabilities between.
        between = _all_between(scores.detach(), _NEAR_0, 1 - _NEAR_0)
        if between and (checked or _all_between(rows, 0.0, 1.0)):  # the kernel refuses other targets
            return _by_torch(F.binary_cross_entropy, scores, rows, weights, options.reduction)
    scores = replace_excluded(scores, None if weights is None else weights == 0, None, 0.5)
    happened = -scores.masked_fill((rows == 0) & (scores == 0), 1).log()
    if options.pos_weight is not None:
        happened = options.pos_weight * happened
    not_happened = -torch.log1p(-scores.masked_fill((rows == 1) & (scores == 1), 0))
    losses = product(rows, happened) + product(1 - rows, not_happened)
    return _reduce(losses, weights, options.reduction)


def _all_between(values: Tensor, low: float, high: float) -> bool:
    """Whether there are values, and all of them are in a closed interval."""
    if not values.numel():
        return False
    least, greatest = torch.aminmax(values)
    return low <= least.item() and greatest.item() <= high


def _prepare(scores: Tensor, targets: Tensor, options: BinaryOptions) -> tuple[Tensor, Tensor | None]:
    """Check the options and the targets; give smoothed probabilities of class 1, and weights of the scores' shape."""
    check_reduction(options.reduction)
    check_share("label_smoothing", options.label_smoothing)
    if targets.shape != scores.shape:
        shape, wanted = tuple(targets.shape), tuple(scores.shape)
        fix = "Pass one target for each score."
        if wanted == (*shape, 1):
            fix = "Drop the scores' last axis with squeeze(-1)."
        elif shape == (*wanted, 1):
            fix = "Drop the targets' last axis with squeeze(-1)."
        elif len(wanted) == 2 and shape == wanted[:1]:
            fix = "Scores with a class axis and class indices belong in cross_entropy_with_logits."
        raise ScoreError(f"targets: expected the scores' shape {wanted}, got {shape}. {fix}")
    rows, weights = targets.to(scores.dtype), options.sample_weight
    if checks_values(options.validate, scores, targets, weights):
        if targets.dtype is not torch.bool:
            fix = "Labels 1 and 2: subtract 1; labels -1 and 1: (targets + 1) / 2."
            _check_range(rows, "targets", fix, nan_passes=False)
        if weights is not None:
            check_sample_weight(weights)
        count_checked_batch(options.validate, scores, targets, weights)
    if options.label_smoothing:
        rows = (1 - options.label_smoothing) * rows + options.label_smoothing / 2
    return rows, None if weights is None else broadcast_sample_weight(weights.to(scores.dtype), scores.shape)


def _check_range(values: Tensor, name: str, fix: str, *, nan_passes: bool) -> None:
    """Raise ScoreError where a value is outside 0 to 1."""
    if values.numel() == 0:
        return
    values = values.detach()
    lowest, highest = torch.aminmax(values)
    # Written so that NaN fails: NaN targets are an error, NaN scores are not.
    if float(lowest) >= 0 and float(highest) <= 1:
        return
    wrong = (values < 0) | (values > 1)
    if not nan_passes:
        wrong |= values.isnan()
    if not bool(wrong.any()):
        return
    position = torch.nonzero(wrong)[0].tolist()
    value = float(values[tuple(position)])
    raise ScoreError(f"{name}, {where(position)}: expected a probability from 0 to 1, got {value:g}. {fix}")


def _reduce(losses: Tensor, weights: Tensor | None, reduction: Reduction) -> Tensor:
    """Multiply by the sample weights and reduce."""
    if weights is not None:
        return reduce_losses(product(weights, losses), weights, reduction)
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.sum() / max(losses.numel(), 1)
