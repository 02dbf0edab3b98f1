"""Findings about scores: the wrong kind for the loss, or a last activation that should not be there.

See also: `forms.py` and `contracts.py` (forms of scores, kinds of losses), `target_checks.py`.
"""

import math
from collections.abc import Iterator, Sequence

from torch import Tensor

from polylogit.errors import ScoreError
from polylogit.losses import cross_entropy_with_probabilities
from polylogit.misuse.contracts import Kind
from polylogit.misuse.findings import MisuseFinding
from polylogit.misuse.forms import (
    as_rows,
    is_bounded_by_1,
    is_distribution,
    is_log_distribution,
    is_outside_unit_interval,
    is_positive,
    is_rectified,
    is_unit_interval,
)

__all__ = ["logits_by_chance_from_0_to_1", "score_findings"]


def score_findings(
    samples: Sequence[Tensor], targets: Tensor, kind: Kind | None, value: float
) -> Iterator[MisuseFinding]:
    """Findings about scores of one batch.

    Args:
        samples: The batch's scores, then the scores under redrawn parameters.
        targets: As the loss gets them.
        kind: What the loss takes.
        value: The loss of the batch, NaN where the loss refused it.
    """
    sure = 0.99 if len(samples) > 1 else 0.9
    scores = samples[0]
    if kind in ("logits", "log_probabilities", "probabilities") and as_rows(scores).shape[1] == 1:
        yield MisuseFinding(
            "softmax-of-one-class",
            f"scores of shape {tuple(scores.shape)}: one class",
            "the softmax of one number is 1, whatever the number",
            "the loss is 0 and so is its gradient: nothing is learned",
            "Use binary_cross_entropy_with_logits, or give the model one output per class.",
            0.99,
        )
    elif kind == "logits":
        yield from _for_logits(samples, targets, value, sure)
    elif kind == "log_probabilities":
        yield from _for_log_probabilities(samples, value, sure)
    elif kind == "probabilities":
        yield from _for_probabilities(samples, sure)
    elif kind in ("binary_logits", "binary_probabilities") and scores.dim() > 1 and is_distribution(samples):
        yield MisuseFinding(
            "softmax-with-binary-loss",
            f"each of {len(as_rows(scores))} rows of scores is from 0 to 1 and sums to 1; the loss is a binary one",
            "a binary cross-entropy treats every class as a question of its own; softmax makes the classes compete",
            "several classes of one row cannot all be likely, and the loss of a single class counts each class twice",
            "Drop the softmax: use cross_entropy_with_logits for one class per row, or BCEWithLogitsLoss for several.",
            sure,
        )
    elif kind == "binary_probabilities" and len(samples) > 1 and all(bool((sample == 1).all()) for sample in samples):
        yield MisuseFinding(
            "softmax-of-one-class",
            f"all {scores.numel()} scores are 1, under other parameters too",
            "the softmax of one number is 1, whatever the number",
            "every row is answered with probability 1, and nothing is learned",
            "Use a sigmoid in place of the softmax, or binary_cross_entropy_with_logits without either.",
            0.99,
        )
    elif kind == "binary_logits" and is_unit_interval(samples):
        yield MisuseFinding(
            "sigmoid-twice",
            f"all {scores.numel()} scores lie from {float(scores.min()):.4g} to {float(scores.max()):.4g}",
            "the loss takes logits and applies the sigmoid itself; these have been through one",
            f"the loss cannot fall below {math.log1p(math.exp(-1)):.4f} for class 1 and {math.log(2):.4f} for class 0",
            "Drop the sigmoid at the end of the model, or use binary_cross_entropy_with_probabilities.",
            sure,
        )
    elif kind == "binary_probabilities" and is_outside_unit_interval(scores):
        yield _binary_logits(f"scores from {float(scores.min()):.4g} to {float(scores.max()):.4g}", 0.99)


