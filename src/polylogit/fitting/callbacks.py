"""Who is told how a fit goes, and of what: its plan, its steps, its epochs, its end.

Owns the moments and what is told at each. What is done with the news (a file, a bar in the terminal, TensorBoard) is
the observers' business; the loop never waits for an answer.
"""

from dataclasses import dataclass

import torch

from polylogit.fitting.history import EpochRecord, FitResult

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
    """Is told of a fit, and does nothing with it; a subclass takes what it wants.

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
        """After each epoch, once its validation rows are judged; the network stands as it then is."""

    def ended(self, result: FitResult) -> None:
        """After the last epoch, however the fit ended, unless it failed."""
