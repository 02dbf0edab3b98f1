"""Findings about targets: out of range, counted from 1, one-hot against class index, axes in the wrong place.

See also: `score_checks.py`.
"""

from collections.abc import Iterator

from torch import Tensor

from polylogit.losses.targets import soft_row_tolerance
from polylogit.misuse.contracts import Kind
from polylogit.misuse.findings import MisuseFinding

__all__ = ["smoothing_of_soft_rows", "target_findings", "unused_outputs"]


def target_findings(
    scores: Tensor, targets: Tensor, kind: Kind | None, ignore_index: int, *, integer_rows: bool = False
) -> Iterator[MisuseFinding]:
    """Findings about targets for a loss of this kind.

    Args:
        scores: The model's output; its shape is what counts.
        targets: As the loss gets them.
        kind: What the loss takes.
        ignore_index: Class index that the loss leaves out.
        integer_rows: The loss takes one-hot rows of integers.
    """
    binary = kind in ("binary_logits", "binary_probabilities")
    if scores.dim() == 0 or targets.numel() == 0:
        return
    shape, wanted = tuple(targets.shape), tuple(scores.shape)
    if shape[:1] != wanted[:1]:
        yield from _rows_do_not_pair(shape, wanted)
    elif binary or (kind is None and targets.is_floating_point() and shape != wanted):
        yield from _binary_targets(targets, wanted)
    elif kind is None and shape == wanted:
        return  # a loss of somebody's own may take any numbers beside its scores
    elif scores.dim() > 1:
        yield from _class_targets(targets, wanted, ignore_index, integer_rows=integer_rows)


def _rows_do_not_pair(shape: tuple[int, ...], wanted: tuple[int, ...]) -> Iterator[MisuseFinding]:
    transposed = len(shape) == 2 and shape == wanted[:2][::-1]
    fix = (
        "Transpose the targets: targets.T." if transposed else "Keep the batch on axis 0 of inputs, scores and targets."
    )
    yield MisuseFinding(
        "shuffled-rows",
        f"scores have shape {wanted} and targets {shape}: {wanted[0]} rows against {shape[0] if shape else 'none'}",
        "row n of the targets has to belong to row n of the scores",
        "a reshape that only makes the numbers fit pairs inputs with the labels of others, and nothing can be learned",
        fix,
        0.95,
    )


def _binary_targets(targets: Tensor, wanted: tuple[int, ...]) -> Iterator[MisuseFinding]:
    shape = tuple(targets.shape)
    if len(wanted) == 2 and wanted[1] > 1 and shape in ((wanted[0],), (wanted[0], 1)):
        yield MisuseFinding(
            "one-hot-or-index",
            f"scores have shape {wanted} and targets {shape}",
            "a binary cross-entropy takes a target for each score; these look like one class index per row",
            "an error, or every row paired with every target",
            f"One class per row: use cross_entropy_with_logits. Otherwise one-hot encode with num_classes={wanted[1]}.",
            0.95,
        )
        return
    if shape != wanted:
        squeeze = "scores" if wanted == (*shape, 1) else "targets"
        yield MisuseFinding(
            "shuffled-rows",
            f"scores have shape {wanted} and targets {shape}",
            "where shapes differ by an axis of length 1, arithmetic pairs every score with every target",
            f"{wanted[0]} x {shape[0] if shape else 1} pairs instead of {wanted[0]}, or an error",
            f"Drop the axis: {squeeze}.squeeze(-1).",
            0.95,
        )
    lowest, highest = float(targets.min()), float(targets.max())
    if lowest < 0 or highest > 1:
        from_one = (lowest, highest) == (1.0, 2.0)
        yield MisuseFinding(
            "labels-from-1" if from_one else "labels-out-of-range",
            f"binary targets from {lowest:g} to {highest:g}",
            "a binary cross-entropy takes the probability of class 1, from 0 to 1",
            "the loss has no lower bound, and training drives the scores to infinity",
            "Subtract 1 from the targets."
            if from_one
            else "Map the targets to 0 and 1; (targets + 1) / 2 where they are -1 and 1.",
            0.99,
        )


def _class_targets(
    targets: Tensor, wanted: tuple[int, ...], ignore_index: int, *, integer_rows: bool
) -> Iterator[MisuseFinding]:
    shape, classes = tuple(targets.shape), wanted[1]
    per_example = (wanted[0], *wanted[2:])
    if shape == wanted:
        yield from _rows_of_classes(targets, integer_rows=integer_rows)
    elif shape == per_example and not targets.is_floating_point():
        yield from _class_indices(targets, classes, ignore_index)
    elif shape == per_example:
        yield MisuseFinding(
            "one-hot-or-index",
            f"class indices as {str(targets.dtype).removeprefix('torch.')}",
            "floating targets are read as rows of probabilities, class indices have to be integers",
            "an error from PyTorch's loss",
            "Convert them: targets.long().",
            0.95,
        )
    elif len(wanted) > 2 and shape == wanted[:-1]:
        yield MisuseFinding(
            "class-axis",
            f"scores of shape {wanted} with targets {shape}: the classes seem to lie on the last axis",
            "the loss takes classes on axis 1",
            "an error, or where the axes happen to be equally long, a softmax over the wrong one",
            "Move the axis: scores.movedim(-1, 1).",
            0.9,
        )
    else:
        column = shape == (*per_example, 1)
        yield MisuseFinding(
            "one-hot-or-index",
            f"targets of shape {shape} for scores of shape {wanted}",
            f"a softmax loss takes class indices {per_example} or rows over the classes {wanted}",
            "an error from PyTorch's loss, or every row paired with every target",
            "Drop the axis of length 1: targets.squeeze(1)."
            if column
            else f"One-hot encode with num_classes={classes}.",
            0.95,
        )


