"""Lessons on the zoo: 101 animals, 16 features, 7 types.

The two training runs are shipped recipes, and the table is part of the package. The printed numbers are in
`numbers/zoo.toml`.
"""

from itertools import pairwise

from polylogit.lessons.catalogue import Measurements
from polylogit.lessons.eight_rows import losses_by_epoch
from polylogit.lessons.training_lessons import TrainingLesson

__all__ = ["MEASURES"]

PRINTED = list(range(0, 1001, 100))
"""The epochs whose loss the document prints, or would print."""


def cross_entropy() -> Measurements:
    """From zeros all seven types are alike, so the first loss is log 7."""
    lesson = TrainingLesson.named("zoo-cross-entropy")
    losses = lesson.fit(lesson.new_network())
    return {
        "shape of the features": list(lesson.inputs.shape),
        "shape of the classes": list(lesson.targets.shape),
        "first five rows": lesson.inputs[:5].tolist(),
        "first five classes": lesson.targets[:5].tolist(),
        "loss at epoch 0": losses[0],
        "epochs whose loss is no lower than a hundred epochs before": sum(
            losses[after] >= losses[before] for before, after in pairwise(PRINTED)
        ),
    }


def module() -> Measurements:
    """A linear layer drawn from seed 1."""
    lesson = TrainingLesson.named("zoo-module")
    return losses_by_epoch(lesson.fit(lesson.new_network()), PRINTED)


MEASURES = {"zoo-cross-entropy": cross_entropy, "zoo-module": module}
"""The lessons of this file by their ids."""
