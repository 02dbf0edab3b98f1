"""Softmax cross-entropy, one function for each kind of score that a network gives.

The same number from three declared kinds of scores: logits, log-probabilities and probabilities. The kind is in the
name of the function; nothing is guessed from the values. Rules that hold for all of them:
- A class with target 0 adds 0, whatever its score; a class that has target mass and probability 0 makes the loss
  infinite. Nothing is added to a probability to hide that.
- The mean is the sum of weighted losses over the sum of weights, and 0 where that sum is 0 (`reduction`).
- Ignored rows and rows of sample weight 0 add 0 to the value and to the gradient, whatever their scores.
- NaN and +inf scores of other rows give NaN. They are not an error: mixed precision meets them and skips the step.
- float16 and bfloat16 scores are computed, and the loss returned, in float32, under autocast too.

See also: `binary`, for two classes with one score a row; `targets`, for the forms of targets.
"""

from jaxtyping import Float, Shaped
from torch import Tensor

from polylogit.errors import ScoreError
from polylogit.losses.arithmetic import at_least_float32
from polylogit.losses.autocast import without_autocast
from polylogit.losses.cpu_losses import (
    LOWEST_LOSS,
    loss_of_log_probabilities,
    loss_of_logits,
    loss_of_probabilities,
    on_cpu,
)
from polylogit.losses.kernels import log_softmax
from polylogit.losses.likelihood import negative_log_likelihood
from polylogit.losses.migration import Unexpected, raise_unexpected_arguments
from polylogit.losses.options import Options, Validate, checks_values
from polylogit.losses.reduction import Reduction
from polylogit.losses.targets import soft_row_tolerance
from polylogit.losses.weights import ClassWeight, SampleWeight, as_weight

__all__ = [
    "OPTIONS",
    "cross_entropy_with_log_probabilities",
    "cross_entropy_with_logits",
    "cross_entropy_with_probabilities",
]

OPTIONS = ("class_weight", "sample_weight", "ignore_index", "label_smoothing", "reduction", "validate")


def cross_entropy_with_logits(
    logits: Shaped[Tensor, "..."],
    targets: Shaped[Tensor, "..."],
    *_positional: Unexpected,
    class_weight: ClassWeight | None = None,
    sample_weight: SampleWeight | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    validate: Validate = None,
    **_unknown: Unexpected,
) -> Float[Tensor, "..."]:
    """Softmax cross-entropy of logits, in nats.

    loss_n = logsumexp_k(logits[n, k]) - sum_k targets[n, k] * logits[n, k]

    Args:
        logits: (N, K), (N, K, d1, ...) or (K,), floating: unnormalised log-probabilities, any real number, -inf for an
            impossible class. The output of a last linear layer, without softmax.
        targets: Class indices (N,) or (N, d1, ...) of any integer dtype; or one-hot or soft rows with the shape of
            the logits.
        class_weight: (K,), a tensor, list or NumPy array: multiplies each class's term of the loss.
        sample_weight: (N,) or the shape of the losses, 0 or more: multiplies each row's loss.
        ignore_index: Class index that marks rows to leave out; -100 as in PyTorch.
        label_smoothing: Between 0 and 1: the share of each target that is spread evenly over all K classes.
        reduction: "none" (a weighted loss per example), "sum", or "mean": the sum over `target_weights(...).sum()`,
            0 where that is 0.
        validate: Whether to check the values of targets and weights and name the row that is wrong. True: in every
            batch. False: never. "first": in the first 8 batches. None: in every batch on a CPU, in the first 8 on other
            devices, where a check waits for the device. Shapes and dtypes are always checked; where values cannot be
            read (compile, export, vmap, fake and meta tensors, CUDA graph capture) nothing else is.

    Returns:
        A scalar, or for "none" one loss per example; float32 at least.

    Raises:
        ScoreError: Targets that fit no form, are out of range or do not sum to 1; an unknown reduction.
        TypeError: An argument that only other libraries' losses have, such as weight; the message names ours.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0]])
        >>> cross_entropy_with_logits(logits, torch.tensor([0, 1]))
        tensor(0.2513)
        >>> cross_entropy_with_logits(logits, torch.tensor([0, 3]))
        Traceback (most recent call last):
        polylogit.errors.ScoreError: targets, row 1: expected a class index from 0 to 2 ...

    Source: Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.4, eq. 4.108.
    """
    if _positional or _unknown:
        raise_unexpected_arguments("cross_entropy_with_logits", OPTIONS, _positional, _unknown)
    if class_weight is not None:
        class_weight = as_weight(class_weight, "class_weight", logits)
    if sample_weight is not None:
        sample_weight = as_weight(sample_weight, "sample_weight", logits)
    options = Options(class_weight, sample_weight, ignore_index, label_smoothing, reduction, validate)
    return without_autocast(_of_logits, logits, targets, options)


