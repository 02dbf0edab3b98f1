"""Diagnosis of one batch: a model, its loss, inputs and targets.

See also: `probes.py` (calls of the model), `score_checks.py`, `target_checks.py`, `gradient_checks.py`.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from polylogit.misuse.call_checks import call_findings, loss_value
from polylogit.misuse.contracts import is_known, kind_of, option_of
from polylogit.misuse.dropout_calls import dropout_always_on
from polylogit.misuse.findings import Diagnosis, MisuseFinding
from polylogit.misuse.forms import constant_rows
from polylogit.misuse.gradient_checks import cut_gradient_findings, nonfinite_findings, one_hot_scores, zero_gradient
from polylogit.misuse.input_checks import unscaled_inputs
from polylogit.misuse.kept_state import module_state_kept, random_state_kept
from polylogit.misuse.layer_checks import axis_findings, dropout_on_scores, identical_units, unregistered_layers
from polylogit.misuse.layer_probes import gradients_of
from polylogit.misuse.probes import Probe
from polylogit.misuse.row_checks import constant_scores, joined_rows, mixed_rows
from polylogit.misuse.score_checks import logits_by_chance_from_0_to_1
from polylogit.misuse.sequence_checks import next_token_findings, padding_in_loss
from polylogit.misuse.target_checks import unused_outputs

__all__ = ["diagnose", "findings_of_model", "findings_of_scores"]

_ROWS = 256  # of a batch are looked at; the labels are looked at all


def diagnose(
    model: Callable[..., Any],
    loss: Callable[..., Any],
    inputs: Any,  # noqa: ANN401 - whatever the model takes
    targets: Any,  # noqa: ANN401 - whatever the loss takes
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
        >>> import torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Softmax(dim=1))
        >>> inputs, targets = torch.arange(8.0).reshape(2, 4), torch.tensor([0, 2])
        >>> diagnose(model, torch.nn.CrossEntropyLoss(), inputs, targets).codes
        ('softmax-twice',)
        >>> print(diagnose(model[0], torch.nn.CrossEntropyLoss(), inputs, targets))
        Nothing wrong was seen.
    """
    findings = findings_of_model(model, loss, inputs, targets, alone=True)
    return Diagnosis(sorted(findings, key=lambda finding: -finding.confidence))


def findings_of_model(
    model: Callable[..., Any],
    loss: Callable[..., Any],
    inputs: Any,  # noqa: ANN401 - whatever the model takes
    targets: Any,  # noqa: ANN401 - whatever the loss takes
    *,
    select: Callable[[Any], Any] = lambda output: output,
    alone: bool = False,
) -> list[MisuseFinding]:
    """The findings of `diagnose`.

    Args:
        model: As in `diagnose`.
        loss: As in `diagnose`.
        inputs: As in `diagnose`.
        targets: As in `diagnose`.
        select: From what the model gives to what the loss takes.
        alone: Whether this batch stands for all data; `watch` looks at the labels of the whole loop instead.
    """
    targets = _detached(targets)
    with random_state_kept([]), module_state_kept(loss):
        few_inputs, few_targets = _first_rows(inputs, targets)
        probe = Probe(model, few_inputs, select)
        try:
            output = probe.output()
        except (RuntimeError, ValueError, IndexError):
            if few_targets is targets:
                raise
            # A model that knows its rows, like the nodes of a graph, takes all of them or none.
            few_targets, probe = targets, Probe(model, inputs, select)
            output = probe.output()
        if isinstance(output, Tensor):
            return list(_of_scores(probe, loss, output, few_targets, all_targets=targets, alone=alone))
        if is_known(loss):
            raise TypeError(f"the model gives a {type(output).__name__} where scores, one tensor, are needed")
        return list(_of_structure(probe, loss, output, few_targets))


def findings_of_scores(loss: Callable[..., Any], scores: Any, targets: Any) -> list[MisuseFinding]:  # noqa: ANN401
    """What can be found without a model: from scores as the loss gets them, where a loop has changed the model's.

    Args:
        loss: As in `diagnose`.
        scores: What the loss gets.
        targets: What the loss gets.
    """
    scores, targets = _detached(scores), _detached(targets)
    with random_state_kept([]), module_state_kept(loss):
        if isinstance(scores, Tensor):
            value = loss_value(loss, scores, targets)
            if broken := list(nonfinite_findings(loss, (), scores, targets, value)):
                return broken
        return call_findings(loss, [scores], targets)


