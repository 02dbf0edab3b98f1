"""The training loop: the one way in which networks are fitted.

The data lie in one tensor on the device, as they are (pictures as uint8), or in files where they are too big for that;
each batch is taken by its rows, augmented, prepared (say, normalised) and shown to the network. In a batch with rows n
of weights w_n the loss is

    sum_n w_n loss_n / sum_n w_n,      w_n = class_weight[target_n] * sample_weight_n,

however many parts the batch is worked through in. Everything random in an epoch is drawn from the seed and the epoch's
number, so that an epoch begins the same whether or not the run was cut before it.

Owns the order of things in a run: batches, steps, validation, early stopping, checkpoints, interruption, divergence.
It does not own networks, where data come from, or what is printed.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor, nn

from polylogit.data.pictures.stored import StoredPictures
from polylogit.errors import DivergenceError
from polylogit.fitting.callbacks import FitObserver, FitPlan
from polylogit.fitting.checkpoint import Checkpoint
from polylogit.fitting.devices import uses_bfloat16
from polylogit.fitting.divergence import Diverged, EpochLoss
from polylogit.fitting.ema import AveragedWeights
from polylogit.fitting.fit_state import FitState, copied_weights
from polylogit.fitting.forward import network_logits
from polylogit.fitting.history import Ended, EpochRecord, FitResult
from polylogit.fitting.interrupt import Interrupt, listening_for_interrupt
from polylogit.fitting.memory import check_batch_fits_memory, values_in_a_row
from polylogit.fitting.optimizers import build_optimizer, learning_rate_factor
from polylogit.fitting.options import TrainingOptions
from polylogit.fitting.training_rows import TrainingRows, batch_bounds, check_shapes, check_targets
from polylogit.losses import cross_entropy_with_logits, target_weights, weighted_mean

__all__ = ["fit_network"]


def fit_network(
    network: nn.Module,
    inputs: Num[Tensor, "N ..."] | StoredPictures,
    targets: Int[Tensor, " N"],
    *,
    options: TrainingOptions,
    validation: tuple[Tensor | StoredPictures, Tensor] | None = None,
    class_weight: Float[Tensor, " K"] | None = None,
    sample_weight: Float[Tensor, " rows"] | None = None,
    validation_weight: Float[Tensor, " validation_rows"] | None = None,
    prepare: Callable[[Tensor], Tensor] | None = None,
    augment: Callable[[Tensor], Tensor] | None = None,
    device: torch.device | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    observers: Sequence[FitObserver] = (),
    checkpoint: Checkpoint | None = None,
) -> FitResult:
    """Fit a network that gives logits; its weights are changed in place.

    Args:
        network: Any module from prepared inputs to logits (N, K).
        inputs: Rows of any dtype, in memory once and as they are; or pictures that stay in their files.
        targets: Class indices in [0, K).
        options: How to fit.
        validation: Inputs and targets of rows that are not trained on: judged after every epoch.
        class_weight: Weight of each class in the objective; 1 when left out.
        sample_weight: Weight of each row in the objective; 1 when left out.
        validation_weight: Weight of each validation row in their loss and accuracy; 1 when left out.
        prepare: From a batch of inputs to what the network takes, as in prediction.
        augment: Changes a batch of inputs at random before it is prepared; only in training.
        device: Where to compute; the CPU when left out.
        on_epoch: Called after each epoch, with the network as it then stands.
        observers: Are told how the fit goes; see `polylogit.fitting.callbacks`.
        checkpoint: Where the state is kept, and taken up again if it is there.

    Returns:
        The history and how the fit ended.

    Raises:
        DataError: The rows and targets do not fit together, or a target is outside the classes.
        RecipeError: An option does not fit the data, or the memory does not suffice.
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
    rows = TrainingRows(inputs, targets.long(), class_weight, sample_weight, prepare, augment)
    check_shapes(rows, options, validated=validation is not None)
    with values_in_a_row(network) as values:
        classes = network_logits(network, inputs[:1], prepare=prepare).shape[1]
    check_targets("row", targets, classes)
    if validation is not None:
        check_targets("validation row", validation[1], classes)
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
        validation_weight=validation_weight,
        device=device,
        checkpoint=checkpoint,
        observers=observers,
    )
    largest = max(last - first for first, last in fit.batches)
    check_batch_fits_memory(network, sum(values), largest, options, device, bfloat16=fit.bfloat16)
    with listening_for_interrupt() as interrupt:
        return fit.run(interrupt, on_epoch)


