"""Options that the losses share, and when the values of a batch are checked."""

from collections import Counter
from typing import Literal, NamedTuple

from torch import Tensor

from polylogit.errors import ScoreError
from polylogit.losses.reduction import Reduction
from polylogit.system.tensor_values import values_can_be_read

__all__ = ["FIRST_BATCHES", "Options", "Validate", "check_validate", "checks_values", "count_checked_batch"]

Validate = bool | Literal["first"] | None
"""True: check every batch; False: none; "first": the first 8; None: every batch on a CPU, the first 8 elsewhere."""

FIRST_BATCHES = 8
_checked_batches: Counter[tuple[object, ...]] = Counter()


class Options(NamedTuple):
    """The options of a loss over a class axis, as `cross_entropy_with_logits` documents them."""

    class_weight: Tensor | None = None
    sample_weight: Tensor | None = None
    ignore_index: int = -100
    label_smoothing: float = 0.0
    reduction: Reduction = "mean"
    validate: Validate = None


def check_validate(validate: object) -> None:
    """Raise ScoreError where the option is none of True, False, "first" and None."""
    if not (validate is None or isinstance(validate, bool) or validate == "first"):
        raise ScoreError(f'validate: expected True, False, "first" or None, got {validate!r}.')


def checks_values(validate: Validate, scores: Tensor, *others: Tensor | None) -> bool:
    """Whether the values of this batch are to be checked: they are wanted, and they can be read.

    A check has to wait for the device. On a CPU that costs nothing; elsewhere it stops the queue of operations, so by
    default only the first batches are checked: the first 8 of each combination of device, dtypes, number of axes and
    number of classes in this process.

    Args:
        validate: The caller's option.
        scores: The scores.
        others: Targets and weights, whose values are read too.
    """
    if validate is False or not values_can_be_read(scores, *others):
        return False
    if validate is True or (validate is None and scores.is_cpu):
        return True
    check_validate(validate)
    return _checked_batches[_signature(scores, *others)] < FIRST_BATCHES


def count_checked_batch(validate: Validate, scores: Tensor, *others: Tensor | None) -> None:
    """Count a batch that has passed its checks, where only the first ones are checked."""
    if not isinstance(validate, bool):
        _checked_batches[_signature(scores, *others)] += 1


def _signature(scores: Tensor, *others: Tensor | None) -> tuple[object, ...]:
    tensors = [tensor for tensor in (scores, *others) if tensor is not None]
    described = tuple((str(tensor.device), tensor.dtype, tensor.dim()) for tensor in tensors)
    return described, scores.shape[1] if scores.dim() > 1 else scores.shape
