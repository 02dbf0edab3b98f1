"""Lessons on eight rows: the right loss, the classic mistake of softmax twice, and the same as a module.

The recipes of the lessons define all but the mistake and the start that one document draws after other numbers. The
printed numbers are in `numbers/eight_rows.toml`; the rows are part of the package.
"""

import torch
from torch import nn

from polylogit.lessons.catalogue import Measurements
from polylogit.lessons.training_lessons import TrainingLesson
from polylogit.losses import cross_entropy_with_probabilities
from polylogit.misuse import diagnose
from polylogit.networks import MlpNetwork

__all__ = ["MEASURES", "codes_of_detector", "fit_softmax_twice", "losses_by_epoch"]

PRINTED = sorted({*range(0, 1000, 100), *range(1000, 5001, 500)})
"""The epochs whose loss one document or the other prints."""


def cross_entropy() -> Measurements:
    """The loss that takes logits, given logits."""
    lesson = TrainingLesson.named("eight-rows-cross-entropy")
    network = lesson.new_network()
    codes = codes_of_detector(network, lesson)
    return {"what the detector says": codes, **losses_by_epoch(lesson.fit(network), PRINTED)}


def softmax_twice() -> Measurements:
    """The loss that takes logits, given probabilities: it applies softmax to them again.

    No recipe can ask for this: in a recipe the scores of a network are always logits.
    """
    lesson = TrainingLesson.named("eight-rows-cross-entropy")
    codes = codes_of_detector(nn.Sequential(lesson.new_network(), nn.Softmax(dim=1)), lesson)
    seen, real = fit_softmax_twice(every=1001)
    return {
        "what the detector says": codes,
        "real cross-entropy after epoch 1000": real[1],
        **losses_by_epoch(seen, PRINTED),
    }


def module() -> Measurements:
    """A linear layer with its own bias for each class, drawn after fifteen numbers and three classes were drawn."""
    lesson = TrainingLesson.named("eight-rows-module")
    torch.manual_seed(lesson.recipe.seed)
    torch.rand(3, 5), torch.randint(5, (3,))
    network = MlpNetwork(features=4, classes=3, hidden=())
    return losses_by_epoch(lesson.fit(network), PRINTED)


def fit_softmax_twice(every: int) -> tuple[list[float], list[float]]:
    """The eight rows, by a network that ends with a softmax and a loss that begins with one.

    Args:
        every: Number of steps between two evaluations of the real cross-entropy.

    Returns:
        The loss before each step, and the real cross-entropy, of the probabilities taken as such: before the first
        step, after `every` steps, after twice as many, and so on.
    """
    lesson = TrainingLesson.named("eight-rows-cross-entropy")
    network = nn.Sequential(lesson.new_network(), nn.Softmax(dim=1))
    inputs, targets = lesson.inputs, lesson.targets
    real: list[float] = []

    def look(steps: int) -> None:
        if steps % every == 0:
            with torch.no_grad():
                real.append(cross_entropy_with_probabilities(network(inputs), targets).item())

    look(0)
    return lesson.fit(network, on_epoch=lambda record: look(record.epoch)), real


def codes_of_detector(network: nn.Module, lesson: TrainingLesson) -> str:
    """The codes of the misuse findings for a network with PyTorch's cross-entropy, or "nothing".

    Example:
        >>> lesson = TrainingLesson.named("eight-rows-cross-entropy")
        >>> codes_of_detector(nn.Sequential(lesson.new_network(), nn.Softmax(dim=1)), lesson)
        'softmax-twice'
    """
    return ", ".join(diagnose(network, nn.CrossEntropyLoss(), lesson.inputs, lesson.targets).codes) or "nothing"


def losses_by_epoch(losses: list[float], epochs: list[int]) -> Measurements:
    """The losses of these epochs, counted from 0, by the names that the catalogue has for them."""
    return {f"loss at epoch {epoch}": losses[epoch] for epoch in epochs}


MEASURES = {
    "eight-rows-softmax-twice": softmax_twice,
    "eight-rows-cross-entropy": cross_entropy,
    "eight-rows-module": module,
}
"""The lessons of this file by their ids."""
