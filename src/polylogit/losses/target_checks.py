"""Checks of the values of targets and scores: class indices in range, rows that are distributions."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from polylogit.errors import ScoreError
from polylogit.losses.arithmetic import least
from polylogit.losses.targets import LOWEST_PROBABILITY, soft_row_tolerance, where

__all__ = ["check_indices", "check_rows", "check_targets", "explain_indices"]

_SHORT_ROW, _MANY_NUMBERS = 32, 1 << 12


def explain_indices(targets: Shaped[Tensor, "..."], classes: int, ignore_index: int) -> str | None:
    """The message for class indices out of range, or None where each is in range.

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
        fix = "The labels run from 1: subtract 1."
    elif highest >= classes:
        fix = f"The scores need at least {highest + 1} classes, or these labels are wrong."
    else:
        fix = f"To leave rows out, mark them with ignore_index ({ignore_index}) or pass ignore_index={value}."
    return (
        f"targets, {where(position)}: expected a class index from 0 to {classes - 1} (or ignore_index {ignore_index}), "
        f"got {value}. {number} of {targets.numel()} are out of range; all lie from {lowest} to {highest}. {fix}"
    )


def check_indices(targets: Shaped[Tensor, "..."], classes: int, ignore_index: int) -> None:
    """Raise ScoreError where a class index is out of range."""
    if targets.numel() == 0:
        return
    lowest, highest = torch.aminmax(targets)
    if lowest.item() < 0 or highest.item() >= classes:
        message = explain_indices(targets, classes, ignore_index)
        if message is not None:
            raise ScoreError(message)


def check_rows(rows: Float[Tensor, "..."], axis: int, *, name: str = "targets", nan_passes: bool = False) -> None:
    """Raise ScoreError where a row is not a distribution: a negative or non-finite value, or a sum other than 1.

    Args:
        rows: Probabilities over the classes.
        axis: The class axis.
        name: The name of the rows in the message.
        nan_passes: Accept NaN, as in scores.
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
    fix = (
        "Divide each row by its sum; for several classes at once (multi-label), use a binary cross-entropy."
        if name == "targets"
        else "Softmax gives rows that sum to 1; sigmoid does not."
    )
    raise ScoreError(
        f"{name}, {where(position)}: expected probabilities that sum to 1 over the {rows.shape[axis]} classes, "
        f"got a sum of {float(sums[tuple(position)]):g}. {fix}"
    )


def _row_sums(rows: Tensor, axis: int) -> Tensor:
    """Sums over the class axis, in float32 at least."""
    if rows.dtype.itemsize < 4:
        return rows.sum(axis, dtype=torch.float32)
    if rows.dim() == 2 and rows.shape[1] <= _SHORT_ROW and rows.numel() >= _MANY_NUMBERS:
        return rows @ rows.new_ones(rows.shape[1])  # a reduction over a short last axis is scalar, a product is not
    return rows.sum(axis)


def check_targets(resolved: Shaped[Tensor, "..."], axis: int, classes: int, ignore_index: int) -> None:
    """Raise ScoreError where a value of targets is wrong, in either form of `resolve_targets`."""
    if resolved.dtype.is_floating_point:
        check_rows(resolved, axis)
    else:
        check_indices(resolved, classes, ignore_index)
