"""Focal loss: cross-entropy with less weight on rows that are classified well already.

See also: `softmax`, for cross-entropy, which is the focal loss with gamma = 0.
"""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from polylogit.errors import ScoreError
from polylogit.losses.arithmetic import at_least_float32
from polylogit.losses.autocast import without_autocast
from polylogit.losses.kernels import log_softmax
from polylogit.losses.likelihood import negative_log_likelihood
from polylogit.losses.migration import Unexpected, raise_unexpected_arguments
from polylogit.losses.options import Options, Validate
from polylogit.losses.reduction import Reduction
from polylogit.losses.weights import ClassWeight, SampleWeight, as_weight

__all__ = ["OPTIONS", "focal_cross_entropy_with_logits"]

OPTIONS = ("gamma", "class_weight", "sample_weight", "ignore_index", "reduction", "validate")

# exp(-750) is 0 in float64: below it 1 - p is exactly 1, and holding log p here keeps 0 * inf out of the gradient.
_LEAST_LOG_PROBABILITY = -750.0


def focal_cross_entropy_with_logits(
    logits: Shaped[Tensor, "..."],
    targets: Shaped[Tensor, "..."],
    *_positional: Unexpected,
    gamma: float = 2.0,
    class_weight: ClassWeight | None = None,
    sample_weight: SampleWeight | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    validate: Validate = None,
    **_unknown: Unexpected,
) -> Float[Tensor, "..."]:
    """Focal loss of logits over mutually exclusive classes, in nats.

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
        ScoreError: A negative gamma, and every error of `cross_entropy_with_logits`.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0]])
        >>> focal_cross_entropy_with_logits(logits, torch.tensor([0, 1]), reduction="none")
        tensor([0.0457, 0.0008])

    Source: Lin et al., Focal Loss for Dense Object Detection (2017), eq. 5; softmax in place of its sigmoid.
    """
    if _positional or _unknown:
        raise_unexpected_arguments("focal_cross_entropy_with_logits", OPTIONS, _positional, _unknown)
    check_gamma(gamma)
    class_weight = as_weight(class_weight, "class_weight", logits)
    sample_weight = as_weight(sample_weight, "sample_weight", logits)
    options = Options(class_weight, sample_weight, ignore_index, 0.0, reduction, validate)
    return without_autocast(_of_logits, logits, targets, gamma, options)


def _of_logits(logits: Tensor, targets: Tensor, gamma: float, options: Options) -> Tensor:
    def with_factor(log_probabilities: Tensor) -> Tensor:
        rest = -torch.expm1(log_probabilities.clamp_min(_LEAST_LOG_PROBABILITY))
        if gamma < 1:
            # The power's slope is infinite at rest = 0, where p = 1 and the loss is flat: hold it just above.
            rest = rest.clamp_min(torch.finfo(rest.dtype).tiny)
        return rest**gamma * log_probabilities

    return negative_log_likelihood(
        at_least_float32(logits, "logits"),
        targets,
        options,
        to_log_probabilities=log_softmax,
        elementwise=with_factor if gamma else None,
    )


def check_gamma(gamma: float) -> None:
    """Raise ScoreError where gamma is negative or NaN."""
    if not gamma >= 0:
        raise ScoreError(f"gamma: expected 0 or more, got {gamma}. 0 is plain cross-entropy, 2 the usual choice.")
