"""Lessons on scores: softmax, cross-entropy in all its spellings, and which loss belongs to which score.

The first five systems of the documents; the numbers that they print are in `numbers/scores.toml`.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit import losses
from polylogit.classes import one_hot
from polylogit.lessons.catalogue import Measurements

__all__ = ["MEASURES"]

LOSS_FOR = {
    ("two classes", "probabilities"): "binary_cross_entropy_with_probabilities",
    ("two classes", "logits"): "binary_cross_entropy_with_logits",
    ("many classes", "probabilities"): "cross_entropy_with_probabilities",
    ("many classes", "logits"): "cross_entropy_with_logits",
}
"""The lecture's table: number of classes, kind of score, and the loss that takes it."""


def softmax_of_a_vector() -> Measurements:
    """Three numbers, made positive by exp and divided by their sum."""
    numbers = torch.tensor([1.0, 2.0, 3.0])
    probabilities = numbers.softmax(dim=0)
    powers = numbers.exp()
    return {
        "probabilities of [1, 2, 3]": probabilities.tolist(),
        "their sum": probabilities.sum().item(),
        "e / (e + e² + e³)": (powers[0] / powers.sum()).item(),
    }


def cross_entropy_from_scratch() -> Measurements:
    """The loss of drawn logits, each step on its own."""
    logits, targets = _first_draw()
    probabilities = logits.softmax(dim=1)
    rows = one_hot(targets, classes=5)
    return {
        "logits": logits.tolist(),
        "probabilities": probabilities.tolist(),
        "class indices": targets.tolist(),
        "one-hot rows": rows.tolist(),
        "probabilities of the right classes": (rows * probabilities).sum(dim=1).tolist(),
        "loss": (rows * -probabilities.log()).sum(dim=1).mean().item(),
    }


def cross_entropy_five_ways() -> Measurements:
    """One loss from probabilities, from log-probabilities and from logits."""
    logits, targets = _first_draw()
    return {
        "log(softmax(logits))": logits.softmax(dim=1).log().tolist(),
        "log_softmax(logits)": logits.log_softmax(dim=1).tolist(),
        **_spelled_out(logits, targets),
        "loss of probabilities": losses.cross_entropy_with_probabilities(logits.softmax(dim=1), targets).item(),
    }


def cross_entropy_second_draw() -> Measurements:
    """The same for the second draw from the generator; its classes are given, as drawn several cells later."""
    torch.manual_seed(1)
    torch.rand(3, 5)
    logits, targets = torch.rand(3, 5), torch.tensor([3, 0, 4])
    probabilities = logits.softmax(dim=1)
    return {
        "logits": logits.tolist(),
        "probabilities": probabilities.tolist(),
        "row sums of the probabilities": probabilities.sum(dim=1).tolist(),
        "one-hot rows of the classes 3, 0, 4": one_hot(targets, classes=5).tolist(),
        "log-probabilities": logits.log_softmax(dim=1).tolist(),
        **_spelled_out(logits, targets),
    }


def sigmoid_is_a_two_class_softmax() -> Measurements:
    """sigmoid(t) = exp(t) / (1 + exp(t)) = softmax([0, t])[1], and so for the losses."""
    logit = torch.linspace(-30, 30, 6001, dtype=torch.float64)
    happened = (torch.arange(len(logit)) % 2).long()
    two_logits = torch.stack([torch.zeros_like(logit), logit], dim=1)
    sigmoid = logit.sigmoid()
    binary = losses.binary_cross_entropy_with_logits(logit, happened, reduction="none")
    softmax = losses.cross_entropy_with_logits(two_logits, happened, reduction="none")
    return {
        "largest difference of sigmoid(t) and softmax([0, t])[1]": _apart(sigmoid, two_logits.softmax(dim=1)[:, 1]),
        "largest difference of sigmoid(t) and exp(t) / (1 + exp(t))": _apart(sigmoid, logit.exp() / (1 + logit.exp())),
        "largest difference of the two losses": _apart(binary, softmax),
        "logits above 0 that are not probabilities above one half": int(((logit > 0) != (sigmoid > 0.5)).sum()),
    }


def which_loss_for_which_score() -> Measurements:
    """Every row of the table has a loss, and the losses for one number of classes agree."""
    torch.manual_seed(0)
    logit, logits, targets = torch.randn(50), torch.randn(50, 4), torch.randint(4, (50,))
    happened = (targets > 1).float()
    given = {
        ("two classes", "probabilities"): (logit.sigmoid(), happened),
        ("two classes", "logits"): (logit, happened),
        ("many classes", "probabilities"): (logits.softmax(dim=1), targets),
        ("many classes", "logits"): (logits, targets),
    }
    loss = {row: getattr(losses, name)(*given[row], reduction="none") for row, name in LOSS_FOR.items()}
    return {
        "rows of the table without a loss": sum(not bool(values.isfinite().all()) for values in loss.values()),
        **{
            f"largest difference of the two losses for {classes}": _apart(
                loss[classes, "probabilities"], loss[classes, "logits"]
            )
            for classes in ("two classes", "many classes")
        },
    }


def _first_draw() -> tuple[Float[Tensor, "3 5"], Int[Tensor, "3"]]:
    torch.manual_seed(1)
    return torch.rand(3, 5), torch.randint(5, (3,))


def _spelled_out(logits: Float[Tensor, "N K"], targets: Int[Tensor, " N"]) -> Measurements:
    """The spellings that two documents have in common."""
    rows = one_hot(targets, classes=logits.shape[1])
    log_probabilities = logits.log_softmax(dim=1)
    return {
        "loss, one-hot rows times log(softmax)": (rows * -logits.softmax(dim=1).log()).sum(dim=1).mean().item(),
        "loss, one-hot rows times log_softmax": (rows * -log_probabilities).sum(dim=1).mean().item(),
        "loss of log-probabilities": losses.cross_entropy_with_log_probabilities(log_probabilities, targets).item(),
        "loss of logits": losses.cross_entropy_with_logits(logits, targets).item(),
    }


def _apart(these: Tensor, those: Tensor) -> float:
    return float((these - those).abs().max())


MEASURES = {
    "softmax-of-a-vector": softmax_of_a_vector,
    "cross-entropy-from-scratch": cross_entropy_from_scratch,
    "cross-entropy-five-ways": cross_entropy_five_ways,
    "cross-entropy-second-draw": cross_entropy_second_draw,
    "sigmoid-is-a-two-class-softmax": sigmoid_is_a_two_class_softmax,
    "which-loss-for-which-score": which_loss_for_which_score,
}
"""The lessons of this file by their ids."""
