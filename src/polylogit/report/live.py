"""Fits as they go, in a terminal: a row for each epoch above a bar with speed and time left, or folds on one line.

It is drawn when a step or an epoch ends, at most ten times a second, by no
thread of its own. Where nobody watches, nothing is drawn at all: that choice is the command line's.
"""

import math
import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.status import Status
from rich.text import Text

from polylogit.fitting.callbacks import FitPlan, TrainingCallback
from polylogit.fitting.history import EpochRecord, FitResult, IterationRecord
from polylogit.misuse.findings import Diagnosis
from polylogit.plural import counted

__all__ = ["FoldProgress", "LiveFit", "NotesAtOnce", "duration", "epoch_row", "pictures_text", "rows_text"]

MOST_ROWS = 40
"""Of a longer fit so many epochs are shown, evenly chosen; history.jsonl has them all."""

SECONDS_BETWEEN_DRAWINGS = 0.1

_WIDTHS = {"epoch": 9, "loss": 9, "validation loss": 17, "accuracy": 10, "learning rate": 15, "time": 12}


def duration(seconds: float) -> str:
    """A span of time in the two units that matter.

    Example:
        >>> [duration(seconds) for seconds in (0.42, 9.7, 75.0, 4000.0)]
        ['0.4 s', '9.7 s', '1 min 15 s', '1 h 6 min']
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def epoch_row(record: EpochRecord, epochs: int, *, best: bool) -> Text:
    """One epoch as a row of the table.

    Args:
        record: The epoch.
        epochs: Planned in all.
        best: Whether its validation loss is the least so far, which is shown in bold.

    Returns:
        The row, as wide as its headings.

    Example:
        >>> print(epoch_row(EpochRecord(1, 0.5, 0.01, 100.0, 2.0, 0.4, 0.875), 12, best=True))
             1/12   0.5000           0.4000    0.8750           0.01       2.0 s
    """
    style = "bold green" if best else ""
    cells = {
        "epoch": (f"{record.epoch}/{epochs}", ""),
        "loss": (f"{record.train_loss:.4f}", ""),
        "validation loss": ("" if record.validation_loss is None else f"{record.validation_loss:.4f}", style),
        "accuracy": ("" if record.validation_accuracy is None else f"{record.validation_accuracy:.4f}", style),
        "learning rate": (f"{record.learning_rate:.3g}", "dim"),
        "time": (duration(record.seconds), "dim"),
    }
    row = Text()
    for name, (cell, of_cell) in cells.items():
        row.append(cell.rjust(_WIDTHS[name]), style=of_cell)
    return row


def rows_text(step: str, done: int, total: int | None, seconds: float) -> Text:
    """How far the reading or encoding of a table is, and the time that is left at the speed so far.

    Args:
        step: What is done with the rows.
        done: Rows done.
        total: Rows in all; None where it is not known.
        seconds: Since the first of them.

    Example:
        >>> print(rows_text("reading", 200_000, 1_000_000, 2.0))
        reading: 200,000 of 1,000,000 rows, 8.0 s left
        >>> print(rows_text("reading", 200_000, None, 2.0))
        reading: 200,000 rows
    """
    if not total or not done:
        return Text(f"{step}: {done:,} rows")
    return Text(f"{step}: {done:,} of {total:,} rows, {duration(seconds / done * (total - done))} left")


def pictures_text(what: str, done: int, total: int, seconds: float) -> Text:
    """How many pictures are done, and the time that is left at the speed so far.

    Args:
        what: What is done with them.
        done: Pictures done.
        total: Pictures in all.
        seconds: Since the first of them.

    Example:
        >>> print(pictures_text("features of", 64, 1000, 2.0))
        features of 64 of 1,000 pictures, 29 s left
    """
    left = f", {duration(seconds / done * (total - done))} left" if done else ""
    return Text(f"{what} {done:,} of {counted(total, 'picture')}{left}")


class LiveFit(TrainingCallback):
    """Draws a fit in a terminal, from the reading of the data to the evaluation.

    Args:
        console: Of the terminal.
        unit: What a row of the data is called there, in the plural.
    """

    def __init__(self, console: Console, unit: str = "rows") -> None:
        self._console, self._unit = console, unit
        self._status = Status(Text("reading the data"), console=console)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[speed]}  {task.fields[left]}", style="dim"),
            console=console,
            auto_refresh=False,
            transient=True,
        )
        self._task: TaskID | None = None
        self._plan: FitPlan | None = None
        self._best_loss = math.inf
        self._epoch_start = self._drawn = 0.0
        self._begun = time.monotonic()
        self._seconds_per_row: float | None = None
        self._epoch = 0

    def __enter__(self) -> "LiveFit":
        """Begin with the reading of the data."""
        self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal clean, with the rows of the epochs on it."""
        self._progress.stop()
        self._status.stop()

    def iteration_done(self, record: IterationRecord) -> None:
        """Show an iteration of the exact solver; how many there will be is not known."""
        self._status.update(
            Text(
                f"iteration {record.iteration}: objective {record.objective:.6f}, "
                f"at most {record.optimality_gap:.1e} above its optimum"
            )
        )

    def rows_done(self, step: str, done: int, total: int | None) -> None:
        """Show how many rows of a table are read or encoded, and the time that the others will take."""
        if not done:
            self._begun = time.monotonic()
        self._status.update(rows_text(step, done, total, time.monotonic() - self._begun))

    def pictures_read(self, done: int, total: int) -> None:
        """Show how many pictures are read, and the time that the others will take."""
        self._status.update(pictures_text("read", done, total, time.monotonic() - self._begun))

    def features_done(self, done: int, total: int) -> None:
        """Show how many pictures a pretrained network has seen, and the time that the others will take."""
        self._status.update(pictures_text("features of", done, total, time.monotonic() - self._begun))

    def refit_done(self, purpose: str, done: int, total: int) -> None:
        """Show how many fits of calibration or cross-validation are done."""
        self._status.update(Text(f"{purpose}: {done} of {total} fits"))

    def misuse_checked(self, found: Diagnosis) -> None:
        """The findings of the misuse checks, or that there are none."""
        self._status.stop()
        self._console.print(Text(str(found), style="yellow" if found else "dim"))

    def begun(self, plan: FitPlan) -> None:
        """The headings, and the epochs that a resumed fit has behind it in one line."""
        self._status.stop()
        self._plan, self._epoch = plan, len(plan.history)
        losses = [record.validation_loss for record in plan.history if record.validation_loss is not None]
        self._best_loss = min(losses, default=math.inf)
        where = f"{plan.device.type}, {'bfloat16' if plan.bfloat16 else 'float32'}"
        self._console.print(
            Text(f"{plan.rows:,} {self._unit} to fit, {plan.validation_rows:,} to validate ({where})", style="dim")
        )
        if plan.history:
            self._console.print(Text(f"resuming after epoch {self._epoch} of {plan.epochs}", style="dim"))
        self._console.print(Text("".join(name.rjust(width) for name, width in _WIDTHS.items()), style="bold"))
        self._task = self._progress.add_task(
            self._described(), total=plan.epochs * plan.rows, completed=self._epoch * plan.rows, speed="", left=""
        )
        self._progress.start()
        self._epoch_start = time.monotonic()

    def stepped(self, rows: int) -> None:
        """Move the bar, unless it has just been moved."""
        now = time.monotonic()
        if now - self._drawn >= SECONDS_BETWEEN_DRAWINGS:
            self._draw(rows, now)

    def epoch_done(self, record: EpochRecord) -> None:
        """Put the epoch's row above the bar."""
        if self._plan is None:
            return
        now = time.monotonic()
        self._seconds_per_row = (now - self._epoch_start) / self._plan.rows
        self._epoch, self._epoch_start = record.epoch, now
        best = record.validation_loss is not None and record.validation_loss < self._best_loss
        if record.validation_loss is not None:
            self._best_loss = min(self._best_loss, record.validation_loss)
        every = math.ceil(self._plan.epochs / MOST_ROWS)
        if record.epoch % every == 0 or record.epoch in (1, self._plan.epochs):
            self._progress.console.print(epoch_row(record, self._plan.epochs, best=best))
        if now - self._drawn >= SECONDS_BETWEEN_DRAWINGS:
            self._draw(0, now)

    def ended(self, result: FitResult) -> None:
        """What comes after the fit takes its time too."""
        self._progress.stop()
        words = "evaluating the model as it is; Ctrl-C stops at once" if result.ended == "interrupted" else "evaluating"
        self._status.update(Text(words))
        self._status.start()
        self._begun = time.monotonic()  # the features of a fine-tuned network are computed next

    def _described(self) -> str:
        epochs = 0 if self._plan is None else self._plan.epochs
        return f"epoch {min(self._epoch + 1, epochs)} of {epochs}"

    def _draw(self, rows: int, now: float) -> None:
        if self._plan is None or self._task is None:
            return
        self._drawn = now
        done = self._epoch * self._plan.rows + rows
        spent = now - self._epoch_start
        per_row = self._seconds_per_row or (spent / rows if rows else None)
        left = "" if per_row is None else f"{duration(per_row * (self._plan.epochs * self._plan.rows - done))} left"
        if rows and spent:
            self._progress.update(self._task, speed=f"{rows / spent:,.0f} {self._unit}/s")
        self._progress.update(self._task, description=self._described(), completed=done, left=left)
        self._progress.refresh()


