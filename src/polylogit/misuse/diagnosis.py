"""Diagnosis of one batch: a model, its loss, inputs and targets.

See also: `probes.py` (calls of the model), `score_checks.py`, `target_checks.py`, `gradient_checks.py`.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from polylogit.misuse.contracts import (
    is_known,
    kind_of,
    log_is_missing,
    softmax_inside_twice,
    takes_integer_rows,
    unwrap,
)
from polylogit.misuse.findings import Diagnosis, MisuseFinding
from polylogit.misuse.forms import as_rows, constant_rows
from polylogit.misuse.gradient_checks import cut_gradient_findings, nonfinite_findings, one_hot_scores
from polylogit.misuse.probes import Probe
from polylogit.misuse.score_checks import (
    logits_by_chance_from_0_to_1,
    loss_forgets_the_log,
    loss_is_softmax_twice,
    score_findings,
)
from polylogit.misuse.target_checks import target_findings

__all__ = ["diagnose", "findings_of_scores", "parameters_unchanged", "stuck_at_log_k"]

# One batch of scores may lie from 0 to 1 by chance; only a model that is asked again shows whether it must.
_NEEDS_THE_MODEL = ("sigmoid-outputs", "sigmoid-twice", "softmax-over-positions", "softmax-over-rows")

# Where in the batch rows are changed, to see what heeds them: turned axes leave the first and the last row in their
# place, and with few classes those at the half, thirds, quarters, ... of the batch too.
_PROBED_SHARES = (0.0, 0.19, 0.37, 0.71)

_ROWS = 256  # of a batch are looked at; the labels are looked at all


def diagnose(
    model: Callable[..., Any],
    loss: Callable[..., Any],
    inputs: Any,  # noqa: ANN401 - whatever the model takes
    targets: Tensor,
) -> Diagnosis:
    """Say what is wrong with this model, loss and batch, from the numbers.

    Nothing is changed: the model is asked in its own mode on a copy of its buffers, gradients and random generators
    stay as they are. It makes about ten passes over at most 256 rows, so call it once before training.

    Args:
        model: An `nn.Module`, compiled or not, or any callable from inputs to scores.
        loss: Called as loss(scores, targets): a loss of PyTorch or polylogit, module or function, or one of your own.
        inputs: A tensor, or a tuple or mapping of the model's arguments.
        targets: As the loss gets them.

    Returns:
        The findings, surest first; empty (and false) where nothing wrong was seen.

    Raises:
        TypeError: The model gives something else than one tensor.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Softmax(dim=1))
        >>> inputs, targets = torch.arange(8.0).reshape(2, 4), torch.tensor([0, 2])
        >>> diagnose(model, torch.nn.CrossEntropyLoss(), inputs, targets).codes
        ('softmax-twice',)
        >>> print(diagnose(model[0], torch.nn.CrossEntropyLoss(), inputs, targets))
        Nothing wrong was seen.
    """
    findings = list(_findings(model, loss, inputs, targets))
    return Diagnosis(sorted(findings, key=lambda finding: -finding.confidence))


def _findings(
    model: Callable[..., Any],
    loss: Callable[..., Any],
    inputs: Any,  # noqa: ANN401 - whatever the model takes
    targets: Tensor,
) -> Iterator[MisuseFinding]:
    targets = targets.detach()
    ignore_index = getattr(unwrap(loss), "ignore_index", -100)
    few_inputs, few_targets = _first_rows(inputs, targets)
    probe = Probe(model, few_inputs)
    try:
        scores = probe.scores()
    except (RuntimeError, ValueError, IndexError):
        if few_targets is targets:
            raise
        # A model that knows its rows, like the nodes of a graph, takes all of them or none.
        few_targets, probe = targets, Probe(model, inputs)
        scores = probe.scores()
    value = _value(loss, scores, few_targets)
    if broken := list(nonfinite_findings(model, few_inputs, scores, few_targets, value)):
        yield from broken
        return
    cut = list(cut_gradient_findings(probe, lambda given: loss(given, few_targets), scores))
    yield from cut
    if one_hot_scores(scores) and cut:
        return  # an argmax explains what its scores look like
    kind = kind_of(loss, scores, few_targets)

    integer_rows = takes_integer_rows(loss)
    about_targets = list(target_findings(scores, few_targets, kind, ignore_index, integer_rows=integer_rows))
    about_targets = _without_forms_of_the_users(loss, value, about_targets)
    if not about_targets and few_targets is not targets:
        stand_in = scores[:1].expand(len(targets), *scores.shape[1:])
        about_targets = list(target_findings(stand_in, targets, kind, ignore_index, integer_rows=integer_rows))
    yield from about_targets
    if scores.numel() == 0 or not bool(scores.isfinite().any()):
        return
    redrawn = probe.redrawn()
    about_scores = list(score_findings([scores, *redrawn], few_targets, kind, value))
    if kind == "binary_probabilities" and not about_scores:
        larger = probe.on_larger_inputs()
        if larger is not None and redrawn:
            about_scores = list(logits_by_chance_from_0_to_1(scores, [*redrawn, larger]))
    yield from about_scores
    yield from _about_the_loss(loss, scores, few_targets, explained=bool(about_targets or about_scores))
    yield from _mixed_rows(probe, scores)
    if not about_targets and not cut and constant_rows(scores):
        yield from _constant_scores(probe, loss, scores, few_targets, value)


def findings_of_scores(loss: Callable[..., Any], scores: Tensor, targets: Tensor) -> Iterator[MisuseFinding]:
    """What can be found without a model: from scores as the loss gets them, where a loop has changed the model's.

    Args:
        loss: As in `diagnose`.
        scores: What the loss gets.
        targets: What the loss gets.
    """
    scores, targets = scores.detach(), targets.detach()
    ignore_index = getattr(unwrap(loss), "ignore_index", -100)
    value = _value(loss, scores, targets)
    if broken := list(nonfinite_findings(loss, (), scores, targets, value)):
        yield from broken
        return
    kind = kind_of(loss, scores, targets)
    about_targets = list(target_findings(scores, targets, kind, ignore_index, integer_rows=takes_integer_rows(loss)))
    about_targets = _without_forms_of_the_users(loss, value, about_targets)
    yield from about_targets
    if scores.numel() == 0 or not bool(scores.isfinite().any()):
        return
    about_scores = [
        finding
        for finding in score_findings([scores], targets, kind, _value(loss, scores, targets))
        if finding.code not in _NEEDS_THE_MODEL
    ]
    yield from about_scores
    yield from _about_the_loss(loss, scores, targets, explained=bool(about_targets or about_scores))


def _without_forms_of_the_users(
    loss: Callable[..., Any], value: float, findings: list[MisuseFinding]
) -> list[MisuseFinding]:
    """Leave out doubts about the form of targets that a loss of the user's own takes, such as pairs for mixup."""
    if is_known(loss) or math.isnan(value):
        return findings
    return [finding for finding in findings if finding.code != "one-hot-or-index"]


