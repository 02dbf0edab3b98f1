"""Findings about rows of scores: rows that depend on other rows' inputs, and rows that are all the same.

See also: `probes.py`, which changes one row at a time.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from polylogit.misuse.findings import MisuseFinding
from polylogit.misuse.forms import as_rows, constant_rows
from polylogit.misuse.probes import Probe

__all__ = ["constant_scores", "joined_rows", "mixed_rows", "stuck_at_log_k"]

# Where in the batch rows are changed, to see what heeds them: turned axes leave the first and the last row in their
# place, and with few classes those at the half, thirds, quarters, ... of the batch too.
_PROBED_SHARES = (0.0, 0.19, 0.37, 0.71)


def mixed_rows(probe: Probe, scores: Tensor) -> Iterator[MisuseFinding]:
    """A row of scores that heeds another row's inputs and not its own has been moved by a view or reshape."""
    rows = len(probe.inputs) if isinstance(probe.inputs, Tensor) and probe.inputs.dim() else 0
    if rows < 2 or scores.dim() == 0 or len(scores) % rows:
        return
    per_row = len(scores) // rows
    strays = []
    probed = sorted({max(1, int(share * rows)) for share in _PROBED_SHARES})
    for row in probed:
        try:
            changed = probe.changed_rows(row)
        except (RuntimeError, ValueError):
            return
        if changed is None:
            return
        own = torch.zeros_like(changed)
        own[row * per_row : (row + 1) * per_row] = True
        stray = changed & ~own
        if bool(stray.any()) and not bool(changed[own].all()):
            strays.append((row, int(torch.nonzero(stray)[0, 0])))
        elif not strays and row > 1:
            return
    if 2 * len(strays) <= len(probed) or not probe.takes_fewer_rows():
        return
    row, stray_row = max(strays)
    yield MisuseFinding(
        "shuffled-rows",
        f"changing row {row} of the inputs changes row {stray_row} of the scores, and not all of its own",
        "a view or reshape in the model has mixed the batch axis with another, so scores and targets do not pair",
        "inputs are trained on the labels of others: at best the model learns how often each class occurs",
        "Use permute or movedim to change the order of axes; view and reshape keep the order in memory.",
        0.95,
    )


def joined_rows(probe: Probe, scores: Tensor) -> Iterator[MisuseFinding]:
    """The finding for a recurrent or attention layer that reads the axis of rows as that of positions.

    Args:
        probe: The model and the inputs.
        scores: The scores of the batch.
    """
    inputs = probe.inputs
    if not isinstance(inputs, Tensor) or inputs.dim() < 2 or len(inputs) < 4 or scores.dim() < 2:
        return
    if len(scores) != len(inputs) or scores.shape[1] == len(inputs):
        return  # scores of rows against rows, as in contrastive losses, depend on other rows on purpose
    layer = _positions_first(probe.model)
    if layer is None:
        yield from _mixed_pictures(probe, scores)
        return
    row = len(inputs) // 2
    changed = probe.changed_rows(row, evaluating=True)
    if changed is None or int(changed.sum()) <= int(changed[row]):
        return
    others = changed.nonzero()[:, 0].tolist()
    yield MisuseFinding(
        "batch-axis",
        f"changing row {row} of the inputs changes the scores of {len(others)} rows, {others[:3]} and so on; {layer} "
        "has batch_first=False",
        "without batch_first=True such a layer reads axis 0 as positions and axis 1 as rows",
        "a row's scores depend on the rows beside it in the batch, and its own positions are not read in order",
        "Pass batch_first=True, or transpose(0, 1) before and after the layer.",
        0.9,
    )


def _mixed_pictures(probe: Probe, scores: Tensor) -> Iterator[MisuseFinding]:
    """The finding for pictures whose scores all change with any one of them; rows of numbers may be a graph's nodes."""
    if probe.inputs.dim() < 4 or not probe.takes_fewer_rows():
        return
    rows = sorted({max(1, int(share * len(scores))) for share in _PROBED_SHARES})
    for row in rows:
        changed = probe.changed_rows(row, evaluating=True)
        if changed is None or not bool(changed.all()):
            return
    yield MisuseFinding(
        "shuffled-rows",
        f"changing any of the rows {', '.join(map(str, rows))} of the inputs changes the scores of all {len(scores)}",
        "a view or reshape in the model has mixed the batch axis with another: every row's features hold parts of all",
        "predictions depend on the other rows of the batch, and hardly anything is learned",
        "Use permute or movedim to change the order of axes, and flatten(1) to lay the features of a row out.",
        0.8,
    )


def _positions_first(model: object) -> str | None:
    """The name of a recurrent or attention layer with positions on axis 0; None where there is none."""
    if not isinstance(model, nn.Module):
        return None
    kinds = (nn.RNNBase, nn.MultiheadAttention)
    layers = (type(part).__name__ for part in model.modules() if isinstance(part, kinds) and not part.batch_first)
    return next(layers, None)


def constant_scores(
    probe: Probe, loss: Callable[..., Any], scores: Tensor, targets: Tensor, value: float
) -> Iterator[MisuseFinding]:
    """Rows that are all the same, and stay so after a step: no start, but the end."""
    if isinstance(probe.inputs, Tensor) and probe.inputs.dim() and bool((probe.inputs == probe.inputs[:1]).all()):
        return  # the same row over and over: the model cannot but answer the same
    if probe.has_parameters:
        try:
            stepped = probe.one_step(lambda moved: loss(moved, targets))
        except (RuntimeError, ValueError, IndexError, TypeError):
            stepped = None
        if stepped is not None and not constant_rows(stepped):
            return
    rows = as_rows(scores)
    yield MisuseFinding(
        "constant-scores",
        f"all {len(rows)} rows of scores are the same, {[round(number, 4) for number in rows[0].tolist()[:5]]}, "
        "and a step against the gradient leaves them so",
        "the model's answer does not depend on its inputs: a dead layer, inputs multiplied by 0, or a cut gradient",
        f"the loss ({value:.4f}) cannot fall below the entropy of the class frequencies",
        "Look for units that are 0 in all rows, a .detach() or .data on the way, and the scale of the inputs.",
        0.95 if probe.has_parameters else 0.8,
    )
    classes = rows.shape[1]
    if classes > 1 and math.isclose(value, math.log(classes), rel_tol=0.01):
        yield stuck_at_log_k(value, classes, "and a step against the gradient does not change that")


def stuck_at_log_k(value: float, classes: int, when: str) -> MisuseFinding:
    """The finding for a loss that stays where guessing is.

    Args:
        value: The loss.
        classes: K.
        when: Words for how long, or why it will stay.
    """
    return MisuseFinding(
        "loss-at-log-k",
        f"the loss is {value:.4f}, log {classes} = {math.log(classes):.4f}, {when}",
        "log K is the loss of giving every class the same probability: nothing of the inputs has been used",
        "the model guesses",
        "Check that the optimizer has the parameters, that gradients reach them, and that rows and labels pair.",
        0.9,
    )
