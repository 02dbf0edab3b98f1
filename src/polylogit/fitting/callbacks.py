"""Training callbacks: the plan of a fit, its steps, epochs or iterations, refits for calibration, and its end.

See also: `history_file.py`, `tensorboard.py` and `polylogit.report.live`, which are callbacks.
"""

from dataclasses import dataclass

import torch

from polylogit.fitting.history import EpochRecord, FitResult, IterationRecord

__all__ = ["FitObserver", "FitPlan"]


@dataclass(frozen=True)
class FitPlan:
    """What a fit sets out to do.

    Args:
        epochs: Planned in all, those behind it included.
        rows: Trained on in an epoch.
        validation_rows: Judged after each epoch; 0: none.
        device: Where the network runs.
        bfloat16: Whether products are taken in bfloat16.
        history: The epochs behind it, where it goes on from a checkpoint.
    """

    epochs: int
    rows: int
    validation_rows: int
    device: torch.device
    bfloat16: bool
    history: tuple[EpochRecord, ...] = ()


class FitObserver:
    """Callbacks that do nothing; a subclass overrides those that it needs.

    Example:
        >>> class Losses(FitObserver):
        ...     def epoch_done(self, record):
        ...         print(f"{record.train_loss:.2f}")
        >>> Losses().epoch_done(EpochRecord(1, 0.5, 0.1, 100.0, 2.0))
        0.50
    """

    def begun(self, plan: FitPlan) -> None:
        """Before the first step."""

    def stepped(self, rows: int) -> None:
        """After each step: so many rows of the epoch are done."""

    def epoch_done(self, record: EpochRecord) -> None:
        """After each epoch and the evaluation of its validation rows."""

    def iteration_done(self, record: IterationRecord) -> None:
        """After each iteration of the exact solver; iteration 0 is its start."""

    def refit_done(self, purpose: str, done: int, total: int) -> None:
        """After each fit to a part of the rows, whose held-out rows serve calibration or cross-validation.

        Args:
            purpose: "calibration" or "cross-validation".
            done: Fits done so far.
            total: Fits planned.
        """

    def ended(self, result: FitResult) -> None:
        """After the last epoch, however the fit ended, unless it failed."""