def logits_by_chance_from_0_to_1(scores: Tensor, elsewhere: Sequence[Tensor]) -> Iterator[MisuseFinding]:
    """The finding for a binary loss of probabilities whose scores lie from 0 to 1 in this batch only.

    Args:
        scores: The batch's scores, from 0 to 1.
        elsewhere: The scores under redrawn parameters and for larger inputs. A sigmoid holds all of them from 0 to 1; a
            table of probabilities heeds no larger inputs, and a weighted mean of probabilities no redrawn weights.
    """
    if elsewhere and all(is_outside_unit_interval(other) for other in elsewhere):
        lowest, highest = (
            min(float(other.min()) for other in elsewhere),
            max(float(other.max()) for other in elsewhere),
        )
        yield _binary_logits(
            f"scores from {float(scores.min()):.4g} to {float(scores.max()):.4g} in this batch, and from "
            f"{lowest:.4g} to {highest:.4g} with other parameters and larger inputs",
            0.8,
        )


def _binary_logits(seen: str, confidence: float) -> MisuseFinding:
    return MisuseFinding(
        "logits-for-probabilities",
        seen,
        "the loss takes probabilities, from 0 to 1; these are logits",
        "an error from PyTorch's loss, or the log of a negative number",
        "Use binary_cross_entropy_with_logits (nn.BCEWithLogitsLoss).",
        confidence,
    )


def _for_logits(samples: Sequence[Tensor], targets: Tensor, value: float, sure: float) -> Iterator[MisuseFinding]:
    scores = samples[0]
    rows = as_rows(scores)
    classes = rows.shape[1]
    if is_distribution(samples):
        floor = math.log1p((classes - 1) / math.e)
        yield MisuseFinding(
            "softmax-twice",
            f"each of {len(rows)} rows of scores is from 0 to 1 and sums to 1{_right_loss(scores, targets, value)}",
            "the loss takes logits and applies softmax itself; these scores are probabilities already",
            f"with {classes} classes the loss cannot fall below log(1 + {classes - 1}/e) = {floor:.4f}, however right "
            "the model is, and its gradients are shrunk by a second softmax",
            "Drop the softmax at the end of the model, or use cross_entropy_with_probabilities.",
            sure if len(rows) > 1 or len(samples) > 1 else 0.7,
        )
    elif is_log_distribution(samples):
        yield MisuseFinding(
            "log-probabilities-for-logits",
            f"in each of {len(rows)} rows the exponentials of the scores sum to 1",
            "the loss takes logits and applies log-softmax itself; these scores are log-probabilities already",
            "the value is right, since log-softmax changes nothing the second time; it costs passes over the scores",
            "Drop the log_softmax at the end of the model, or use cross_entropy_with_log_probabilities (nn.NLLLoss).",
            sure,
        )
    elif is_distribution(samples, over_rows=True) and len(rows) > 1:
        yield MisuseFinding(
            "softmax-over-rows",
            f"each of {classes} columns of scores sums to 1 over the {len(rows)} rows",
            "a softmax was taken over the batch, so a row's scores depend on the other rows",
            "predictions change with the batch they are made in, and the loss applies softmax once more",
            "Drop the softmax; where probabilities are wanted use softmax(dim=1).",
            sure,
        )
    elif (axis := _axis_of_a_softmax(samples)) is not None:
        yield MisuseFinding(
            "softmax-over-positions",
            f"scores of shape {tuple(scores.shape)} sum to 1 over axis {axis}; the classes lie on axis 1",
            "a softmax was taken over positions in place of classes; the loss takes one of its own over the classes",
            f"no class can get more than e times the odds of another: with {classes} classes the loss cannot fall "
            f"below {math.log1p((classes - 1) / math.e):.4f}",
            "Drop the softmax; where probabilities are wanted use softmax(dim=1).",
            sure,
        )
    elif is_unit_interval(samples):
        yield MisuseFinding(
            "sigmoid-outputs",
            f"all {scores.numel()} scores lie from {float(scores.min()):.4g} to {float(scores.max()):.4g}; "
            "rows do not sum to 1",
            "a softmax loss takes logits, any real numbers; these have been through a sigmoid",
            f"no class can get more than e times the odds of another: with {classes} classes the loss cannot fall "
            f"below {math.log1p((classes - 1) / math.e):.4f}",
            "Drop the sigmoid at the end of the model; for several labels at once use a binary cross-entropy.",
            sure,
        )
    elif is_bounded_by_1(samples):
        yield MisuseFinding(
            "bounded-scores",
            f"all {scores.numel()} scores lie from -1 to 1, and do so under other parameters too",
            "logits are unbounded; these have been through a tanh, or are cosines without a temperature",
            f"no class can get more than e^2 times the odds of another: with {classes} classes the loss cannot fall "
            f"below {math.log1p((classes - 1) / math.e**2):.4f}",
            "Drop the tanh at the end of the model; divide cosines by a temperature such as 0.07.",
            0.9,
        )
    elif is_rectified(samples):
        zeros = float((scores == 0).float().mean())
        yield MisuseFinding(
            "final-relu",
            f"no score is below 0, and {zeros:.0%} of {scores.numel()} are exactly 0",
            "logits need both signs; a ReLU at the end of the model cuts the negative ones off, with their gradient",
            "a class can be made unlikely only by raising all others, and a class at 0 gets no gradient in that row",
            "Drop the ReLU after the last layer.",
            sure,
        )
    elif is_positive(samples):
        yield MisuseFinding(
            "positive-scores",
            f"none of {scores.numel()} scores is negative, under other parameters either",
            "logits need both signs; these have been through softplus, exp, abs or a square, or are distances",
            "a class can be made unlikely only by raising all others; with distances the nearest class gets the least",
            "Drop the last activation; use negative distances.",
            0.8,
        )


