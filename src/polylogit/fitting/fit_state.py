"""The state of a fit between epochs, and its conversion to and from the contents of a checkpoint.

See also: `checkpoint.py`, which reads and writes the file.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from polylogit.errors import ModelFileError
from polylogit.fitting.checkpoint import TrainingState
from polylogit.fitting.ema import AveragedWeights
from polylogit.fitting.history import EpochRecord

__all__ = ["FitState", "copied_weights"]

# Checkpoints of version 0.1 name Adam's moments so; now they have the names that torch.optim uses.
_FORMER_NAMES = {"mean": "exp_avg", "square": "exp_avg_sq"}


@dataclass
class FitState:
    """A fit after so many epochs.

    Args:
        network: Is fitted.
        optimizer: Of its parameters.
        averaged: Follows it; None where nothing is averaged.
        epoch: Whole epochs done.
        seconds: Spent so far.
        best_loss: Least validation loss so far.
        best_epoch: Its epoch.
        history: One record per epoch.
        good: The weights worth keeping after the last whole epoch.
        best: Those of the best epoch, where early stopping keeps them.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    averaged: AveragedWeights | None
    epoch: int = 0
    seconds: float = 0.0
    best_loss: float = math.inf
    best_epoch: int = 0
    history: list[EpochRecord] = field(default_factory=list)
    good: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)

    @property
    def kept_network(self) -> nn.Module:
        """The network whose weights are kept."""
        return self.network if self.averaged is None else self.averaged.network

    def as_kept(self) -> TrainingState:
        """The state for a checkpoint; its tensors are those of the fit, not copies."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items() if value is not None}
        if self.averaged is not None:
            tensors |= {f"averaged.{name}": value for name, value in self.averaged.network.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        return TrainingState(
            tensors=tensors,
            epoch=self.epoch,
            seconds=self.seconds,
            averages=0 if self.averaged is None else self.averaged.updates,
            best_loss=None if math.isinf(self.best_loss) else self.best_loss,
            best_epoch=self.best_epoch,
            history=[vars(record) for record in self.history],
        )

    def restore(self, kept: TrainingState) -> None:
        """Resume from the state of a checkpoint, with the same bits.

        Raises:
            ModelFileError: The state is of another network or optimiser.
        """
        try:
            self.network.load_state_dict(kept.under("network"))
        except RuntimeError as fault:
            raise ModelFileError(
                f"the checkpoint is of another network: {fault}. Start again without resuming."
            ) from fault
        if self.averaged is not None:
            self.averaged.network.load_state_dict(kept.under("averaged"))
            self.averaged.updates = kept.averages
        self._restore_optimizer(kept.under("optimizer"))
        self.epoch, self.seconds = kept.epoch, kept.seconds
        self.history = [EpochRecord(**record) for record in kept.history]
        self.best_loss = math.inf if kept.best_loss is None else kept.best_loss
        self.best_epoch = kept.best_epoch
        self.best = kept.under("best")
        self.good = copied_weights(self.kept_network)

    def _restore_optimizer(self, kept: dict[str, Tensor]) -> None:
        groups = self.optimizer.state_dict()["param_groups"]
        trained = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in kept.items():
            index, _, key = name.partition(".")
            if not index.isdecimal() or int(index) >= len(trained):
                raise ModelFileError(
                    f"the checkpoint has optimiser state for parameter {index}, but the network has "
                    f"{len(trained)} trainable parameters: it is of another network. Start again without resuming."
                )
            parameter = trained[int(index)]
            # A fused optimiser walks through memory: moments must lie there in the same order as their parameter.
            moment = torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value
            moments.setdefault(int(index), {})[_FORMER_NAMES.get(key, key)] = moment
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})


def copied_weights(network: nn.Module) -> dict[str, Tensor]:
    """A copy of all that a network's state holds, by name."""
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