def _of_scores(
    probe: Probe,
    loss: Callable[..., Any],
    scores: Tensor,
    targets: Any,  # noqa: ANN401 - whatever the loss takes
    *,
    all_targets: Any,  # noqa: ANN401 - as above
    alone: bool,
) -> Iterator[MisuseFinding]:
    value = loss_value(loss, scores, targets)
    if broken := list(nonfinite_findings(probe.model, probe.inputs, scores, targets, value)):
        yield from broken
        return
    gradients = gradients_of(probe, lambda given: loss(given, targets)) if probe.trainable else None
    cut = list(cut_gradient_findings(probe, gradients, scores))
    yield from cut
    if cut and (one_hot_scores(scores) or not scores.is_floating_point()):
        return  # an argmax explains what its scores look like
    redrawn = probe.redrawn()
    about_call = call_findings(loss, [scores, *redrawn], targets, all_targets)
    if not about_call and kind_of(loss, scores, targets) == "binary_probabilities":
        larger = probe.on_larger_inputs()
        if larger is not None and redrawn:
            about_call = list(logits_by_chance_from_0_to_1(scores, [*redrawn, larger]))
    yield from about_call
    if scores.numel() == 0 or not bool(scores.isfinite().any()):
        return
    about_model = [
        *(_safely(lambda: mixed_rows(probe, scores)) or _safely(lambda: joined_rows(probe, scores))),
        *_safely(lambda: identical_units(probe)),
        *_safely(lambda: unregistered_layers(probe)),
        *_safely(lambda: dropout_on_scores([scores, probe.seeded(1)])),
        *_safely(lambda: dropout_always_on(probe)),
    ]
    if not about_call and not about_model and isinstance(targets, Tensor):
        about_model += [
            *_safely(lambda: _axes(probe, loss, scores, targets)),
            *_safely(lambda: unscaled_inputs(probe.inputs, value, scores.shape[1] if scores.dim() > 1 else 1)),
            *_safely(lambda: padding_in_loss(probe.inputs, targets, int(option_of(loss, "ignore_index", -100)))),
            *_safely(lambda: next_token_findings(probe, scores, targets)),
            *_safely(lambda: _unused_outputs(probe, scores, all_targets) if alone else iter(())),
        ]
    yield from about_model
    if about_call or about_model or cut:
        return
    constant = []
    if constant_rows(scores):
        constant = list(_safely(lambda: constant_scores(probe, loss, scores, targets, value)))
    yield from constant or _safely(lambda: zero_gradient(probe, lambda given: loss(given, targets), gradients, value))


def _of_structure(
    probe: Probe,
    loss: Callable[..., Any],
    output: Any,  # noqa: ANN401 - whatever the model gives
    targets: Any,  # noqa: ANN401 - whatever the loss takes
) -> Iterator[MisuseFinding]:
    """Findings for a model of several outputs: from the calls inside the loss, and from the gradients."""
    gradients = gradients_of(probe, lambda given: loss(given, targets)) if probe.trainable else None
    yield from cut_gradient_findings(probe, gradients, None)
    yield from call_findings(loss, [output, *probe.redrawn_outputs()], targets)
    yield from _safely(lambda: identical_units(probe))
    yield from _safely(lambda: unregistered_layers(probe))


def _unused_outputs(probe: Probe, scores: Tensor, targets: Tensor) -> Iterator[MisuseFinding]:
    tokens = not isinstance(probe.inputs, Tensor) or not probe.inputs.is_floating_point()
    if not tokens and scores.dim() == 2 and targets.dim() == 1 and not targets.is_floating_point():
        used = torch.tensor(sorted(set(targets[targets >= 0].tolist())))
        yield from unused_outputs(scores.shape[1], used, len(targets))


def _axes(probe: Probe, loss: Callable[..., Any], scores: Tensor, targets: Tensor) -> Iterator[MisuseFinding]:
    if kind_of(loss, scores, targets) in ("logits", "log_probabilities", "probabilities"):
        yield from axis_findings(probe, scores)


def _safely(check: Callable[[], Iterator[MisuseFinding]]) -> list[MisuseFinding]:
    """The findings of a check; none where the model refuses what the check asks of it."""
    try:
        return list(check())
    except (RuntimeError, ValueError, IndexError, TypeError):
        return []


def _detached(value: Any) -> Any:  # noqa: ANN401 - whatever the loss takes
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, dict):
        return {key: _detached(part) for key, part in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_detached(part) for part in value)
    return value


def _first_rows(inputs: Any, targets: Any) -> tuple[Any, Any]:  # noqa: ANN401
    """At most `_ROWS` rows, where inputs are one tensor with a row for each target."""
    if not isinstance(inputs, Tensor) or not isinstance(targets, Tensor):
        return inputs, targets
    pair = inputs.dim() and targets.dim() and len(inputs) == len(targets)
    return (inputs[:_ROWS], targets[:_ROWS]) if pair and len(targets) > _ROWS else (inputs, targets)
