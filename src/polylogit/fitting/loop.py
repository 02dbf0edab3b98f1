"""The training loop: the one way in which networks are fitted.

The data lie in one tensor on the device, as they are (pictures as uint8); each batch is taken by its rows, augmented,
prepared (say, normalised) and shown to the network. In a batch with rows n of weights w_n the loss is

    sum_n w_n loss_n / sum_n w_n,      w_n = class_weight[target_n] * sample_weight_n,

however many parts the batch is worked through in. Everything random in an epoch is drawn from the seed and the epoch's
number, so that an epoch begins the same whether or not the run was cut before it.

Owns the order of things in a run: batches, steps, validation, early stopping, checkpoints, interruption, divergence.
It does not own networks, where data come from, or what is printed.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor, nn

from polylogit.errors import DataError, DivergenceError, RecipeError
from polylogit.fitting.averaging import AveragedWeights
from polylogit.fitting.checkpoint import Checkpoint, TrainingState
from polylogit.fitting.devices import uses_bfloat16
from polylogit.fitting.forward import network_logits, shown
from polylogit.fitting.history import Ended, EpochRecord, FitResult
from polylogit.fitting.interrupt import Interrupt, listening_for_interrupt
from polylogit.fitting.optimizers import build_optimizer, learning_rate_factor
from polylogit.fitting.options import TrainingOptions
from polylogit.losses import cross_entropy_with_logits, target_weights, weighted_mean

__all__ = ["fit_network"]

_LOSSES_AT_ONCE = 50


@dataclass(frozen=True)
class _Rows:
    """Rows on the device, and how they become what the network sees."""

    inputs: Num[Tensor, "N ..."]
    targets: Int[Tensor, " N"]
    class_weight: Float[Tensor, " K"] | None
    sample_weight: Float[Tensor, " rows"] | None
    prepare: Callable[[Tensor], Tensor] | None
    augment: Callable[[Tensor], Tensor] | None

    def on(self, device: torch.device) -> "_Rows":
        return replace(
            self,
            inputs=self.inputs.to(device),
            targets=self.targets.to(device),
            class_weight=None if self.class_weight is None else self.class_weight.to(device),
            sample_weight=None if self.sample_weight is None else self.sample_weight.to(device),
        )

    def batch(self, rows: Tensor | slice) -> Tensor:
        # Copying whole rows is many times faster than indexing, which looks at every value's place.
        inputs = self.inputs[rows] if isinstance(rows, slice) else torch.index_select(self.inputs, 0, rows)
        if self.augment is not None:
            inputs = self.augment(inputs)
        return shown(inputs, self.prepare)


@dataclass
class _Progress:
    """What changes from epoch to epoch."""

    epoch: int = 0
    seconds: float = 0.0
    best_loss: float = math.inf
    best_epoch: int = 0
    history: list[EpochRecord] = field(default_factory=list)
    good: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)


class _Diverged(Exception):  # noqa: N818 - carries news inside this module; users see DivergenceError
    def __init__(self, batch: int, loss: float, learning_rate: float) -> None:
        self.batch, self.loss, self.learning_rate = batch, loss, learning_rate


def fit_network(
    network: nn.Module,
    inputs: Num[Tensor, "N ..."],
    targets: Int[Tensor, " N"],
    *,
    options: TrainingOptions,
    validation: tuple[Tensor, Tensor] | None = None,
    class_weight: Float[Tensor, " K"] | None = None,
    sample_weight: Float[Tensor, " rows"] | None = None,
    prepare: Callable[[Tensor], Tensor] | None = None,
    augment: Callable[[Tensor], Tensor] | None = None,
    device: torch.device | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> FitResult:
    """Fit a network that gives logits; its weights are changed in place.

    Args:
        network: Any module from prepared inputs to logits (N, K).
        inputs: Rows of any dtype, in memory once and as they are.
        targets: Class indices in [0, K).
        options: How to fit.
        validation: Inputs and targets of rows that are not trained on: judged after every epoch.
        class_weight: Weight of each class in the objective; 1 when left out.
        sample_weight: Weight of each row in the objective; 1 when left out.
        prepare: From a batch of inputs to what the network takes, as in prediction.
        augment: Changes a batch of inputs at random before it is prepared; only in training.
        device: Where to compute; the CPU when left out.
        on_epoch: Called after each epoch, with the network as it then stands.
        checkpoint: Where the state is kept, and taken up again if it is there.

    Returns:
        The history and how the fit ended.

    Raises:
        DataError: The rows and targets do not fit together, or a target is outside the classes.
        RecipeError: An option does not fit the data.
        DivergenceError: The loss was NaN or infinite before one epoch was whole.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> inputs, targets = torch.eye(3).repeat(8, 1), torch.arange(3).repeat(8)
        >>> network, options = nn.Linear(3, 3), TrainingOptions(epochs=30, batch_size=8, learning_rate=0.1)
        >>> fit = fit_network(network, inputs, targets, options=options)
        >>> fit.epochs, fit.history[-1].train_loss < 0.1
        (30, True)

    Source: Goodfellow, Bengio and Courville (2016), Deep Learning, algorithms 7.1 (early stopping) and 8.1.
    """
    device = device or torch.device("cpu")
    rows = _Rows(inputs, targets.long(), class_weight, sample_weight, prepare, augment)
    _refuse_misfits(rows, options, validation)
    classes = network_logits(network, inputs[:1], prepare=prepare).shape[1]
    _refuse_strange_targets("row", targets, classes)
    if validation is not None:
        _refuse_strange_targets("validation row", validation[1], classes)
    network.to(device)
    if inputs.ndim == 4:
        network.to(memory_format=torch.channels_last)
    rows = rows.on(device)
    fit = _Fit(
        network=network,
        rows=rows,
        classes=classes,
        options=options,
        validation=validation,
        device=device,
        checkpoint=checkpoint,
    )
    with listening_for_interrupt() as interrupt:
        return fit.run(interrupt, on_epoch)


class _Fit:
    """One fit under way."""

    def __init__(
        self,
        *,
        network: nn.Module,
        rows: _Rows,
        classes: int,
        options: TrainingOptions,
        validation: tuple[Tensor, Tensor] | None,
        device: torch.device,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.network, self.rows, self.classes, self.options = network, rows, classes, options
        self.validation, self.device, self.checkpoint = validation, device, checkpoint
        self.count = len(rows.targets)
        self.batches = _batch_bounds(self.count, options.batch_size)
        self.bfloat16 = uses_bfloat16(options.precision, device, pictures=rows.inputs.ndim == 4)
        self.optimizer = build_optimizer(
            network,
            options.optimizer,
            learning_rate=options.learning_rate,
            momentum=options.momentum,
            weight_decay=options.weight_decay,
        )
        self.averaged = None if options.averaging is None else AveragedWeights(network, options.averaging)
        self.progress = _Progress()

    @property
    def judged(self) -> nn.Module:
        """The network whose weights are kept."""
        return self.network if self.averaged is None else self.averaged.network

    def run(self, interrupt: Interrupt, on_epoch: Callable[[EpochRecord], None] | None) -> FitResult:
        progress = self.progress
        self._take_up()
        ended: Ended = "finished"
        fault: _Diverged | None = None
        while progress.epoch < self.options.epochs:
            if self._out_of_patience():
                ended = "early"
                break
            try:
                record = self._epoch(interrupt)
            except _Diverged as diverged:
                fault, ended = diverged, "diverged"
                break
            if record is None:
                ended = "interrupted"
                break
            if on_epoch is not None:
                on_epoch(record)
            self._keep()
        return self._result(ended, fault)

    def _epoch(self, interrupt: Interrupt) -> EpochRecord | None:
        """One epoch; None when it was cut short."""
        progress, options = self.progress, self.options
        start = time.perf_counter()
        self.network.train()
        with _seeded(options.seed, progress.epoch, self.device):
            whole = len(self.batches) == 1 and options.batch_size == "all"
            order = None if whole else torch.randperm(self.count).to(self.device)
            losses = _EpochLoss(self.device)
            for index, (first, last) in enumerate(self.batches):
                step = progress.epoch * len(self.batches) + index
                factor = learning_rate_factor(
                    options.schedule, step, options.epochs * len(self.batches), options.warmup_fraction
                )
                for group in self.optimizer.param_groups:
                    group["lr"] = options.learning_rate * factor
                chosen = slice(first, last) if order is None else order[first:last]
                losses.add(index, *self._step(chosen, last - first), options.learning_rate * factor)
                if interrupt.asked:
                    return None
            losses.check()
        seconds = time.perf_counter() - start
        loss, accuracy = self._validated()
        progress.seconds += time.perf_counter() - start
        record = EpochRecord(
            epoch=progress.epoch + 1,
            train_loss=losses.mean(),
            learning_rate=options.learning_rate * factor,
            rows_per_second=self.count / seconds,
            seconds=progress.seconds,
            validation_loss=loss,
            validation_accuracy=accuracy,
        )
        self._note(record)
        return record

    def _step(self, chosen: Tensor | slice, count: int) -> tuple[Tensor | float, Tensor | float]:
        """One step; gives the sum of weighted losses and the sum of weights, before the step."""
        rows, options = self.rows, self.options
        inputs, targets = rows.batch(chosen), rows.targets[chosen]
        weights = None if rows.sample_weight is None else rows.sample_weight[chosen]
        weight: Tensor | float = float(count)
        if rows.class_weight is not None or weights is not None:
            shape = (count, self.classes)
            weight = target_weights(targets, shape, class_weight=rows.class_weight, sample_weight=weights).sum()
        total: Tensor | float = 0.0
        size = math.ceil(count / options.accumulation)
        for first in range(0, count, size):
            part = slice(first, first + size)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
                logits = self.network(inputs[part])
            loss = cross_entropy_with_logits(
                logits.float(),
                targets[part],
                class_weight=rows.class_weight,
                sample_weight=None if weights is None else weights[part],
                label_smoothing=options.label_smoothing,
                reduction="sum",
                validate=False,  # the targets were looked at once, before the first epoch
            )
            torch.autograd.backward(loss / weight if isinstance(weight, float) else weighted_mean(loss, weight))
            total = total + loss.detach()
        if options.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), options.gradient_clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.averaged is not None:
            self.averaged.update(self.network)
        return total, weight

    def _validated(self) -> tuple[float | None, float | None]:
        if self.validation is None:
            return None, None
        inputs, targets = self.validation
        logits = network_logits(self.judged, inputs, prepare=self.rows.prepare)
        targets = targets.cpu()
        loss = nn.functional.cross_entropy(logits, targets)
        return float(loss), float((logits.argmax(1) == targets).float().mean())

    def _note(self, record: EpochRecord) -> None:
        """Take an epoch that went well into the history, and remember its weights."""
        progress = self.progress
        weights = {name: value.detach().clone() for name, value in self.judged.state_dict().items()}
        if not all(bool(value.isfinite().all()) for value in weights.values() if value.is_floating_point()):
            raise _Diverged(len(self.batches) - 1, math.nan, record.learning_rate)
        progress.epoch = record.epoch
        progress.good = weights
        progress.history.append(record)
        if record.validation_loss is not None and record.validation_loss < progress.best_loss:
            progress.best_loss, progress.best_epoch = record.validation_loss, record.epoch
            progress.best = weights if self.options.patience is not None else {}

    def _out_of_patience(self) -> bool:
        patience = self.options.patience
        return patience is not None and self.progress.epoch - self.progress.best_epoch >= patience

    def _keep(self) -> None:
        """Write the state, if it is time to."""
        if self.checkpoint is not None and self.checkpoint.is_due():
            self.checkpoint.write(self._state())

    def _state(self) -> TrainingState:
        progress = self.progress
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items() if value is not None}
        if self.averaged is not None:
            tensors |= {f"averaged.{name}": value for name, value in self.averaged.network.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in progress.best.items()}
        return TrainingState(
            tensors=tensors,
            epoch=progress.epoch,
            seconds=progress.seconds,
            averages=0 if self.averaged is None else self.averaged.updates,
            best_loss=None if math.isinf(progress.best_loss) else progress.best_loss,
            best_epoch=progress.best_epoch,
            history=[vars(record) for record in progress.history],
        )

    def _take_up(self) -> None:
        """Go on from the checkpoint, if there is one to go on from."""
        state = None if self.checkpoint is None else self.checkpoint.read()
        if state is None:
            return
        progress = self.progress
        self.network.load_state_dict(state.under("network"))
        if self.averaged is not None:
            self.averaged.network.load_state_dict(state.under("averaged"))
            self.averaged.updates = state.averages
        groups = self.optimizer.state_dict()["param_groups"]
        trained = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        kept: dict[int, dict[str, Tensor]] = {}
        for name, value in state.under("optimizer").items():
            index, _, key = name.partition(".")
            parameter = trained[int(index)]
            # A fused optimiser walks through memory: moments must lie there in the same order as their parameter.
            moment = torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value
            kept.setdefault(int(index), {})[key] = moment
        self.optimizer.load_state_dict({"state": kept, "param_groups": groups})
        progress.epoch, progress.seconds = state.epoch, state.seconds
        progress.history = [EpochRecord(**record) for record in state.history]
        progress.best_loss = math.inf if state.best_loss is None else state.best_loss
        progress.best_epoch = state.best_epoch
        progress.best = state.under("best")
        progress.good = {name: value.detach().clone() for name, value in self.judged.state_dict().items()}

    def _result(self, ended: Ended, fault: _Diverged | None) -> FitResult:
        progress, epochs = self.progress, self.options.epochs
        at = ""
        if fault is not None:
            at = (
                f"the loss became {fault.loss} in epoch {progress.epoch + 1}, batch {fault.batch + 1} of "
                f"{len(self.batches)}, at learning rate {fault.learning_rate:.3g}. Try a tenth of the learning rate, a "
                'longer warm-up, gradient_clip = 1.0, or precision = "float32"'
            )
            if not progress.good:
                raise DivergenceError(f"the fit diverged: {at}.")
        kept = progress.best or (progress.good if ended == "diverged" else self.judged.state_dict())
        self.network.load_state_dict(kept)
        self.network.eval()
        message = {
            "finished": f"All {epochs} epochs done.",
            "early": f"Stopped after epoch {progress.epoch}: the validation loss no longer falls.",
            "interrupted": f"Interrupted in epoch {progress.epoch + 1} of {epochs}; the weights so far are kept.",
            "diverged": f"Diverged: {at}. The weights after epoch {progress.epoch} are kept.",
        }[ended]
        if progress.best and ended != "diverged":
            message += f" The weights of epoch {progress.best_epoch} are kept: they have the best validation loss."
        return FitResult(progress.epoch, tuple(progress.history), ended, message)


class _EpochLoss:
    """Sums of losses and weights, looked at now and then: on a GPU each look waits for the device."""

    def __init__(self, device: torch.device) -> None:
        self.at_once = 1 if device.type == "cpu" else _LOSSES_AT_ONCE
        self.waiting: list[tuple[int, Tensor | float, Tensor | float, float]] = []
        self.loss = 0.0
        self.weight = 0.0

    def add(self, batch: int, loss: Tensor | float, weight: Tensor | float, learning_rate: float) -> None:
        self.waiting.append((batch, loss, weight, learning_rate))
        if len(self.waiting) >= self.at_once:
            self.check()

    def check(self) -> None:
        """Take what waits into the sums.

        Raises:
            _Diverged: A loss is NaN or infinite.
        """
        for batch, loss, weight, learning_rate in self.waiting:
            value = float(loss)
            if not math.isfinite(value):
                raise _Diverged(batch, value, learning_rate)
            self.loss += value
            self.weight += float(weight)
        self.waiting.clear()

    def mean(self) -> float:
        return self.loss / self.weight if self.weight else 0.0


def _batch_bounds(count: int, batch_size: int | Literal["all"]) -> list[tuple[int, int]]:
    """First and last row of each batch.

    A last batch of one row joins the one before it, as no normalisation over a batch can be had from one row.
    """
    size = count if batch_size == "all" else batch_size
    bounds = [(first, min(first + size, count)) for first in range(0, count, size)]
    if len(bounds) > 1 and bounds[-1][1] - bounds[-1][0] == 1 and size > 1:
        bounds[-2:] = [(bounds[-2][0], count)]
    return bounds


@contextmanager
def _seeded(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Draw everything random from the seed and the epoch, and leave the caller's generators as they were."""
    indices = [torch.cuda.current_device()] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=indices):
        # torch.manual_seed seeds every kind of GPU as well, and keeps a stack trace of each call until one is used:
        # more work than a step of a small network.
        seeding = torch.default_generator.manual_seed if device.type == "cpu" else torch.manual_seed
        seeding((seed * 1_000_003 + epoch) % 2**63)
        yield


