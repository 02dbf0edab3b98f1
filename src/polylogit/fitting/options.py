"""The options of a fit, as the loop takes them.

Owns their names and defaults. Their ranges are checked where people write them, in the recipe.
"""

from dataclasses import dataclass
from typing import Literal

from polylogit.fitting.devices import Precision
from polylogit.fitting.optimizers import OptimizerName, ScheduleName

__all__ = ["TrainingOptions"]


@dataclass(frozen=True)
class TrainingOptions:
    """How a network is fitted.

    Args:
        epochs: Times that every row is seen.
        batch_size: Rows in a step; "all" takes every row at once, in the order of the data.
        optimizer: See `polylogit.fitting.optimizers`.
        learning_rate: Before the schedule's factor.
        momentum: Of SGD, or beta_1 of Adam and AdamW.
        weight_decay: On matrices and kernels.
        schedule: See `polylogit.fitting.optimizers`.
        warmup_fraction: The share of the steps in which the learning rate rises.
        label_smoothing: The share of each target that is spread evenly over the classes, in [0, 1).
        gradient_clip: The greatest norm of the gradient; a longer one is scaled down to it. None: no limit.
        accumulation: Parts that a batch is worked through in, for less memory at the same objective.
        averaging: Decay of the averaged weights, which are then those that are kept. None: no averaging.
        patience: Epochs without a better validation loss after which the fit stops; the best weights are kept. None:
            all epochs are run and the last weights kept.
        precision: See `polylogit.fitting.devices`.
        seed: Of the order of the rows, dropout and augmentation.
    """

    epochs: int = 10
    batch_size: int | Literal["all"] = 256
    optimizer: OptimizerName = "adamw"
    learning_rate: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 0.01
    schedule: ScheduleName = "constant"
    warmup_fraction: float = 0.3
    label_smoothing: float = 0.0
    gradient_clip: float | None = None
    accumulation: int = 1
    averaging: float | None = None
    patience: int | None = None
    precision: Precision = "auto"
    seed: int = 0
