"""What a fit tells: a record per epoch, and how it ended.

Owns plain data only; it is the loop that fills it.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Ended", "EpochRecord", "FitResult"]

Ended = Literal["finished", "early", "interrupted", "diverged"]


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch reached.

    Args:
        epoch: Counted from 1.
        train_loss: Mean of the objective over the epoch's rows, each batch before its step, in nats. With
            `batch_size="all"` an epoch is one step, and this is the loss before it.
        learning_rate: At the last step.
        rows_per_second: Of training, without validation.
        seconds: Since the fit began, those before an interruption included.
        validation_loss: Mean log loss of the validation rows, in nats, unsmoothed and unweighted.
        validation_accuracy: Share of the validation rows that are classified rightly.
    """

    epoch: int
    train_loss: float
    learning_rate: float
    rows_per_second: float
    seconds: float
    validation_loss: float | None = None
    validation_accuracy: float | None = None


@dataclass(frozen=True)
class FitResult:
    """How a fit went. The weights are in the network itself, in evaluation mode.

    Args:
        epochs: Whole epochs behind the fit, those before an interruption included.
        history: One record per epoch.
        ended: "finished", "early" (by patience), "interrupted" (by Ctrl-C) or "diverged".
        message: The same in words.
    """

    epochs: int
    history: tuple[EpochRecord, ...]
    ended: Ended
    message: str
