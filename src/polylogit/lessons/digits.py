"""Lessons on handwritten digits: zero or one, by probability and by logit; zero, one or two.

Owns the choice of pictures and networks in the lecture's sections on them. The numbers stand in `numbers/digits.toml`.
MNIST itself is read, or fetched, by `polylogit.data.picture_sources`.
"""

from collections.abc import Callable
from functools import cache

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from polylogit.classes import one_hot
from polylogit.data.picture_sources import open_named_pictures
from polylogit.fitting.loop import fit_network
from polylogit.fitting.options import TrainingOptions
from polylogit.lessons.catalogue import Measurements
from polylogit.losses import binary_cross_entropy_with_logits, binary_cross_entropy_with_probabilities
from polylogit.networks import MlpNetwork

__all__ = ["MEASURES", "digit_rows"]

SEED = 43052
EPOCHS = 30


class TwoLogits(nn.Module):
    """A logit t of class 1 as the two logits [0, t], whose softmax is the sigmoid of t."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Float[Tensor, "N D"]) -> Float[Tensor, "N 2"]:
        """The two logits of each row."""
        logit = self.network(inputs)
        return torch.cat([torch.zeros_like(logit), logit], dim=1)


def zero_or_one_by_probability() -> Measurements:
    """The network's number goes through a sigmoid, and the loss takes probabilities."""
    return {
        "accuracy on the rows trained on": _zero_or_one(
            lambda logits, targets: binary_cross_entropy_with_probabilities(logits.sigmoid(), targets)
        )
    }


def zero_or_one_by_logit() -> Measurements:
    """The loss takes the number as it is; and so does a softmax of two classes, in the loop that fits every network."""
    inputs, targets = digit_rows((0, 1))
    network = _perceptron(classes=1)
    fit_network(TwoLogits(network), inputs, targets, options=_adam(EPOCHS))
    return {
        "accuracy on the rows trained on": _zero_or_one(binary_cross_entropy_with_logits),
        "the same as a softmax of two classes": _accuracy(network(inputs)[:, 0] > 0, targets),
    }


def three_classes() -> Measurements:
    """Three numbers for each picture; the accuracy is that of the last look before the last step."""
    inputs, targets = digit_rows((0, 1, 2))
    network = _perceptron(classes=3)
    fit_network(network, inputs, targets, options=_adam(EPOCHS - 1))
    return {
        "one-hot rows, first and last": one_hot(targets[[0, -1]], classes=3).tolist(),
        "accuracy on the rows trained on": _accuracy(network(inputs).argmax(dim=1), targets),
    }


@cache
def digit_rows(digits: tuple[int, ...]) -> tuple[Float[Tensor, "N 784"], Int[Tensor, " N"]]:
    """MNIST's training pictures of these digits, one digit after the other, with pixels from 0 to 1.

    Args:
        digits: Which; their place in this list is the class index.

    Returns:
        Rows of pixels, and class indices.

    Raises:
        DataError: MNIST is not there and cannot be fetched.
    """
    source = open_named_pictures("mnist")
    train = source.own_split.train if source.own_split is not None else slice(None)
    pixels, labels = source.read()[train], source.targets[train]
    chosen = [labels == digit for digit in digits]
    inputs = torch.cat([pixels[rows] for rows in chosen]).flatten(1).float() / 255
    targets = torch.cat([torch.full((int(rows.sum()),), index) for index, rows in enumerate(chosen)])
    return inputs, targets


def _zero_or_one(loss: Callable[[Tensor, Tensor], Tensor]) -> float:
    """The lecture's own loop, with a loss of polylogit's: five lines for whoever brings a loop along."""
    inputs, targets = digit_rows((0, 1))
    network = _perceptron(classes=1)
    optimizer = torch.optim.Adam(network.parameters())
    for _ in range(EPOCHS):
        torch.autograd.backward(loss(network(inputs), targets[:, None]))
        optimizer.step()
        optimizer.zero_grad()
    return _accuracy(network(inputs)[:, 0] > 0, targets)


def _perceptron(classes: int) -> MlpNetwork:
    torch.manual_seed(SEED)
    return MlpNetwork(features=784, classes=classes, hidden=(32,))


def _adam(epochs: int) -> TrainingOptions:
    return TrainingOptions(epochs=epochs, batch_size="all", optimizer="adam", learning_rate=0.001, weight_decay=0.0)


def _accuracy(predicted: Tensor, targets: Int[Tensor, " N"]) -> float:
    return float((predicted == targets).float().mean())


MEASURES = {
    "mnist-zero-or-one-probability": zero_or_one_by_probability,
    "mnist-zero-or-one-logit": zero_or_one_by_logit,
    "mnist-three-classes": three_classes,
}
"""The lessons of this file by their ids."""
