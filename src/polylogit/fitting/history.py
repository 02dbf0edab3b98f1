"""The history of a fit: a record per epoch of a network or iteration of the solver, and how the fit ended."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Ended", "EpochRecord", "FitResult", "IterationRecord"]

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
class IterationRecord:
    """What one outer iteration reached.

    Args:
        iteration: Count of Newton steps taken so far; 0 is the start.
        objective: F(W, b), a mean: see `polylogit.solver.softmax_regression`.
        optimality_gap: Certified bound on the relative distance to the optimum so far; inf while there is none.
        seconds: Wall-clock time since the start of the fit.
    """

    iteration: int
    objective: float
    optimality_gap: float
    seconds: float

    def as_json(self) -> dict[str, int | float]:
        """The row of `history.jsonl`."""
        return {
            "epoch": self.iteration,
            "objective": self.objective,
            "optimality_gap": self.optimality_gap,
            "seconds": round(self.seconds, 6),
        }


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