def _rows_of_classes(targets: Tensor, *, integer_rows: bool) -> Iterator[MisuseFinding]:
    if not targets.is_floating_point() and not integer_rows:
        yield MisuseFinding(
            "one-hot-or-index",
            f"one-hot rows as {str(targets.dtype).removeprefix('torch.')}",
            "PyTorch's losses read integers as class indices; rows over the classes have to be floating point",
            "an error from PyTorch's loss (polylogit's take them)",
            "Give class indices, targets.argmax(1), or floats, targets.float().",
            0.9,
        )
    sums = targets.cpu().double().sum(1)
    slack = soft_row_tolerance(targets.dtype)
    wrong = ((sums - 1).abs() > slack) | (targets.cpu().double() < -slack).any(1)
    if bool(wrong.any()):
        number, worst = int(wrong.sum()), float(sums[wrong][0])
        yield MisuseFinding(
            "rows-are-no-distributions",
            f"{number} of {wrong.numel()} rows of targets do not sum to 1 (the first of them to {worst:g})",
            "a softmax loss takes one distribution over the classes per row; PyTorch does not check",
            "each row is weighted by its sum, and several classes at once compete where they should not",
            "Divide rows by their sum; for several labels at once use a binary cross-entropy with logits.",
            0.95,
        )


def _class_indices(targets: Tensor, classes: int, ignore_index: int) -> Iterator[MisuseFinding]:
    used = targets[targets != ignore_index]
    if used.numel() == 0:
        return
    lowest, highest = int(used.min()), int(used.max())
    if lowest >= 0 and highest < classes:
        return
    outside = int(((used < 0) | (used >= classes)).sum())
    from_one = lowest >= 1 and highest == classes
    yield MisuseFinding(
        "labels-from-1" if from_one else "labels-out-of-range",
        f"class indices from {lowest} to {highest} for {classes} classes; {outside} of {used.numel()} are out of range",
        f"class indices run from 0 to {classes - 1}",
        "an error on a CPU, a device assert that ends the process on a GPU",
        "Subtract 1: targets - 1."
        if from_one
        else f"Give the model {highest + 1} outputs, or correct the labels."
        if lowest >= 0
        else f"Pass ignore_index={lowest} to the loss if that marks rows to leave out.",
        0.99,
    )


def smoothing_of_soft_rows(targets: Tensor, smoothing: float) -> Iterator[MisuseFinding]:
    """The finding for label smoothing of rows that have been smoothed already, or are a teacher's.

    Mixed one-hot rows, as mixup gives them, still have zeros, and are smoothed rightly.

    Args:
        targets: Soft rows (N, K).
        smoothing: The loss's label smoothing.
    """
    if not smoothing or targets.dim() != 2 or not targets.is_floating_point() or targets.shape[1] < 3:
        return
    if len(targets) == 0 or not bool((targets > 0).all()):
        return
    least = targets.min(1, keepdim=True).values
    tied = bool(((targets - least).abs() < 1e-6).sum(1).ge(targets.shape[1] - 2).all())
    yield MisuseFinding(
        "smoothing-twice",
        f"label_smoothing is {smoothing:g}, and all {targets.numel()} numbers of the soft rows are above 0"
        + (f" (the least is {float(least.min()):.3g})" if tied else ""),
        "label smoothing is for one-hot rows: these rows are smoothed already, or are a teacher's probabilities",
        "the targets are flattened a second time, and the probabilities that are learned are too low",
        "Pass label_smoothing=0 for soft rows.",
        0.9 if tied else 0.6,
    )


def unused_outputs(classes: int, used: Tensor, rows: int) -> Iterator[MisuseFinding]:
    """The finding for a model with at least twice as many outputs as classes, where the labels are the first ones.

    Args:
        classes: Number of outputs.
        used: The labels that occur, each once.
        rows: Number of rows in which they occur.
    """
    highest = int(used.max()) if len(used) else 0
    if len(used) < 2 or len(used) != highest + 1 or 2 * len(used) > classes or rows < 8 * len(used):
        return
    yield MisuseFinding(
        "unused-outputs",
        f"{classes} outputs for {rows} labels that are all from 0 to {highest}",
        "each class has one output; a head of another task may have been left in place",
        "outputs without a class take probability from the others until the model has learned to avoid them",
        f"Give the last layer {highest + 1} outputs, if there are no other classes.",
        0.6,
    )
