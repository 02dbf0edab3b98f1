"""The options of a fit, with their defaults and ranges.

See also: `polylogit.recipes.sections.NetworkTraining`, the same options in a recipe.
"""

from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from polylogit.errors import RecipeError
from polylogit.fitting.devices import Precision
from polylogit.fitting.optimizers import OptimizerName, ScheduleName
from polylogit.network_sections import NETWORK_TRAINING, USUAL_BATCH, Count, Positive, Share, ZeroOrMore

__all__ = ["TrainingOptions"]

_PositiveShare = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class TrainingOptions:
    """How a network is fitted.

    Args:
        epochs: Number of passes over the training rows.
        batch_size: Rows in a step; "all" takes every row at once, in the order of the data.
        optimizer: See `polylogit.fitting.optimizers`.
        learning_rate: Peak learning rate, before the schedule's factor.
        momentum: Momentum of SGD, or beta_1 of Adam and AdamW.
        weight_decay: Weight decay of matrices and kernels.
        schedule: See `polylogit.fitting.optimizers`.
        warmup_fraction: Fraction of the steps in which the learning rate rises.
        label_smoothing: The share of each target that is spread evenly over the classes, in [0, 1).
        gradient_clip: Largest norm of the gradient; a longer one is scaled down to it. None: no clipping.
        accumulation: Gradient accumulation steps: parts of a batch computed in turn, with the same objective.
        averaging: Decay of the exponential moving average of the weights, which are then those that are kept. None: no
            averaging.
        patience: Epochs without a lower validation loss after which the fit stops; the best weights are kept. None:
            all epochs are run and the last weights kept.
        precision: See `polylogit.fitting.devices`.
        seed: Random seed of the order of the rows, dropout and augmentation.

    Raises:
        RecipeError: An option has the wrong type or is out of range; the message names each of them.

    Example:
        >>> TrainingOptions(epochs=0)
        Traceback (most recent call last):
            ...
        polylogit.errors.RecipeError: training.epochs: Input should be greater than or equal to 1, got 0.
    """

    epochs: Count = 10
    batch_size: Count | Literal["all"] = USUAL_BATCH
    optimizer: OptimizerName = "adamw"
    learning_rate: Positive = 0.001
    momentum: Share = NETWORK_TRAINING.momentum
    weight_decay: ZeroOrMore = NETWORK_TRAINING.weight_decay
    schedule: ScheduleName = "constant"
    warmup_fraction: Share = NETWORK_TRAINING.warmup_fraction
    label_smoothing: Share = NETWORK_TRAINING.label_smoothing
    gradient_clip: Positive | None = None
    accumulation: Count = NETWORK_TRAINING.accumulation
    averaging: _PositiveShare | None = None
    patience: Count | None = None
    precision: Precision = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        try:
            checked = _model()(**vars(self))
        except ValidationError as fault:
            messages: dict[str, str] = {}
            for error in fault.errors():
                name = str(error["loc"][0])
                message = f"training.{name}: {error['msg']}, got {error['input']!r}."
                messages[name] = f"{messages[name]} Or: {message}" if name in messages else message
            raise RecipeError("\n".join(messages.values())) from fault
        for field in fields(self):
            object.__setattr__(self, field.name, getattr(checked, field.name))


@cache
def _model() -> type[BaseModel]:
    """The pydantic model that checks the options by the annotations of their fields."""
    entries: dict[str, Any] = {field.name: (field.type, ...) for field in fields(TrainingOptions)}
    return create_model("TrainingOptions", __config__=ConfigDict(allow_inf_nan=False, strict=True), **entries)
