"""Lessons on handwritten digits: zero or one, by probability and by logit; zero, one or two.

The pictures and networks are defined by the lessons' recipes, the printed numbers are in `numbers/digits.toml`. MNIST
is read or downloaded by `polylogit.data.pictures.sources`.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from polylogit.classes import one_hot
from polylogit.lessons.catalogue import Measurements
from polylogit.lessons.training_lessons import TrainingLesson
from polylogit.losses import binary_cross_entropy_with_logits, binary_cross_entropy_with_probabilities

__all__ = ["MEASURES", "fit_zero_or_one"]


def zero_or_one_by_probability() -> Measurements:
    """The network's number goes through a sigmoid, and the loss takes probabilities.

    In a recipe the scores of a network are always logits, so this lesson is written in Python; otherwise it is the run
    of the recipe of `zero_or_one_by_logit`.
    """
    return {
        "accuracy on the rows trained on": fit_zero_or_one(
            lambda logits, targets: binary_cross_entropy_with_probabilities(logits.sigmoid(), targets)
        )
    }


def zero_or_one_by_logit() -> Measurements:
    """The loss takes the number as it is; and so does a softmax of two classes, in the loop that fits every network."""
    lesson = TrainingLesson.named("mnist-zero-or-one-logit")
    network = lesson.new_network()
    lesson.fit(network)
    return {
        "accuracy on the rows trained on": fit_zero_or_one(binary_cross_entropy_with_logits),
        "the same as a softmax of two classes": lesson.accuracy(network, lesson.task.split.train),
    }


def three_classes() -> Measurements:
    """Three numbers for each picture; the accuracy is the one measured before the last step."""
    lesson = TrainingLesson.named("mnist-three-classes")
    network = lesson.new_network()
    lesson.fit(network)
    digit_by_digit = lesson.targets.sort().values
    return {
        "one-hot rows, first and last": one_hot(digit_by_digit[[0, -1]], classes=3).tolist(),
        "accuracy on the rows trained on": lesson.accuracy(network, lesson.task.split.train),
    }


def fit_zero_or_one(loss: Callable[[Tensor, Tensor], Tensor]) -> float:
    """The lecture's own loop, with a loss of polylogit: five lines for users with a loop of their own.

    Args:
        loss: Takes the logit of "it is a one" for each picture, and whether it is.

    Returns:
        The training accuracy.
    """
    lesson = TrainingLesson.named("mnist-zero-or-one-logit")
    network, inputs, ones = lesson.new_network(), lesson.inputs, lesson.targets
    optimizer = torch.optim.Adam(network.parameters())
    for _ in range(lesson.recipe.training.epochs):
        torch.autograd.backward(loss(network(inputs)[:, 1], ones))
        optimizer.step()
        optimizer.zero_grad()
    return lesson.accuracy(network, lesson.task.split.train)


MEASURES = {
    "mnist-zero-or-one-probability": zero_or_one_by_probability,
    "mnist-zero-or-one-logit": zero_or_one_by_logit,
    "mnist-three-classes": three_classes,
}
"""The lessons of this file by their ids."""
