"""Findings about what a loss does by itself: softmax twice, a log that is missing, the wrong sign, a refusal.

See also: `contracts.py`, which asks the loss.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from polylogit.misuse.contracts import is_known, log_is_missing, rises_with_right_scores, softmax_inside_twice
from polylogit.misuse.findings import MisuseFinding

__all__ = ["loss_findings"]


def loss_findings(
    loss: Callable[..., Any], scores: Tensor, targets: Tensor, *, explained: bool
) -> Iterator[MisuseFinding]:
    """Findings about a loss.

    Args:
        loss: As in `diagnose`.
        scores: What the loss gets.
        targets: What the loss gets.
        explained: Whether another finding explains that the loss refuses what it gets.
    """
    floor = softmax_inside_twice(loss, scores, targets)
    if floor is not None:
        yield _softmax_twice(floor, scores.shape[1])
    elif log_is_missing(loss, scores, targets):
        yield _forgets_the_log(scores.shape[1])
    elif rises_with_right_scores(loss, scores, targets):
        yield _wrong_sign()
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


def _softmax_twice(floor: float, classes: int) -> MisuseFinding:
    """The finding for a loss that takes softmax twice by itself."""
    return MisuseFinding(
        "softmax-twice",
        f"scores that are right by a margin of 100 still cost {floor:.4f}",
        "the loss takes softmax twice: once itself and once in what it calls",
        f"with {classes} classes the loss cannot fall below log(1 + {classes - 1}/e) = {floor:.4f}, however right the "
        "model is",
        "Hand the logits to cross_entropy_with_logits as they are.",
        0.99,
    )


def _forgets_the_log(classes: int) -> MisuseFinding:
    """The finding for a loss that takes softmax by itself and then no log."""
    return MisuseFinding(
        "probabilities-for-log-probabilities",
        f"equal scores cost {-1 / classes:.4f} and scores that are right by a margin of 100 cost -1",
        "the loss takes softmax and hands the probabilities to nll_loss, which takes log-probabilities",
        "the loss runs to -1 instead of 0, and its gradient vanishes where the model is surely wrong",
        "Hand the logits to cross_entropy_with_logits, or use log_softmax in place of softmax.",
        0.8,
    )


def _wrong_sign() -> MisuseFinding:
    """The finding for a loss that is lower for wrong scores than for right ones."""
    return MisuseFinding(
        "loss-sign",
        "scores that are right cost more than equal ones, and scores that are wrong cost less",
        "an optimizer lowers the loss; a log-likelihood or an accuracy has to be negated",
        "training makes the model wrong on purpose",
        "Negate the loss.",
        0.9,
    )
