"""Findings about the Kullback-Leibler divergence, whose arguments are easily exchanged: log-probabilities first.

See also: `score_checks.py` and `target_checks.py`, for the other losses.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor

from polylogit.misuse.contracts import option_of
from polylogit.misuse.findings import MisuseFinding
from polylogit.misuse.forms import is_distribution, is_log_distribution

__all__ = ["divergence_findings"]

_FIX = "kl_div(log_softmax(student, 1), softmax(teacher, 1), reduction='batchmean')"


def divergence_findings(
    loss: Callable[..., Any], samples: Sequence[Tensor], targets: Tensor, value: float
) -> Iterator[MisuseFinding]:
    """Findings about `kl_div` and `nn.KLDivLoss`.

    Args:
        loss: The loss, with its options.
        samples: The batch's scores, then the scores under redrawn parameters.
        targets: As the loss gets them.
        value: The loss of the batch.
    """
    scores = samples[0]
    if targets.shape != scores.shape or not targets.is_floating_point():
        yield MisuseFinding(
            "one-hot-or-index",
            f"targets of shape {tuple(targets.shape)} and {targets.dtype} for scores of shape {tuple(scores.shape)}",
            "the divergence compares two distributions, number by number; class indices are none",
            "an error, or every row paired with every target",
            "Use cross_entropy for class indices, or one-hot rows as floats.",
            0.95,
        )
        return
    log_target = bool(option_of(loss, "log_target", default=False))
    target_is_log, target_is_plain = (
        _over_classes(is_log_distribution, [targets]),
        _over_classes(is_distribution, [targets]),
    )
    sure = 0.99 if len(samples) > 1 else 0.9
    wrong_scores = True
    if _over_classes(is_distribution, samples) and target_is_log and not log_target:
        yield _finding(
            "kl-div-swapped",
            "the scores are probabilities and the targets log-probabilities",
            "the first argument has to be log-probabilities, the second probabilities",
            f"Exchange them: {_FIX}.",
            value=value,
            confidence=0.95,
        )
        return
    if _over_classes(is_distribution, samples):
        yield _finding(
            "probabilities-for-log-probabilities",
            "each row of scores is from 0 to 1 and sums to 1",
            "the divergence takes log-probabilities as its first argument; these are probabilities",
            "Use log_softmax in place of softmax for the scores.",
            value=value,
            confidence=sure,
        )
    elif not _over_classes(is_log_distribution, samples[:1]):
        yield _finding(
            "logits-for-log-probabilities",
            f"scores from {float(scores.min()):.4g} to {float(scores.max()):.4g} whose exponentials do not sum to 1",
            "the divergence takes log-probabilities as its first argument; these are logits",
            "Apply log_softmax to the scores.",
            value=value,
            confidence=0.95,
        )
    else:
        wrong_scores = False
    if log_target != target_is_log and (target_is_log or target_is_plain):
        what = "log-probabilities" if target_is_log else "probabilities"
        yield _finding(
            "kl-div-log-target",
            f"the targets are {what}, and log_target is {log_target}",
            "log_target says whether the targets are log-probabilities",
            f"Pass log_target={not log_target}, or {'probabilities' if target_is_log else 'log-probabilities'}.",
            value=value,
            confidence=0.95,
        )
    elif not log_target and not target_is_plain:
        yield _finding(
            "rows-are-no-distributions",
            f"targets from {float(targets.min()):.4g} to {float(targets.max()):.4g} whose rows do not sum to 1",
            "the second argument has to be probabilities; these look like logits or counts",
            "Apply softmax to the targets.",
            value=value,
            confidence=0.95,
        )
    elif not wrong_scores and option_of(loss, "reduction", "mean") == "mean":
        yield MisuseFinding(
            "kl-div-mean",
            f"reduction='mean' divides by all {scores.numel()} numbers, not by the {len(scores)} rows",
            "the divergence of a batch is the mean over its rows",
            f"the loss, and its weight beside another, is {scores.numel() // max(len(scores), 1)} times too small",
            "Pass reduction='batchmean'.",
            0.7,
        )


def _over_classes(form: Callable[[Sequence[Tensor]], bool], samples: Sequence[Tensor]) -> bool:
    """Whether scores have a form over axis 1 or over the last axis; the divergence does not say which holds classes."""
    if form(samples):
        return True
    return samples[0].dim() > 2 and form([sample.movedim(-1, 1) for sample in samples])


def _finding(code: str, seen: str, why: str, fix: str, *, value: float, confidence: float) -> MisuseFinding:
    cost = f"the loss reads {value:.4g}; it is no divergence, and its minimum is elsewhere"
    return MisuseFinding(code, seen, why, cost, fix, confidence)
