"""Lessons on Fashion-MNIST: a picture and its class, and five networks that classify clothes.

Each network is a shipped recipe, so `polylogit train fashion-mnist --recipe ID` trains the same network; the lesson
also measures its accuracy during training. The printed numbers are in `numbers/fashion.toml`. The pictures are read or
downloaded by `polylogit.data.pictures.sources`.
"""

from collections.abc import Callable
from functools import cache, partial

from polylogit.data.pictures.sources import PictureSource, open_named_pictures
from polylogit.fitting.history import EpochRecord
from polylogit.lessons.catalogue import Measurements, Value
from polylogit.lessons.training_lessons import TrainingLesson

__all__ = ["MEASURES", "PICTURE", "clothes"]

PICTURE = 301
"""The training picture that the lecture draws."""

EPOCHS_BETWEEN = 5
"""Epochs between two measurements of the training accuracy."""


@cache
def clothes() -> PictureSource:
    """Fashion-MNIST, training pictures first."""
    return open_named_pictures("fashion-mnist")


def a_picture() -> Measurements:
    """The title that the lecture gives to picture 301."""
    index = int(clothes().targets[PICTURE])
    return {"class index": index, "class name": clothes().class_names[index]}


def network_of(name: str, epochs: int | None = None) -> Measurements:
    """Train a network by its recipe, and measure its accuracy.

    Args:
        name: The lesson, and its recipe.
        epochs: Fewer than the recipe says; all of them when left out.

    Returns:
        The training accuracy every five epochs, and the test accuracy at the end.
    """
    lesson = TrainingLesson.named(name, epochs)
    network, split = lesson.new_network(), lesson.task.split
    measured: dict[str, Value] = {}

    def look(record: EpochRecord) -> None:
        if record.epoch % EPOCHS_BETWEEN == 0:
            seen = lesson.accuracy(network, split.train)
            measured[f"accuracy on the rows trained on after epoch {record.epoch}"] = seen

    lesson.fit(network, on_epoch=look)
    return {**measured, "accuracy on the test rows": lesson.accuracy(network, split.test)}


NETWORKS = ("mlp-32", "mlp-256", "wide-dropout", "deep", "cnn")

MEASURES: dict[str, Callable[[], Measurements]] = {
    "fashion-mnist-a-picture": a_picture,
    **{f"fashion-mnist-{name}": partial(network_of, f"fashion-mnist-{name}") for name in NETWORKS},
}
"""The lessons of this file by their ids."""
