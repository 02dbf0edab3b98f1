"""Focal loss: cross-entropy that turns down what is easy already.

Owns `focal_cross_entropy_with_logits`. Does not own the plain losses (`softmax`); with gamma = 0 it is the same number.
"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from polylogit.errors import ScoreError
from polylogit.losses.arithmetic import at_least_float32
from polylogit.losses.kernels import log_softmax
from polylogit.losses.likelihood import Options, negative_log_likelihood
from polylogit.losses.reduction import Reduction
from polylogit.losses.targets import class_axis

__all__ = ["focal_cross_entropy_with_logits"]

# exp(-750) is 0 in float64: below it 1 - p is exactly 1, and holding log p here keeps 0 * inf out of the gradient.
_LEAST_LOG_PROBABILITY = -750.0


def focal_cross_entropy_with_logits(
    logits: Shaped[Tensor, "..."],
    targets: Shaped[Tensor, "..."],
    *,
    gamma: float = 2.0,
    class_weight: Float[Tensor, " K"] | None = None,
    sample_weight: Float[Tensor, "..."] | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    validate: bool = True,
) -> Float[Tensor, "..."]:
    """Focal loss of logits over classes that exclude each other, in nats.

    loss_n = -sum_k targets[n, k] * (1 - p[n, k])^gamma * log p[n, k],   p = softmax(logits)

    The factor is part of the loss, not of the weight: the mean divides by the same sum of weights as cross-entropy.

    Args:
        logits: As in `cross_entropy_with_logits`.
        targets: As in `cross_entropy_with_logits`.
        gamma: 0 or more; 0 is cross-entropy, 2 is the paper's choice.
        class_weight: As in `cross_entropy_with_logits` (the paper's alpha).
        sample_weight: As in `cross_entropy_with_logits`.
        ignore_index: As in `cross_entropy_with_logits`.
        reduction: As in `cross_entropy_with_logits`.
        validate: As in `cross_entropy_with_logits`.

    Returns:
        A scalar, or for "none" one loss per example; float32 at least.

    Raises:
        ScoreError: A negative gamma, and whatever `cross_entropy_with_logits` refuses.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0]])
        >>> focal_cross_entropy_with_logits(logits, torch.tensor([0, 1]), reduction="none")
        tensor([0.0457, 0.0008])

    Source: Lin et al., Focal Loss for Dense Object Detection (2017), eq. 5; softmax in place of its sigmoid.
    """
    check_gamma(gamma)
    log_probabilities = log_softmax(at_least_float32(logits, "logits"), class_axis(logits.shape))
    if gamma:
        rest = -torch.expm1(log_probabilities.clamp_min(_LEAST_LOG_PROBABILITY))
        if gamma < 1:
            # The power's slope is infinite at rest = 0, where p = 1 and the loss is flat: hold it just above.
            rest = rest.clamp_min(torch.finfo(rest.dtype).tiny)
        log_probabilities = rest**gamma * log_probabilities
    options = Options(class_weight, sample_weight, ignore_index, 0.0, reduction, validate)
    return negative_log_likelihood(log_probabilities, targets, options)


def check_gamma(gamma: float) -> None:
    """Raise ScoreError where gamma is negative or NaN."""
    if not gamma >= 0:
        raise ScoreError(f"gamma: expected 0 or more, got {gamma}. 0 is plain cross-entropy, 2 the usual choice.")
