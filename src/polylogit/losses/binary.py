"""Binary cross-entropy, for a logit and for a probability.

Owns the losses of two classes with one score for each question: two-class rows, and several labels at once
(multi-label), where each score is a question of its own. A sigmoid of t is the softmax of (0, t), so these are
`softmax`'s losses for two classes, written with one number.
Does not own: scores with a class axis (`softmax`).
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from jaxtyping import Float, Shaped
from torch import Tensor

from polylogit.errors import ScoreError
from polylogit.losses.arithmetic import at_least_float32, product
from polylogit.losses.reduction import Reduction, check_reduction, check_share, reduce_losses
from polylogit.losses.targets import broadcast_sample_weight, check_sample_weight, where

__all__ = ["binary_cross_entropy_with_logits", "binary_cross_entropy_with_probabilities"]


def binary_cross_entropy_with_logits(
    logits: Shaped[Tensor, "..."],
    targets: Shaped[Tensor, "..."],
    *,
    pos_weight: Float[Tensor, "..."] | None = None,
    sample_weight: Float[Tensor, "..."] | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    validate: bool = True,
) -> Float[Tensor, "..."]:
    """Binary cross-entropy of logits, in nats.

    loss_n = -pos_weight * targets[n] * log sigmoid(logits[n]) - (1 - targets[n]) * log sigmoid(-logits[n])

    Args:
        logits: Any shape, floating: log-odds of class 1, any real number; +-inf for a certain class.
        targets: The logits' shape: bool, integers 0 and 1, or floating probabilities of class 1.
        pos_weight: Broadcasts against the logits: multiplies the loss of class 1; as in PyTorch the
            mean does not divide by it.
        sample_weight: The logits' shape, or (N,) for their first axis; 0 or more.
        label_smoothing: Between 0 and 1: targets become (1 - s) * targets + s / 2.
        reduction: "none" (a weighted loss per score), "sum", or "mean": over the sum of sample weights, 0 where
            that is 0.
        validate: Check the targets' values. Off, or under `torch.compile`, only shapes and dtypes are checked.

    Returns:
        A scalar, or for "none" a loss with the logits' shape; float32 at least.

    Raises:
        ScoreError: Targets of another shape, or outside 0 to 1; an unknown reduction.

    Example:
        >>> binary_cross_entropy_with_logits(torch.tensor([2.0, -1.0]), torch.tensor([1, 0]), reduction="none")
        tensor([0.1269, 0.3133])

    Source: Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.2, eq. 4.90.
    """
    scores = at_least_float32(logits, "logits")
    rows = _resolve(scores, targets, label_smoothing, reduction, validate=validate)
    if scores.is_cpu and sample_weight is None and reduction != "none" and not torch.compiler.is_compiling():
        # PyTorch's kernel reads 0 * inf as NaN where an infinite logit is right; otherwise its result is ours.
        try:
            loss = F.binary_cross_entropy_with_logits(scores, rows, pos_weight=pos_weight, reduction=reduction)
            if not math.isnan(loss.item()):
                return loss
        except RuntimeError:  # under vmap there is no number to read
            pass
    # -log sigmoid(x) = log(1 + exp(-x)): exact at both ends, where log(sigmoid(x)) has rounded to log(0) or log(1).
    happened = -F.logsigmoid(scores)
    if pos_weight is not None:
        happened = pos_weight * happened
    losses = product(rows, happened) + product(1 - rows, -F.logsigmoid(-scores))
    return _weigh(losses, sample_weight, reduction, validate=validate)


def binary_cross_entropy_with_probabilities(
    probabilities: Shaped[Tensor, "..."],
    targets: Shaped[Tensor, "..."],
    *,
    pos_weight: Float[Tensor, "..."] | None = None,
    sample_weight: Float[Tensor, "..."] | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    validate: bool = True,
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
        validate: As in `binary_cross_entropy_with_logits`; also refuses scores outside 0 to 1.

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
    scores = at_least_float32(probabilities, "probabilities")
    rows = _resolve(scores, targets, label_smoothing, reduction, validate=validate)
    if validate and not torch.compiler.is_compiling():
        _check_range(scores, "probabilities", "Logits need binary_cross_entropy_with_logits.", nan_passes=True)
    happened = -scores.masked_fill((rows == 0) & (scores == 0), 1).log()
    if pos_weight is not None:
        happened = pos_weight * happened
    not_happened = -torch.log1p(-scores.masked_fill((rows == 1) & (scores == 1), 0))
    losses = product(rows, happened) + product(1 - rows, not_happened)
    return _weigh(losses, sample_weight, reduction, validate=validate)


def _resolve(scores: Tensor, targets: Tensor, label_smoothing: float, reduction: str, *, validate: bool) -> Tensor:
    """Check the options and the targets; give the targets as floating probabilities of class 1, smoothed."""
    check_reduction(reduction)
    check_share("label_smoothing", label_smoothing)
    if targets.shape != scores.shape:
        shape, wanted = tuple(targets.shape), tuple(scores.shape)
        mend = "Give every score a target of its own."
        if wanted == (*shape, 1):
            mend = "Drop the scores' last axis with squeeze(-1)."
        elif shape == (*wanted, 1):
            mend = "Drop the targets' last axis with squeeze(-1)."
        elif len(wanted) == 2 and shape == wanted[:1]:
            mend = "Scores with a class axis and class indices belong in cross_entropy_with_logits."
        raise ScoreError(f"targets: expected the scores' shape {wanted}, got {shape}. {mend}")
    rows = targets.to(scores.dtype)
    if validate and not torch.compiler.is_compiling() and targets.dtype is not torch.bool:
        mend = "Labels 1 and 2: subtract 1; labels -1 and 1: (targets + 1) / 2."
        _check_range(rows, "targets", mend, nan_passes=False)
    if label_smoothing:
        rows = (1 - label_smoothing) * rows + label_smoothing / 2
    return rows


def _check_range(values: Tensor, name: str, mend: str, *, nan_passes: bool) -> None:
    """Raise ScoreError where a value lies outside 0 to 1."""
    if values.numel() == 0:
        return
    values = values.detach()
    lowest, highest = torch.aminmax(values)
    # Written so that NaN fails; NaN scores are let through by their own rule, NaN targets are not.
    if float(lowest) >= 0 and float(highest) <= 1:
        return
    wrong = (values < 0) | (values > 1)
    if not nan_passes:
        wrong |= values.isnan()
    if not bool(wrong.any()):
        return
    position = torch.nonzero(wrong)[0].tolist()
    value = float(values[tuple(position)])
    raise ScoreError(f"{name}, {where(position)}: expected a probability from 0 to 1, got {value:g}. {mend}")


def _weigh(losses: Tensor, sample_weight: Tensor | None, reduction: Reduction, *, validate: bool) -> Tensor:
    """Multiply by the sample weights and reduce."""
    if sample_weight is None:
        if reduction == "none":
            return losses
        return losses.sum() if reduction == "sum" else losses.sum() / max(losses.numel(), 1)
    if validate and not torch.compiler.is_compiling():
        check_sample_weight(sample_weight)
    weights = broadcast_sample_weight(sample_weight.to(losses.dtype), losses.shape)
    return reduce_losses(product(weights, losses), weights, reduction)