def _axis_of_a_softmax(samples: Sequence[Tensor]) -> int | None:
    """A further axis that scores (N, K, d1, ...) sum to 1 over; None where there is none."""
    for axis in range(2, samples[0].dim()):
        if samples[0].shape[axis] > 1 and is_distribution([sample.movedim(axis, 1) for sample in samples]):
            return axis
    return None


def _for_log_probabilities(samples: Sequence[Tensor], value: float, sure: float) -> Iterator[MisuseFinding]:
    scores = samples[0]
    rows = as_rows(scores)
    if rows.shape[1] < 2 or is_log_distribution(samples[:1]):
        return
    if is_distribution(samples):
        yield MisuseFinding(
            "probabilities-for-log-probabilities",
            f"each of {len(rows)} rows of scores is from 0 to 1 and sums to 1; the loss reads {value:.4g}",
            "the loss takes log-probabilities (at most 0) and these are probabilities",
            "the loss runs to -1 instead of 0, and its gradient is the same for a sure mistake as for a doubtful one",
            "Use log_softmax in place of softmax, or cross_entropy_with_probabilities.",
            sure,
        )
        return
    total = float(rows.logsumexp(1).exp().mean())
    yield MisuseFinding(
        "logits-for-log-probabilities",
        f"scores from {float(rows.min()):.4g} to {float(rows.max()):.4g}; a row's exponentials sum to {total:.4g} on "
        "average, not to 1",
        "the loss takes log-probabilities and only picks one per row; these are logits",
        "the loss has no lower bound: it falls for ever as the scores grow, and means nothing",
        "Use cross_entropy_with_logits (nn.CrossEntropyLoss), or end the model with log_softmax.",
        0.99,
    )


def _for_probabilities(samples: Sequence[Tensor], sure: float) -> Iterator[MisuseFinding]:
    scores = samples[0]
    rows = as_rows(scores)
    if rows.shape[1] < 2 or is_distribution(samples[:1]):
        return
    if is_log_distribution(samples):
        code, what, fix = (
            "log-probabilities-for-probabilities",
            "log-probabilities",
            "cross_entropy_with_log_probabilities",
        )
    elif is_unit_interval(samples):
        code, what, fix = (
            "sigmoid-outputs",
            "outputs of a sigmoid, whose rows do not sum to 1",
            "softmax in place of sigmoid",
        )
    else:
        code, what, fix, sure = "logits-for-probabilities", "logits", "cross_entropy_with_logits", 0.99
    yield MisuseFinding(
        code,
        f"scores from {float(rows.min()):.4g} to {float(rows.max()):.4g}; rows sum to "
        f"{float(rows.sum(1).mean()):.4g} on average",
        f"the loss takes probabilities, rows from 0 to 1 that sum to 1; these are {what}",
        "the log of a negative number is NaN, and without a sum of 1 the loss can be lowered by raising all scores",
        f"Use {fix}.",
        sure,
    )


def _right_loss(scores: Tensor, targets: Tensor, value: float) -> str:
    """What the loss of these probabilities should read, where that is known."""
    try:
        right = float(cross_entropy_with_probabilities(scores, targets))
    except ScoreError:
        return ""
    return f"; the loss reads {value:.4f} where the cross-entropy of these probabilities is {right:.4f}"
