"""What a target is: its kind, its check, and its weight in the mean.

Owns the contract of multi-class targets. Three forms are taken, told apart by dtype and shape, never by their values:

    class index    any integer dtype, the scores' shape without the class axis      3
    one-hot        bool or integers, the scores' shape                              [0, 0, 0, 1]
    soft rows      floating point, the scores' shape (one-hot given as float too)   [0.1, 0.0, 0.2, 0.7]

The class axis is axis 1, as in PyTorch, and axis 0 where the scores have one axis only.
Does not own: any loss, and the names of classes (`polylogit.classes`).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from polylogit.errors import ScoreError
from polylogit.losses.arithmetic import least

__all__ = [
    "LOWEST_PROBABILITY",
    "class_axis",
    "explain_indices",
    "resolve_targets",
    "soft_row_tolerance",
    "target_weights",
    "where",
]

_INTEGERS = frozenset(
    {torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16, torch.uint32, torch.uint64}
)
LOWEST_PROBABILITY = -1e-6  # what rounding in a mixture of rows leaves below zero; anything lower is a mistake
_SHORT_ROW, _MANY_NUMBERS = 32, 1 << 12


def class_axis(scores_shape: Sequence[int]) -> int:
    """The axis that the classes lie on: 1, or 0 for one example without a batch axis."""
    if len(scores_shape) == 0:
        raise ScoreError(
            "scores: expected an axis of classes, shape (N, K), (N, K, d1, ...) or (K,), got a single number. "
            "Keep the class axis of the model's output."
        )
    return 0 if len(scores_shape) == 1 else 1


def soft_row_tolerance(dtype: torch.dtype) -> float:
    """How far a row of probabilities may sum from 1: what its dtype rounds to, with room for thousands of classes."""
    return 1e-2 if dtype in (torch.float16, torch.bfloat16) else 1e-3


def where(position: Sequence[int], axis: int | None = None) -> str:
    """Words for a place among the targets: "row 17", or "row 17, position (0, 3)" where there are further axes."""
    kept = [index for number, index in enumerate(position) if number != axis]
    if not kept:
        return "the only row"
    further = f", position ({', '.join(map(str, kept[1:]))})" if len(kept) > 1 else ""
    return f"row {kept[0]}{further}"


def resolve_targets(targets: Shaped[Tensor, "..."], scores_shape: Sequence[int]) -> Shaped[Tensor, "..."]:
    """Bring targets to one of two forms: int64 class indices, or floating rows over the classes.

    Looks at dtype and shape alone, so it costs nothing on any device and can be traced.

    Args:
        targets: Class indices, one-hot rows or soft rows (see the module's table).
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
        return targets if dtype.is_floating_point else targets.to(torch.get_default_dtype())
    if shape == per_example and dtype in _INTEGERS:
        return targets if dtype is torch.int64 else targets.long()
    raise ScoreError(_misfit(shape, dtype, full, per_example))


def _misfit(shape: tuple[int, ...], dtype: torch.dtype, full: tuple[int, ...], per_example: tuple[int, ...]) -> str:
    """Say what is wrong with a shape or dtype that fits no form, with the likeliest mend."""
    came = f"got shape {shape} of {str(dtype).removeprefix('torch.')}"
    if shape == per_example:
        mend = "Convert the class indices with targets.long()."
        if dtype is torch.bool:
            mend += " For two classes and one logit a row, use binary_cross_entropy_with_logits."
        return f"targets: expected class indices of an integer dtype for scores of shape {full}, {came}. {mend}"
    if shape == (*per_example, 1) or (len(shape) == len(full) and shape[:1] == full[:1] and shape[1:2] == (1,)):
        mend = f"Drop the axis of length 1 with targets.squeeze({1 if len(full) > 1 else -1})."
    elif len(shape) == len(full) and shape[:1] == full[:1] and shape[1:2] != full[1:2]:
        mend = f"The rows have {shape[1]} classes and the scores {full[1]}: one-hot encode with num_classes={full[1]}."
    elif len(shape) == len(full) and sorted(shape) == sorted(full):
        mend = "The axes are in another order: classes belong on axis 1."
    elif shape[:1] != full[:1] and len(full) > 1 and len(shape) in (len(full), len(per_example)):
        rows = shape[0] if shape else "no"
        mend = f"There are {full[0]} rows of scores and {rows} rows of targets: pair them row by row."
    else:
        mend = "Classes belong on axis 1 of the scores, further axes (d1, ...) after it."
    return f"targets: expected shape {per_example} of class indices, or {full} of one-hot or soft rows, {came}. {mend}"


def explain_indices(targets: Shaped[Tensor, "..."], classes: int, ignore_index: int) -> str | None:
    """Say what is wrong with class indices, or None where each is in range.

    Args:
        targets: int64 class indices.
        classes: K.
        ignore_index: The index that marks a row to leave out.
    """
    wrong = ((targets < 0) | (targets >= classes)) & (targets != ignore_index)
    number = int(wrong.sum())
    if number == 0:
        return None
    position = torch.nonzero(wrong)[0].tolist()
    value = int(targets[tuple(position)])
    used = targets[targets != ignore_index]
    lowest, highest = int(used.min()), int(used.max())
    if lowest >= 1 and highest == classes:
        mend = "The labels run from 1: subtract 1."
    elif highest >= classes:
        mend = f"The scores need at least {highest + 1} classes, or these labels are wrong."
    else:
        mend = f"To leave rows out, mark them with ignore_index ({ignore_index}) or pass ignore_index={value}."
    return (
        f"targets, {where(position)}: expected a class index from 0 to {classes - 1} (or ignore_index {ignore_index}), "
        f"got {value}. {number} of {targets.numel()} are out of range; all lie from {lowest} to {highest}. {mend}"
    )


def check_indices(targets: Shaped[Tensor, "..."], classes: int, ignore_index: int) -> None:
    """Raise ScoreError where a class index is out of range; one pass over the targets, and one number read back."""
    wrong = ((targets < 0) | (targets >= classes)) & (targets != ignore_index)
    if bool(wrong.any()):
        raise ScoreError(explain_indices(targets, classes, ignore_index))


def check_rows(rows: Float[Tensor, "..."], axis: int, *, name: str = "targets", nan_passes: bool = False) -> None:
    """Raise ScoreError where a row is no distribution: a negative or not finite value, or a sum that is not 1.

    Args:
        rows: Probabilities over the classes.
        axis: The class axis.
        name: What the message calls the rows.
        nan_passes: A NaN is no error, as in scores.
    """
    if rows.numel() == 0:
        return
    rows = rows.detach()
    tolerance = soft_row_tolerance(rows.dtype)
    sums = _row_sums(rows, axis)
    lowest, highest = torch.aminmax(sums)
    # The comparisons are written so that NaN fails them.
    if least(rows) >= LOWEST_PROBABILITY and lowest.item() >= 1 - tolerance and highest.item() <= 1 + tolerance:
        return
    low = rows < LOWEST_PROBABILITY
    off = (sums - 1).abs() > tolerance
    if not nan_passes:
        low |= rows.isnan()
    if bool(low.any()):
        position = torch.nonzero(low)[0].tolist()
        value = float(rows[tuple(position)])
        kind = "one-hot rows and class indices need none" if name == "targets" else "logits need softmax first"
        raise ScoreError(
            f"{name}, {where(position, axis)}, class {position[axis]}: expected a probability from 0 to 1, "
            f"got {value:g}. Make each row non-negative with sum 1 ({kind})."
        )
    if not bool(off.any()):
        return
    position = torch.nonzero(off)[0].tolist()
    mend = (
        "Divide each row by its sum; for several classes at once (multi-label), use a binary cross-entropy."
        if name == "targets"
        else "Softmax gives rows that sum to 1; sigmoid does not."
    )
    raise ScoreError(
        f"{name}, {where(position)}: expected probabilities that sum to 1 over the {rows.shape[axis]} classes, "
        f"got a sum of {float(sums[tuple(position)]):g}. {mend}"
    )


def _row_sums(rows: Tensor, axis: int) -> Tensor:
    """Sums over the class axis, in float32 at least."""
    if rows.dtype.itemsize < 4:
        return rows.sum(axis, dtype=torch.float32)
    if rows.dim() == 2 and rows.shape[1] <= _SHORT_ROW and rows.numel() >= _MANY_NUMBERS:
        return rows @ rows.new_ones(rows.shape[1])  # a reduction over a short last axis is scalar, a product is not
    return rows.sum(axis)


def check_targets(resolved: Shaped[Tensor, "..."], axis: int, classes: int, ignore_index: int) -> None:
    """Raise ScoreError where a value of resolved targets does not hold."""
    if resolved.dtype.is_floating_point:
        check_rows(resolved, axis)
    else:
        check_indices(resolved, classes, ignore_index)


def check_sample_weight(sample_weight: Shaped[Tensor, "..."]) -> None:
    """Raise ScoreError where a sample weight is negative or NaN."""
    if sample_weight.numel() and not least(sample_weight.detach()) >= 0:
        position = torch.nonzero(~(sample_weight >= 0))[0].tolist()
        value = float(sample_weight[tuple(position)])
        raise ScoreError(
            f"sample_weight, {where(position)}: expected a weight of 0 or more, got {value:g}. "
            "Give 0 to leave a row out of the loss."
        )


def broadcast_sample_weight(sample_weight: Shaped[Tensor, "..."], losses_shape: Sequence[int]) -> Shaped[Tensor, "..."]:
    """Lay weights per row, (N,), beside losses per position, (N, d1, ...); the full shape passes as it is."""
    shape, wanted = tuple(sample_weight.shape), tuple(losses_shape)
    if shape == wanted:
        return sample_weight
    if len(shape) == 1 and shape == wanted[:1]:
        return sample_weight.reshape(-1, *[1] * (len(wanted) - 1)).expand(wanted)
    per_row = f"({wanted[0]},)" if wanted else "()"
    raise ScoreError(
        f"sample_weight: expected one weight per row, shape {per_row}{f' or {wanted}' if len(wanted) > 1 else ''}, "
        f"got shape {shape}."
    )


def check_class_weight(class_weight: Shaped[Tensor, "..."], classes: int) -> None:
    """Raise ScoreError where the shape is not (K,)."""
    if tuple(class_weight.shape) != (classes,):
        raise ScoreError(
            f"class_weight: expected one weight per class, shape ({classes},), got shape {tuple(class_weight.shape)}."
        )


def target_weights(
    targets: Shaped[Tensor, "..."],
    scores_shape: Sequence[int],
    *,
    class_weight: Float[Tensor, " K"] | None = None,
    sample_weight: Float[Tensor, "..."] | None = None,
    ignore_index: int = -100,
) -> Float[Tensor, "..."]:
    """The weight of each target in the mean; their sum is what a weighted mean divides by.

    weight_n = sample_weight[n] * class_weight[y_n]                        class indices (0 where y_n is ignore_index)
    weight_n = sample_weight[n] * sum_k targets[n, k] * class_weight[k]    one-hot and soft rows

    It needs no scores, only their shape. So a batch that is cut into parts (accumulated steps, several ranks) has the
    same objective as a whole one: add up `reduction="sum"` losses and these weights, then divide once.

    Args:
        targets: Class indices, one-hot or soft rows; any device.
        scores_shape: (N, K), (N, K, d1, ...) or (K,): the shape that the model's scores have or will have.
        class_weight: (K,), floating; 1 where not given.
        sample_weight: (N,) or the shape of the losses; 1 where not given.
        ignore_index: Class index that marks rows to leave out.

    Returns:
        Weights, with the scores' shape less the class axis; float32 at least.

    Raises:
        ScoreError: A shape or dtype does not fit.

    Example:
        >>> target_weights(torch.tensor([0, 1, -100]), (3, 2), class_weight=torch.tensor([1.0, 3.0]))
        tensor([1., 3., 0.])
    """
    resolved = resolve_targets(targets, scores_shape)
    axis = class_axis(scores_shape)
    if class_weight is not None:
        check_class_weight(class_weight, scores_shape[axis])
    return weights_of(resolved, axis, class_weight, sample_weight, ignore_index)


def weights_of(
    resolved: Shaped[Tensor, "..."],
    axis: int,
    class_weight: Float[Tensor, " K"] | None,
    sample_weight: Float[Tensor, "..."] | None,
    ignore_index: int,
) -> Float[Tensor, "..."]:
    """`target_weights` of targets that are resolved already."""
    if resolved.dtype.is_floating_point:
        rows = resolved.float() if resolved.dtype.itemsize < 4 else resolved
        if class_weight is None:
            # A soft row is one example, whatever rounding has made of its sum.
            weights = rows.new_ones(rows.shape[:axis] + rows.shape[axis + 1 :])
        else:
            weights = torch.tensordot(rows, class_weight.to(rows.dtype), dims=([axis], [0]))
    else:
        kept = resolved != ignore_index
        if class_weight is None:
            weights = kept.to(torch.get_default_dtype())
        else:
            wide = class_weight.float() if class_weight.dtype.itemsize < 4 else class_weight
            weights = torch.where(kept, wide[torch.where(kept, resolved, 0)], 0)
    if sample_weight is not None:
        weights = weights * broadcast_sample_weight(sample_weight, weights.shape)
    return weights