def _of_logits(logits: Tensor, targets: Tensor, options: Options) -> Tensor:
    loss = on_cpu(loss_of_logits, logits, targets, options)
    if loss is not None:
        return loss
    scores = at_least_float32(logits, "logits")
    return negative_log_likelihood(scores, targets, options, to_log_probabilities=log_softmax)


def cross_entropy_with_log_probabilities(
    log_probabilities: Shaped[Tensor, "..."],
    targets: Shaped[Tensor, "..."],
    *_positional: Unexpected,
    class_weight: ClassWeight | None = None,
    sample_weight: SampleWeight | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    validate: Validate = None,
    **_unknown: Unexpected,
) -> Float[Tensor, "..."]:
    """Cross-entropy of log-probabilities, in nats.

    loss_n = -sum_k targets[n, k] * log_probabilities[n, k],   with 0 * -inf = 0

    Args:
        log_probabilities: (N, K), (N, K, d1, ...) or (K,), floating: the output of `log_softmax`; at most 0, -inf for
            an impossible class. Logits are not log-probabilities and give a wrong value.
        targets: As in `cross_entropy_with_logits`.
        class_weight: As in `cross_entropy_with_logits`.
        sample_weight: As in `cross_entropy_with_logits`.
        ignore_index: As in `cross_entropy_with_logits`.
        label_smoothing: As in `cross_entropy_with_logits`.
        reduction: As in `cross_entropy_with_logits`.
        validate: As in `cross_entropy_with_logits`; a negative loss is an error too, because such
            scores are not log-probabilities.

    Returns:
        A scalar, or for "none" one loss per example; float32 at least.

    Raises:
        ScoreError: Targets that fit no form, are out of range or do not sum to 1; a negative loss.

    Example:
        >>> import torch
        >>> log_probabilities = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.9, 0.0]]).log()
        >>> cross_entropy_with_log_probabilities(log_probabilities, torch.tensor([0, 1]), reduction="none")
        tensor([0.6931, 0.1054])

    Source: Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.4, eq. 4.108.
    """
    if _positional or _unknown:
        raise_unexpected_arguments("cross_entropy_with_log_probabilities", OPTIONS, _positional, _unknown)
    if class_weight is not None:
        class_weight = as_weight(class_weight, "class_weight", log_probabilities)
    if sample_weight is not None:
        sample_weight = as_weight(sample_weight, "sample_weight", log_probabilities)
    options = Options(class_weight, sample_weight, ignore_index, label_smoothing, reduction, validate)
    return without_autocast(_of_log_probabilities, log_probabilities, targets, options)


def _of_log_probabilities(log_probabilities: Tensor, targets: Tensor, options: Options) -> Tensor:
    loss = on_cpu(loss_of_log_probabilities, log_probabilities, targets, options)
    if loss is not None:
        return loss
    scores = at_least_float32(log_probabilities, "log_probabilities")
    checked = checks_values(options.validate, scores, targets, options.sample_weight)
    loss = negative_log_likelihood(scores, targets, options)
    if checked:
        _check_negative_loss(loss)
    return loss