class NotesAtOnce(TrainingCallback):
    """Prints the notes of a run that come before its long steps.

    Args:
        show: Prints a note.
    """

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self.printed: list[str] = []

    def noted(self, note: str) -> None:
        """Print the note."""
        self._show(note)
        self.printed.append(note)


class FoldProgress(TrainingCallback):
    """Shows fits fold by fold on one line: folds done, and for networks the epoch.

    Args:
        status: The line.
    """

    def __init__(self, status: Status) -> None:
        self._status = status
        self._folds, self._epochs = "fold 1", 0
        self._begun = time.monotonic()

    def features_done(self, done: int, total: int) -> None:
        """Pictures go through a pretrained network before the first fold."""
        self._status.update(pictures_text("features of", done, total, time.monotonic() - self._begun))

    def begun(self, plan: FitPlan) -> None:
        """The first epoch of a fold begins."""
        self._epochs = plan.epochs
        self._status.update(Text(f"{self._folds}: epoch 1 of {self._epochs}"))

    def epoch_done(self, record: EpochRecord) -> None:
        """The next epoch begins."""
        epoch = min(record.epoch + 1, self._epochs)
        self._status.update(Text(f"{self._folds}: epoch {epoch} of {self._epochs}"))

    def refit_done(self, purpose: str, done: int, total: int) -> None:
        """The next fold begins."""
        self._folds = f"fold {min(done + 1, total)} of {total}"
        self._status.update(Text(f"{purpose}, {self._folds}"))
