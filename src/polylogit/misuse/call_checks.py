"""Findings about one call of a loss: what it gets as scores and targets, and what it does with them.

See also: `diagnosis.py`, which asks the model for the scores; `score_checks.py`, `target_checks.py`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from polylogit.misuse.contracts import Kind, is_known, kind_of, option_of, takes_integer_rows
from polylogit.misuse.divergence_checks import divergence_findings
from polylogit.misuse.findings import MisuseFinding
from polylogit.misuse.loss_calls import InnerCall, inner_calls
from polylogit.misuse.loss_checks import loss_findings
from polylogit.misuse.score_checks import score_findings
from polylogit.misuse.target_checks import smoothing_of_soft_rows, target_findings

__all__ = ["call_findings", "loss_value"]

# One batch of scores may lie from 0 to 1 by chance; only a model that is asked again shows whether it must.
_NEEDS_THE_MODEL = ("sigmoid-outputs", "sigmoid-twice", "softmax-over-positions", "softmax-over-rows")

# What a loss of the user's own may want: targets of another form, and indices of something else than classes.
_FORMS = ("one-hot-or-index", "shuffled-rows", "labels-from-1", "labels-out-of-range")


def call_findings(
    loss: Callable[..., Any],
    samples: Sequence[Any],
    targets: Any,  # noqa: ANN401 - whatever the loss takes
    all_targets: Any = None,  # noqa: ANN401 - as above
) -> list[MisuseFinding]:
    """Findings about a loss and what it gets; for a loss of the user's own also about PyTorch's losses inside it.

    Args:
        loss: As in `diagnose`.
        samples: The scores of the batch, then the scores under redrawn parameters, if there are any.
        targets: As the loss gets them, of these rows.
        all_targets: The targets of the whole batch, where only its first rows are looked at.
    """
    found: list[MisuseFinding] = []
    if isinstance(samples[0], Tensor) and isinstance(targets, Tensor):
        found = list(_of_one_call(loss, samples, targets, targets if all_targets is None else all_targets))
    if found or is_known(loss):
        return found
    rounds = [inner_calls(loss, sample, targets) for sample in samples]
    for number, call in enumerate(rounds[0]):
        again = [calls[number].scores for calls in rounds[1:] if _alike(calls, rounds[0])]
        for finding in _of_one_call(call.loss, [call.scores, *again], call.targets, call.targets):
            if finding.code not in [other.code for other in found]:
                found.append(finding)
    return found


def _alike(calls: Sequence[InnerCall], others: Sequence[InnerCall]) -> bool:
    return [call.scores.shape for call in calls] == [call.scores.shape for call in others]


def _of_one_call(
    loss: Callable[..., Any], samples: Sequence[Tensor], targets: Tensor, all_targets: Tensor
) -> Iterator[MisuseFinding]:
    scores = samples[0]
    value = loss_value(loss, scores, targets)
    kind = kind_of(loss, scores, targets)
    if kind == "divergence":
        yield from divergence_findings(loss, samples, targets, value)
        return
    ignore_index = option_of(loss, "ignore_index", -100)
    integer_rows = takes_integer_rows(loss)
    about_targets = list(target_findings(scores, targets, kind, ignore_index, integer_rows=integer_rows))
    if not is_known(loss) and not math.isnan(value):
        about_targets = [f for f in about_targets if not _is_the_users_form(f, loss, scores, targets, kind)]
    if not about_targets and all_targets is not targets:
        stand_in = scores[:1].expand(len(all_targets), *scores.shape[1:])
        of_all = target_findings(stand_in, all_targets, kind, ignore_index, integer_rows=integer_rows)
        about_targets = [finding for finding in of_all if kind is not None or finding.code not in _FORMS]
    yield from about_targets
    if scores.numel() == 0 or not scores.is_floating_point() or not bool(scores.isfinite().any()):
        return
    about_scores = [
        finding
        for finding in score_findings(samples, targets, kind, value)
        if len(samples) > 1 or finding.code not in _NEEDS_THE_MODEL
    ]
    yield from about_scores
    if kind == "logits" and not about_targets:
        yield from smoothing_of_soft_rows(targets, float(option_of(loss, "label_smoothing", 0.0)))
    yield from loss_findings(loss, scores, targets, explained=bool(about_targets or about_scores))


def _is_the_users_form(
    finding: MisuseFinding, loss: Callable[..., Any], scores: Tensor, targets: Tensor, kind: Kind | None
) -> bool:
    """Whether a doubt about the form of targets is none, as the loss takes that form: pairs for mixup, CTC's sequences.

    Scores and targets whose shapes differ may also be paired every one with every one: then the loss is the same for
    targets in another order.
    """
    if finding.code == "shuffled-rows" and len(targets) == len(scores) > 1:
        values = [loss_value(loss, scores, targets.roll(places, 0)) for places in (0, 1, len(targets) // 2)]
        return not all(math.isclose(values[0], value, rel_tol=1e-5) for value in values)
    return finding.code in _FORMS and not (kind is not None and finding.code.startswith("labels-"))


def loss_value(loss: Callable[..., Any], scores: Any, targets: Any) -> float:  # noqa: ANN401
    """Mean loss of the batch, NaN where the loss refuses it (the checks of targets and scores say why).

    Args:
        loss: As in `diagnose`.
        scores: What the loss gets.
        targets: What the loss gets.
    """
    try:
        with torch.no_grad():
            return float(torch.as_tensor(loss(scores, targets)).cpu().double().mean())
    except (RuntimeError, ValueError, IndexError, TypeError):
        return math.nan