def _check_negative_loss(loss: Tensor) -> None:
    """Raise ScoreError where a loss is negative by more than rounding: then the scores are not log-probabilities."""
    lowest = loss.detach().amin() if loss.numel() else loss.new_zeros(())
    if lowest.item() < LOWEST_LOSS:
        raise ScoreError(
            f"log_probabilities: expected numbers of at most 0, got a loss of {lowest.item():g}, so some are above 0. "
            "Logits need cross_entropy_with_logits, probabilities need cross_entropy_with_probabilities."
        )


def cross_entropy_with_probabilities(
    probabilities: Shaped[Tensor, "..."],
    targets: Shaped[Tensor, "..."],
    *_positional: Unexpected,
    class_weight: ClassWeight | None = None,
    sample_weight: SampleWeight | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    validate: Validate = None,
    **_unknown: Unexpected,
) -> Float[Tensor, "..."]:
    """Cross-entropy of probabilities, in nats. PyTorch has no loss for K probabilities.

    loss_n = -sum_k targets[n, k] * log(probabilities[n, k]),   with 0 * log 0 = 0

    The rule for p = 0: where the target has mass on it the loss is +inf (and the gradient -inf), because the model
    called impossible what happened; elsewhere it adds 0 with gradient 0. No epsilon is added. Where a network can give
    logits, `cross_entropy_with_logits` is the better loss: a probability rounded to 0 or 1 has lost its
    information.

    Args:
        probabilities: (N, K), (N, K, d1, ...) or (K,), floating: from 0 to 1, each row's sum over the classes 1.
        targets: As in `cross_entropy_with_logits`.
        class_weight: As in `cross_entropy_with_logits`.
        sample_weight: As in `cross_entropy_with_logits`.
        ignore_index: As in `cross_entropy_with_logits`.
        label_smoothing: As in `cross_entropy_with_logits`.
        reduction: As in `cross_entropy_with_logits`.
        validate: As in `cross_entropy_with_logits`; scores that are not probabilities are an error
            too. Only the first 16 rows are read for that: a network gives the same kind of score for every row.

    Returns:
        A scalar, or for "none" one loss per example; float32 at least.

    Raises:
        ScoreError: Targets that fit no form, are out of range or do not sum to 1; scores that are not probabilities.

    Example:
        >>> import torch
        >>> probabilities = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.9, 0.0]])
        >>> cross_entropy_with_probabilities(probabilities, torch.tensor([0, 1]), reduction="none")
        tensor([0.6931, 0.1054])
        >>> cross_entropy_with_probabilities(probabilities, torch.tensor([0, 2]), reduction="none")
        tensor([0.6931,    inf])

    Source: Bishop, Pattern Recognition and Machine Learning (2006), section 4.3.4, eq. 4.108.
    """
    if _positional or _unknown:
        raise_unexpected_arguments("cross_entropy_with_probabilities", OPTIONS, _positional, _unknown)
    if class_weight is not None:
        class_weight = as_weight(class_weight, "class_weight", probabilities)
    if sample_weight is not None:
        sample_weight = as_weight(sample_weight, "sample_weight", probabilities)
    options = Options(class_weight, sample_weight, ignore_index, label_smoothing, reduction, validate)
    return without_autocast(_of_probabilities, probabilities, targets, options)


def _of_probabilities(probabilities: Tensor, targets: Tensor, options: Options) -> Tensor:
    loss = on_cpu(loss_of_probabilities, probabilities, targets, options)
    if loss is not None:
        return loss
    scores = at_least_float32(probabilities, "probabilities")
    tolerance = soft_row_tolerance(probabilities.dtype)
    return negative_log_likelihood(scores, targets, options, probability_tolerance=tolerance)
