"""Training curves for TensorBoard: event files with a point per epoch. TensorBoard is an extra."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from polylogit.errors import PolylogitError
from polylogit.fitting.callbacks import FitPlan, TrainingCallback
from polylogit.fitting.history import EpochRecord, FitResult

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

__all__ = ["TensorBoardFiles"]


class TensorBoardFiles(TrainingCallback):
    """Writes loss, accuracy, learning rate and speed of each epoch for TensorBoard.

    The points stand at the number of their epoch. A fit that is resumed hides the points of epochs that it runs again.

    Args:
        folder: Where the event files go; made where it is not there.

    Raises:
        PolylogitError: The package `tensorboard` is not installed.
    """

    def __init__(self, folder: Path) -> None:
        if find_spec("tensorboard") is None:
            raise PolylogitError(
                "--tensorboard: the package tensorboard is not installed. Install it with: "
                "pip install 'polylogit[tensorboard]'. Without it, history.jsonl has the same figures."
            )
        self.folder = folder
        self._writer: SummaryWriter | None = None

    def begun(self, plan: FitPlan) -> None:
        """Open the event file.

        Raises:
            PolylogitError: The folder cannot be written to.
        """
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - slow, and only here with the extra

        try:
            self._writer = SummaryWriter(
                log_dir=str(self.folder), purge_step=len(plan.history) + 1 if plan.history else None
            )
        except OSError as fault:
            raise PolylogitError(f"--tensorboard {self.folder}: cannot be written ({fault.strerror}).") from fault

    def epoch_done(self, record: EpochRecord) -> None:
        """Add a point to each curve, and hand it to the system, so that it can be watched and outlives a kill."""
        if self._writer is None:
            return
        points = {
            "loss/train": record.train_loss,
            "loss/validation": record.validation_loss,
            "accuracy/validation": record.validation_accuracy,
            "learning rate": record.learning_rate,
            "rows per second": record.rows_per_second,
        }
        for name, value in points.items():
            if value is not None:
                self._writer.add_scalar(name, value, record.epoch)
        self._writer.flush()

    def ended(self, result: FitResult) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
