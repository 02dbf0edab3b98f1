"""The losses of an epoch, and the detection of a loss that is NaN or infinite."""

import math

import torch
from torch import Tensor

__all__ = ["Diverged", "EpochLoss"]

_LOSSES_AT_ONCE = 50


class Diverged(Exception):  # noqa: N818 - carries news inside the loop; users see DivergenceError
    """A loss was NaN or infinite.

    Args:
        batch: Of the epoch, from 0.
        loss: NaN or infinite.
        learning_rate: At that step.
    """

    def __init__(self, batch: int, loss: float, learning_rate: float) -> None:
        super().__init__(f"batch {batch}: loss {loss} at learning rate {learning_rate}")
        self.batch, self.loss, self.learning_rate = batch, loss, learning_rate


class EpochLoss:
    """Sums of losses and weights, looked at now and then: on a GPU each look waits for the device.

    Args:
        device: Where the losses are.

    Example:
        >>> losses = EpochLoss(torch.device("cpu"))
        >>> losses.add(0, torch.tensor(6.0), 2.0, learning_rate=0.1)
        >>> losses.mean()
        3.0
    """

    def __init__(self, device: torch.device) -> None:
        self._at_once = 1 if device.type == "cpu" else _LOSSES_AT_ONCE
        self._waiting: list[tuple[int, Tensor | float, Tensor | float, float]] = []
        self._loss = 0.0
        self._weight = 0.0

    def add(self, batch: int, loss: Tensor | float, weight: Tensor | float, learning_rate: float) -> None:
        """Note the sum of a batch's weighted losses and the sum of its weights.

        Raises:
            Diverged: As `check`.
        """
        self._waiting.append((batch, loss, weight, learning_rate))
        if len(self._waiting) >= self._at_once:
            self.check()

    def check(self) -> None:
        """Take what waits into the sums.

        Raises:
            Diverged: A loss is NaN or infinite.
        """
        for batch, loss, weight, learning_rate in self._waiting:
            value = float(loss)
            if not math.isfinite(value):
                raise Diverged(batch, value, learning_rate)
            self._loss += value
            self._weight += float(weight)
        self._waiting.clear()

    def mean(self) -> float:
        """The mean loss of what was checked; 0 where nothing has a weight."""
        return self._loss / self._weight if self._weight else 0.0
