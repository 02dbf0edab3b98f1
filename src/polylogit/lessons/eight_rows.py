"""Lessons on eight rows: the right loss, the classic mistake of softmax twice, and the same as a module.

Owns the table of eight rows that two documents share, and plain gradient descent as they have it: all rows at once, a
fixed step, the loss noted before each step. The numbers stand in `numbers/eight_rows.toml`.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from polylogit.fitting.loop import fit_network
from polylogit.fitting.options import TrainingOptions
from polylogit.lessons.catalogue import Measurements
from polylogit.losses import cross_entropy_with_probabilities
from polylogit.misuse import diagnose
from polylogit.networks import LinearNetwork

__all__ = ["INPUTS", "MEASURES", "TARGETS", "descend", "linear_from_zero", "told_by_detector"]

INPUTS = torch.tensor(
    [
        [1.0, 2.0, 1.0, 1.0],
        [2.0, 1.0, 3.0, 2.0],
        [3.0, 1.0, 3.0, 4.0],
        [4.0, 1.0, 5.0, 5.0],
        [1.0, 7.0, 5.0, 5.0],
        [1.0, 2.0, 5.0, 6.0],
        [1.0, 6.0, 6.0, 6.0],
        [1.0, 7.0, 7.0, 7.0],
    ]
)
"""Eight rows of four features."""

TARGETS = torch.tensor([2, 2, 2, 1, 1, 1, 0, 0])
"""Their classes."""

EPOCHS = 5000


def cross_entropy() -> Measurements:
    """The loss that takes logits, given logits."""
    network = linear_from_zero(4, 3)
    told = told_by_detector(network, INPUTS, TARGETS)
    return {"what the detector says": told, **_named(descend(network, INPUTS, TARGETS, epochs=EPOCHS))}


def softmax_twice() -> Measurements:
    """The loss that takes logits, given probabilities: it applies softmax to them again."""
    network = nn.Sequential(linear_from_zero(4, 3), nn.Softmax(dim=1))
    told = told_by_detector(network, INPUTS, TARGETS)
    losses = descend(network, INPUTS, TARGETS, epochs=1000)
    with torch.no_grad():
        cost = cross_entropy_with_probabilities(network(INPUTS), TARGETS).item()
    losses += descend(network, INPUTS, TARGETS, epochs=EPOCHS - len(losses))
    return {
        "what the detector says": told,
        "real cross-entropy after epoch 1000": cost,
        **_named(losses),
    }


def module() -> Measurements:
    """A linear layer with its own bias for each class, drawn after fifteen numbers and three classes were drawn."""
    torch.manual_seed(1)
    torch.rand(3, 5), torch.randint(5, (3,))
    return _named(descend(LinearNetwork(features=4, classes=3), INPUTS, TARGETS, epochs=EPOCHS))


def told_by_detector(network: nn.Module, inputs: Float[Tensor, "N D"], targets: Int[Tensor, " N"]) -> str:
    """The codes of what is wrong with this network under PyTorch's cross-entropy, or "nothing".

    Example:
        >>> told_by_detector(nn.Sequential(linear_from_zero(4, 3), nn.Softmax(dim=1)), INPUTS, TARGETS)
        'softmax-twice'
    """
    return ", ".join(diagnose(network, nn.CrossEntropyLoss(), inputs, targets).codes) or "nothing"


def linear_from_zero(features: int, classes: int) -> nn.Linear:
    """A linear layer that starts from zeros.

    The documents give all classes one bias. What is added to all logits alike changes no probability, so its gradient
    is zero, it stays zero, and it is left out here.
    """
    layer = nn.Linear(features, classes, bias=False)
    nn.init.zeros_(layer.weight)
    return layer


def descend(
    network: nn.Module, inputs: Float[Tensor, "N D"], targets: Int[Tensor, " N"], *, epochs: int
) -> list[float]:
    """Gradient descent as the documents have it, in the loop that fits every network.

    Args:
        network: From inputs to logits; its weights are changed in place.
        inputs: All are shown in every step.
        targets: Class indices in [0, K).
        epochs: The last one, counted from 0.

    Returns:
        The loss before each step, epoch 0 first.

    Example:
        >>> [round(loss, 6) for loss in descend(linear_from_zero(4, 3), INPUTS, TARGETS, epochs=2)]
        [1.098612, 1.032775, 0.985576]
    """
    options = TrainingOptions(
        epochs=epochs + 1, batch_size="all", optimizer="sgd", learning_rate=0.1, momentum=0.0, weight_decay=0.0
    )
    return [record.train_loss for record in fit_network(network, inputs, targets, options=options).history]


def _named(losses: list[float]) -> Measurements:
    every = {*range(0, 1000, 100), *range(1000, EPOCHS + 1, 500)}
    return {f"loss at epoch {epoch}": losses[epoch] for epoch in sorted(every)}


MEASURES = {
    "eight-rows-softmax-twice": softmax_twice,
    "eight-rows-cross-entropy": cross_entropy,
    "eight-rows-module": module,
}
"""The lessons of this file by their ids."""
