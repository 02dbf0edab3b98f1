"""The forms that multi-class targets are taken in.

The dtype and the shape decide which form a target has, never its values:

    class index    any integer dtype, the scores' shape without the class axis      3
    one-hot        bool or integers, the scores' shape                              [0, 0, 0, 1]
    soft rows      floating point, the scores' shape (one-hot given as float too)   [0.1, 0.0, 0.2, 0.7]

The class axis is axis 1, as in PyTorch, and axis 0 where the scores have one axis only.
See also: `target_checks` for the checks of their values, `weights` for their weight in the mean.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Shaped
from torch import Tensor

from polylogit.errors import ScoreError
from polylogit.plural import agreeing, counted

__all__ = [
    "INTEGERS",
    "LOWEST_PROBABILITY",
    "class_axis",
    "resolve_targets",
    "soft_row_tolerance",
    "where",
]

INTEGERS = frozenset(
    {torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16, torch.uint32, torch.uint64}
)
LOWEST_PROBABILITY = -1e-6  # what rounding in a mixture of rows leaves below zero; anything lower is a mistake


def class_axis(scores_shape: Sequence[int]) -> int:
    """The axis that the classes lie on: 1, or 0 for one example without a batch axis."""
    if len(scores_shape) == 0:
        raise ScoreError(
            "scores: expected an axis of classes, shape (N, K), (N, K, d1, ...) or (K,), got a single number. "
            "Keep the class axis of the model's output."
        )
    return 0 if len(scores_shape) == 1 else 1


def soft_row_tolerance(dtype: torch.dtype) -> float:
    """How far the sum of a row of probabilities may be from 1: rounding in its dtype over thousands of classes."""
    return 1e-2 if dtype in (torch.float16, torch.bfloat16) else 1e-3


def where(position: Sequence[int], axis: int | None = None) -> str:
    """A place among the targets for a message: "row 17", or "row 17, position (0, 3)" with further axes."""
    kept = [index for number, index in enumerate(position) if number != axis]
    if not kept:
        return "the only row"
    further = f", position ({', '.join(map(str, kept[1:]))})" if len(kept) > 1 else ""
    return f"row {kept[0]}{further}"


def resolve_targets(targets: Shaped[Tensor, "..."], scores_shape: Sequence[int]) -> Shaped[Tensor, "..."]:
    """Convert targets to one of two forms: int64 class indices, or floating rows over the classes.

    It reads dtype and shape alone, so it costs nothing on any device and can be traced.

    Args:
        targets: Class indices, one-hot rows or soft rows (see the table of this module).
        scores_shape: Shape of the scores: (N, K), (N, K, d1, ...), or (K,) for one example.

    Returns:
        int64 indices with the scores' shape less the class axis, or floating rows with the scores' shape.

    Raises:
        ScoreError: The dtype and shape fit none of the forms.

    Example:
        >>> resolve_targets(torch.tensor([2, 0], dtype=torch.uint8), (2, 3))
        tensor([2, 0])
        >>> resolve_targets(torch.tensor([[False, True]]), (1, 2))
        tensor([[0., 1.]])
    """
    shape, full = tuple(targets.shape), tuple(scores_shape)
    axis = class_axis(full)
    per_example = full[:axis] + full[axis + 1 :]
    dtype = targets.dtype
    if shape == full:
        if dtype.is_floating_point:
            return targets
        if not dtype.is_complex:
            return targets.float()
    elif shape == per_example and dtype in INTEGERS:
        return targets if dtype is torch.int64 else targets.long()
    raise ScoreError(_misfit(shape, dtype, full, per_example))


def _misfit(shape: tuple[int, ...], dtype: torch.dtype, full: tuple[int, ...], per_example: tuple[int, ...]) -> str:
    """The message for a shape or dtype that fits no form, with the likeliest fix."""
    came = f"got shape {shape} of {str(dtype).removeprefix('torch.')}"
    if shape == per_example:
        fix = "Convert the class indices with targets.long()."
        if dtype is torch.bool:
            fix += " For two classes and one logit a row, use binary_cross_entropy_with_logits."
        return f"targets: expected class indices of an integer dtype for scores of shape {full}, {came}. {fix}"
    if shape == full:
        fix = "Pass probabilities of the classes as real numbers."
    elif len(full) > 2 and shape == full[:-1]:
        fix = "The scores seem to have their classes on the last axis: pass scores.movedim(-1, 1)."
    elif shape == (*per_example, 1) or (len(shape) == len(full) and shape[:1] == full[:1] and shape[1:2] == (1,)):
        fix = f"Drop the axis of length 1 with targets.squeeze({1 if len(full) > 1 else -1})."
    elif len(shape) == len(full) and shape[:1] == full[:1] and sorted(shape) == sorted(full):
        fix = "The axes are in another order: classes belong on axis 1."
        if len(full) > 2:
            fix += " Classes on the last axis are moved there with movedim(-1, 1)."
    elif len(shape) == len(full) and shape[:1] == full[:1] and shape[1:2] != full[1:2]:
        fix = f"The rows have {shape[1]} classes and the scores {full[1]}: one-hot encode with num_classes={full[1]}."
    elif len(shape) == len(full) and sorted(shape) == sorted(full):
        fix = "The axes are in another order: classes belong on axis 1."
    elif shape[:1] != full[:1] and len(full) > 1 and len(shape) in (len(full), len(per_example)):
        rows = shape[0] if shape else 0
        there = agreeing(full[0], "There is", "There are")
        fix = (
            f"{there} {counted(full[0], 'row')} of scores and {counted(rows, 'row')} of targets: pair them row by row."
        )
    else:
        fix = "Classes belong on axis 1 of the scores, further axes (d1, ...) after it."
    return f"targets: expected shape {per_example} of class indices, or {full} of one-hot or soft rows, {came}. {fix}"