class _Fit:
    """One fit under way."""

    def __init__(
        self,
        *,
        network: nn.Module,
        rows: TrainingRows,
        classes: int,
        options: TrainingOptions,
        validation: tuple[Tensor | StoredPictures, Tensor] | None,
        validation_weight: Tensor | None,
        device: torch.device,
        checkpoint: Checkpoint | None,
        observers: Sequence[FitObserver],
    ) -> None:
        self.network, self.rows, self.classes, self.options = network, rows, classes, options
        self.validation, self.device, self.checkpoint = validation, device, checkpoint
        self.validation_weight = validation_weight
        self.observers = observers
        self.parameters = list(network.parameters())
        self.count = len(rows.targets)
        self.batches = batch_bounds(self.count, options.batch_size)
        self.bfloat16 = uses_bfloat16(options.precision, device, network, pictures=rows.inputs.ndim == 4)
        self.arithmetic = torch.autocast(device.type, torch.bfloat16) if self.bfloat16 else nullcontext()
        self.optimizer = build_optimizer(
            network,
            options.optimizer,
            learning_rate=options.learning_rate,
            momentum=options.momentum,
            weight_decay=options.weight_decay,
        )
        self.averaged = None if options.averaging is None else AveragedWeights(network, options.averaging)
        self.state = FitState(network, self.optimizer, self.averaged)

    def run(self, interrupt: Interrupt, on_epoch: Callable[[EpochRecord], None] | None) -> FitResult:
        state = self.state
        kept = None if self.checkpoint is None else self.checkpoint.read()
        if kept is not None:
            state.take_up(kept)
        plan = self._plan()
        for observer in self.observers:
            observer.begun(plan)
        ended: Ended = "finished"
        fault: Diverged | None = None
        while state.epoch < self.options.epochs:
            if self._out_of_patience():
                ended = "early"
                break
            try:
                record = self._epoch(interrupt)
            except Diverged as diverged:
                fault, ended = diverged, "diverged"
                break
            if record is None:
                ended = "interrupted"
                break
            for observer in self.observers:
                observer.epoch_done(record)
            if on_epoch is not None:
                on_epoch(record)
            self._keep()
        result = self._result(ended, fault)
        for observer in self.observers:
            observer.ended(result)
        return result

    def _plan(self) -> FitPlan:
        return FitPlan(
            epochs=self.options.epochs,
            rows=self.count,
            validation_rows=0 if self.validation is None else len(self.validation[1]),
            device=self.device,
            bfloat16=self.bfloat16,
            history=tuple(self.state.history),
        )

    def _epoch(self, interrupt: Interrupt) -> EpochRecord | None:
        """One epoch; None when it was cut short."""
        state, options = self.state, self.options
        start = time.perf_counter()
        self.network.train()
        with _seeded(options.seed, state.epoch, self.device):
            whole = len(self.batches) == 1 and options.batch_size == "all"
            order = None if whole else torch.randperm(self.count).to(self.device)
            losses = EpochLoss(self.device)
            chosen = [slice(first, last) if order is None else order[first:last] for first, last in self.batches]
            for index, (rows, inputs) in enumerate(zip(chosen, self.rows.batches(chosen), strict=True)):
                step = state.epoch * len(self.batches) + index
                factor = learning_rate_factor(
                    options.schedule, step, options.epochs * len(self.batches), options.warmup_fraction
                )
                for group in self.optimizer.param_groups:
                    group["lr"] = options.learning_rate * factor
                losses.add(index, *self._step(rows, inputs), options.learning_rate * factor)
                for observer in self.observers:
                    observer.stepped(self.batches[index][1])
                if interrupt.asked:
                    return None
            losses.check()
        seconds = time.perf_counter() - start
        loss, accuracy = self._validated()
        state.seconds += time.perf_counter() - start
        record = EpochRecord(
            epoch=state.epoch + 1,
            train_loss=losses.mean(),
            learning_rate=options.learning_rate * factor,
            rows_per_second=self.count / seconds,
            seconds=state.seconds,
            validation_loss=loss,
            validation_accuracy=accuracy,
        )
        self._note(record)
        return record

    def _step(self, chosen: Tensor | slice, inputs: Tensor) -> tuple[Tensor | float, Tensor | float]:
        """One step; gives the sum of weighted losses and the sum of weights, before the step."""
        rows, options = self.rows, self.options
        inputs, targets, count = rows.prepare_batch(inputs), rows.targets_of(chosen), len(inputs)
        weights = None if rows.sample_weight is None else rows.sample_weight[chosen]
        weight: Tensor | float = float(count)
        if rows.class_weight is not None or weights is not None:
            shape = (count, self.classes)
            weight = target_weights(targets, shape, class_weight=rows.class_weight, sample_weight=weights).sum()
        total: Tensor | float = 0.0
        size = math.ceil(count / options.accumulation)
        for first in range(0, count, size):
            part = slice(first, first + size)
            with self.arithmetic:
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
            nn.utils.clip_grad_norm_(self.parameters, options.gradient_clip)
        self.optimizer.step()
        for parameter in self.parameters:
            parameter.grad = None
        if self.averaged is not None:
            self.averaged.update(self.network)
        return total, weight

    def _validated(self) -> tuple[float | None, float | None]:
        if self.validation is None:
            return None, None
        inputs, targets = self.validation
        logits = network_logits(self.state.judged, inputs, prepare=self.rows.prepare)
        targets = targets.cpu()
        hits = (logits.argmax(1) == targets).float()
        if self.validation_weight is None:
            return float(nn.functional.cross_entropy(logits, targets)), float(hits.mean())
        weights = self.validation_weight.to(logits)
        share = weights / weights.sum()
        return float(nn.functional.cross_entropy(logits, targets, reduction="none") @ share), float(hits @ share)

    def _note(self, record: EpochRecord) -> None:
        """Take an epoch that went well into the history, and remember its weights."""
        state = self.state
        weights = copied_weights(state.judged)
        if not all(bool(value.isfinite().all()) for value in weights.values() if value.is_floating_point()):
            raise Diverged(len(self.batches) - 1, math.nan, record.learning_rate)
        state.epoch = record.epoch
        state.good = weights
        state.history.append(record)
        if record.validation_loss is not None and record.validation_loss < state.best_loss:
            state.best_loss, state.best_epoch = record.validation_loss, record.epoch
            state.best = weights if self.options.patience is not None else {}

    def _out_of_patience(self) -> bool:
        patience = self.options.patience
        return patience is not None and self.state.epoch - self.state.best_epoch >= patience

    def _keep(self) -> None:
        """Write the state, if it is time to."""
        if self.checkpoint is not None and self.checkpoint.is_due():
            self.checkpoint.write(self.state.as_kept())

    def _result(self, ended: Ended, fault: Diverged | None) -> FitResult:
        state, epochs = self.state, self.options.epochs
        at = ""
        if fault is not None:
            at = (
                f"the loss became {fault.loss} in epoch {state.epoch + 1}, batch {fault.batch + 1} of "
                f"{len(self.batches)}, at learning rate {fault.learning_rate:.3g}. Try a tenth of the learning rate, a "
                'longer warm-up, gradient_clip = 1.0, or precision = "float32"'
            )
            if not state.good:
                raise DivergenceError(f"the fit diverged: {at}.")
        kept = state.best or (state.good if ended == "diverged" else state.judged.state_dict())
        self.network.load_state_dict(kept)
        self.network.eval()
        onward = "" if self.checkpoint is None else " --resume goes on from the last checkpoint."
        message = {
            "finished": f"All {epochs} epochs done.",
            "early": f"Stopped after epoch {state.epoch}: the validation loss no longer falls.",
            "interrupted": f"Interrupted in epoch {state.epoch + 1} of {epochs}; the weights so far are kept.{onward}",
            "diverged": f"Diverged: {at}. The weights after epoch {state.epoch} are kept.",
        }[ended]
        if state.best and ended != "diverged":
            message += f" The weights of epoch {state.best_epoch} are kept: they have the best validation loss."
        return FitResult(state.epoch, tuple(state.history), ended, message)


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