def _about_the_loss(
    loss: Callable[..., Any], scores: Tensor, targets: Tensor, *, explained: bool
) -> Iterator[MisuseFinding]:
    """What a loss does wrong by itself, and that it refuses what it gets where nothing else has explained that."""
    floor = softmax_inside_twice(loss, scores, targets)
    if floor is not None:
        yield loss_is_softmax_twice(floor, scores.shape[1])
    elif log_is_missing(loss, scores, targets):
        yield loss_forgets_the_log(scores.shape[1])
    if explained or not is_known(loss):
        return
    try:
        with torch.no_grad():
            loss(scores, targets)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        said = str(error).partition("\n")[0]
        yield MisuseFinding(
            "loss-refuses",
            f"the loss raises {type(error).__name__}: {said}",
            f"scores of shape {tuple(scores.shape)} and {scores.dtype} do not go with targets of shape "
            f"{tuple(targets.shape)} and {targets.dtype}",
            "an error at the first step",
            "Class indices: (N,) of int64 beside scores (N, K). One score for each question: floats of the same shape.",
            0.99,
        )


def _first_rows(inputs: Any, targets: Tensor) -> tuple[Any, Tensor]:  # noqa: ANN401
    """At most `_ROWS` rows, where inputs are one tensor with a row for each target."""
    pair = isinstance(inputs, Tensor) and inputs.dim() and targets.dim() and len(inputs) == len(targets)
    return (inputs[:_ROWS], targets[:_ROWS]) if pair and len(targets) > _ROWS else (inputs, targets)


def _value(loss: Callable[..., Any], scores: Tensor, targets: Tensor) -> float:
    """Mean loss of the batch, NaN where the loss refuses it (the checks of targets and scores say why)."""
    try:
        with torch.no_grad():
            return float(torch.as_tensor(loss(scores, targets)).cpu().double().mean())
    except (RuntimeError, ValueError, IndexError, TypeError):
        return math.nan


def _mixed_rows(probe: Probe, scores: Tensor) -> Iterator[MisuseFinding]:
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


def _constant_scores(
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


def parameters_unchanged(steps: int) -> MisuseFinding:
    """The finding for a model whose parameters are the same to the last bit after many losses with gradients."""
    return MisuseFinding(
        "parameters-unchanged",
        f"after {steps} losses with gradients, each trainable parameter is what it was",
        "no optimizer step has reached the model, and its gradients are never cleared: another model's parameters were "
        "given to the optimizer, or step() is not called",
        "nothing is learned",
        "Make the optimizer from this model's parameters() and call its step() after backward().",
        0.9,
    )


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
