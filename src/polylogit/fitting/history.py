"""The history of a fit: a record per epoch of a network or iteration of the solver, and how the fit ended."""

from dataclasses import dataclass
from typing import Literal

from polylogit.misuse.findings import Diagnosis

__all__ = ["Ended", "EpochRecord", "FitResult", "IterationRecord"]

Ended = Literal["finished", "early", "interrupted", "diverged"]


@dataclass(frozen=True)
class EpochRecord:
    """The metrics of one epoch.

    Args:
        epoch: Counted from 1.
        train_loss: Mean of the objective over the epoch's rows, each batch before its step, in nats. With
            `batch_size="all"` an epoch is one step, and this is the loss before it.
        learning_rate: At the last step.
        rows_per_second: Of training, without validation.
        seconds: Since the fit began, including time before an interruption.
        validation_loss: Mean log loss of the validation rows, in nats, unsmoothed and unweighted.
        validation_accuracy: Share of the validation rows that are classified correctly.
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
    """The state after one outer iteration.

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
    """How a fit ended. The weights are in the network itself, in evaluation mode.

    Args:
        epochs: Completed epochs, including those before an interruption.
        history: One record per epoch.
        ended: "finished", "early" (by patience), "interrupted" (by Ctrl-C) or "diverged".
        message: The same as a sentence.
        misuse: What the checks of `polylogit.misuse.diagnose` found on the first batch, and on how many rows; None
            where they were not made.
        asked_to_stop: Whether Ctrl-C was pressed, also where the fit was done by then.
    """

    epochs: int
    history: tuple[EpochRecord, ...]
    ended: Ended
    message: str
    misuse: Diagnosis | None = None
    asked_to_stop: bool = False
