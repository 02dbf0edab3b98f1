"""Training callbacks: the plan of a fit, its steps, epochs or iterations, refits for calibration, and its end.

See also: `history_file.py`, `tensorboard.py` and `polylogit.report.live`, which are callbacks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from polylogit.fitting.history import EpochRecord, FitResult, IterationRecord
from polylogit.misuse.findings import Diagnosis

__all__ = [
    "FitObserver",
    "FitPlan",
    "TrainingCallback",
    "features_reporter",
    "pictures_reporter",
    "refit_reporter",
    "row_reporter",
]


@dataclass(frozen=True)
class FitPlan:
    """The plan of a fit.

    Args:
        epochs: Planned in all, including those done before a resumption.
        rows: Trained on in an epoch.
        validation_rows: Evaluated after each epoch; 0: none.
        device: Device of the network.
        bfloat16: Whether matrix products are computed in bfloat16.
        history: The epochs done before, where the fit resumes from a checkpoint.
    """

    epochs: int
    rows: int
    validation_rows: int
    device: torch.device
    bfloat16: bool
    history: tuple[EpochRecord, ...] = ()


class TrainingCallback:
    """Callbacks that do nothing; a subclass overrides those that it needs.

    Example:
        >>> class Losses(TrainingCallback):
        ...     def epoch_done(self, record):
        ...         print(f"{record.train_loss:.2f}")
        >>> Losses().epoch_done(EpochRecord(1, 0.5, 0.1, 100.0, 2.0))
        0.50
    """

    def misuse_checked(self, found: Diagnosis) -> None:
        """After the misuse checks of the first batch, where they are made; before `begun`."""

    def noted(self, note: str) -> None:
        """Before a long step, with what a reader must know of it; the note is among those of the result, too."""

    def rows_done(self, step: str, done: int, total: int | None) -> None:
        """While a table that is larger than memory is read and encoded, before the fit.

        Args:
            step: "reading" or "encoding".
            done: Rows done so far; 0 as the step begins.
            total: Rows in all; None where the files do not say it.
        """

    def pictures_read(self, done: int, total: int) -> None:
        """While picture files are read, before the fit.

        Args:
            done: Pictures read so far.
            total: Pictures in all.
        """

    def features_done(self, done: int, total: int) -> None:
        """While the features of pictures are computed, before the fit.

        Args:
            done: Pictures done so far.
            total: Pictures whose features are not known yet.
        """

    def begun(self, plan: FitPlan) -> None:
        """Before the first step."""

    def stepped(self, rows: int) -> None:
        """After each step, with the number of rows of the epoch that are done."""

    def epoch_done(self, record: EpochRecord) -> None:
        """After each epoch and the evaluation of its validation rows."""

    def iteration_done(self, record: IterationRecord) -> None:
        """After each iteration of the exact solver; iteration 0 is its start."""

    def refit_done(self, purpose: str, done: int, total: int) -> None:
        """After each fit to a part of the rows, whose other rows are held out for a purpose.

        Args:
            purpose: "calibration", "cross-validation", "label check", "choice of C", or "choice of the model, " with
                the kind of a candidate.
            done: Fits done so far.
            total: Fits planned.
        """

    def ended(self, result: FitResult) -> None:
        """After the last epoch, however the fit ended, unless it failed."""


FitObserver = TrainingCallback
"""Deprecated: the former name of `TrainingCallback`."""


def pictures_reporter(callbacks: Sequence[TrainingCallback]) -> Callable[[int, int], None]:
    """Call `pictures_read` of all callbacks.

    Args:
        callbacks: Those that are called.

    Returns:
        A function of the pictures that are read and of all pictures.
    """

    def report(done: int, total: int) -> None:
        for callback in callbacks:
            callback.pictures_read(done, total)

    return report


def features_reporter(callbacks: Sequence[TrainingCallback]) -> Callable[[int, int], None]:
    """Call `features_done` of all callbacks.

    Args:
        callbacks: Those that are called.

    Returns:
        A function of the pictures that are done and of those to do.
    """

    def report(done: int, total: int) -> None:
        for callback in callbacks:
            callback.features_done(done, total)

    return report


def refit_reporter(purpose: str, callbacks: Sequence[TrainingCallback]) -> Callable[[int, int], None]:
    """Call `refit_done` of all callbacks.

    Args:
        purpose: See `TrainingCallback.refit_done`.
        callbacks: Those that are called.

    Returns:
        A function of the fits that are done and of those planned.
    """

    def report(done: int, total: int) -> None:
        for callback in callbacks:
            callback.refit_done(purpose, done, total)

    return report


def row_reporter(step: str, total: int | None, callbacks: Sequence[TrainingCallback]) -> Callable[[int], None]:
    """Call `rows_done` of all callbacks: now, as the step begins, and with the rows that are done so far.

    Args:
        step: See `TrainingCallback.rows_done`.
        total: Rows in all; None where it is not known.
        callbacks: Those that are called.

    Returns:
        A function of the rows of a block that has been done.
    """
    done = 0

    def report(rows: int) -> None:
        nonlocal done
        done += rows
        for callback in callbacks:
            callback.rows_done(step, done, total)

    report(0)
    return report