def _refuse_misfits(rows: _Rows, options: TrainingOptions, validation: tuple[Tensor, Tensor] | None) -> None:
    count = len(rows.inputs)
    if not count or len(rows.targets) != count:
        raise DataError(f"expected rows and as many targets, got {count} rows and {len(rows.targets)} targets.")
    if rows.sample_weight is not None:
        if len(rows.sample_weight) != count:
            raise DataError(f"expected a sample weight for each of {count} rows, got {len(rows.sample_weight)}.")
        if not float(rows.sample_weight.sum()) > 0:
            raise DataError("the sample weights sum to 0: nothing is left to fit. Give some row a weight.")
    if options.batch_size != "all" and options.batch_size > count:
        raise RecipeError(
            f"training.batch_size: {options.batch_size} rows in a batch, but there are {count} to train on. "
            'Take "all", or fewer.'
        )
    if options.patience is not None and validation is None:
        raise RecipeError("training.patience: early stopping needs validation rows, and there are none.")


def _refuse_strange_targets(name: str, targets: Tensor, classes: int) -> None:
    outside = ((targets < 0) | (targets >= classes)).nonzero()
    if len(outside):
        row = int(outside[0])
        raise DataError(
            f"{name} {row + 1}: the target {int(targets[row])} lies outside the network's classes, 0..{classes - 1}. "
            "Count classes from 0, or give the network more of them."
        )
