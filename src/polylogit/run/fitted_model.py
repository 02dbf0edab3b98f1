"""What passes between a run and its fit: where the model is fitted, and the fitted model.

See also: `linear_fit.py` and `network_fit.py`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from polylogit.calibration import CalibrationFit
from polylogit.fitting.callbacks import TrainingCallback
from polylogit.fitting.devices import DeviceName
from polylogit.fitting.history_file import HistoryFile
from polylogit.fitting.out_of_fold import HeldOutLogits
from polylogit.model_header import NetworkSpec
from polylogit.recipes import Recipe
from polylogit.run.penalty_choice import PenaltyChoice
from polylogit.run.task import Task

__all__ = ["FittedModel", "TrainingPlace"]


@dataclass(frozen=True)
class TrainingPlace:
    """Where a model is fitted, and where its fit is reported and can be resumed.

    Args:
        device: The device asked for; linear models are fitted on the CPU.
        checkpoint: The file that contains the state of a network's fit; None: none is written.
        resume: Whether to resume from it.
        history: The file that gets a row as each epoch or iteration ends; None: none is written.
        callbacks: Training callbacks of the caller.
    """

    device: DeviceName = "auto"
    checkpoint: Path | None = None
    resume: bool = False
    history: Path | None = None
    callbacks: tuple[TrainingCallback, ...] = ()

    @property
    def reported_to(self) -> tuple[TrainingCallback, ...]:
        """The history file, where one is written, and the callbacks."""
        return self.callbacks if self.history is None else (HistoryFile(self.history), *self.callbacks)


@dataclass(frozen=True)
class FittedModel:
    """The result of a fit.

    Args:
        network: With its weights, on the CPU, in evaluation mode.
        spec: Kind and options that build it again.
        calibration: The calibration and its evidence; None where the recipe asks for none, or rows were too few.
        held_out: The logits that it was fitted to, of training rows from models that were not fitted on them, with the
            row numbers of the task; None where the recipe asks for no calibration, or rows were too few.
        epochs: Iterations of the solver, or epochs of the training loop.
        message: Why the fit ended, in words.
        whole: Whether it ran to its end; False after an interrupt or a divergence.
        history: One record per epoch or iteration, as plain data.
        recipe: The recipe with what was left to the data chosen; None where nothing was.
        penalty: How C was chosen; None where the recipe names it, and for networks.
        interrupted: Whether Ctrl-C was pressed in the fit, also where it was done by then.
        task: The task with the encoder and the inputs of the network, where its fit has changed them; None where not.
        notes: What a reader must know of the fit, in sentences.
    """

    network: nn.Module
    spec: NetworkSpec
    calibration: CalibrationFit | None
    held_out: HeldOutLogits | None
    epochs: int
    message: str
    whole: bool
    history: tuple[dict[str, Any], ...]
    recipe: Recipe | None = None
    penalty: PenaltyChoice | None = None
    interrupted: bool = False
    task: Task | None = None
    notes: tuple[str, ...] = ()

    def raise_if_interrupted(self) -> None:
        """Pass Ctrl-C on where a model that was cut short serves nobody, as one of a fold.

        Raises:
            KeyboardInterrupt: It was pressed in the fit.
        """
        if self.interrupted:
            raise KeyboardInterrupt
