"""One fit of a network while it runs: steps, epochs, validation, early stopping, checkpoints, divergence.

In a batch with rows n of weights w_n the loss is

    sum_n w_n loss_n / sum_n w_n,      w_n = class_weight[target_n] * sample_weight_n,

for any number of gradient accumulation steps and of processes: each process computes a share of the rows of each step,
and the sums of gradients and losses are all-reduced. All random numbers of an epoch are drawn from the seed and the
epoch's number, on every process for all rows, so that a resumed run draws the same ones.

See also: `loop.py`, which checks what comes in; `fit_state.py`, the state between epochs.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn

from polylogit.data.pictures.stored import StoredPictures
from polylogit.errors import DataError, DivergenceError, RecipeError
from polylogit.fitting.batch_shares import BatchPart, batch_parts, own_places, share_of
from polylogit.fitting.callbacks import FitPlan, TrainingCallback
from polylogit.fitting.checkpoint import Checkpoint
from polylogit.fitting.devices import uses_bfloat16
from polylogit.fitting.divergence import Diverged, EpochLoss
from polylogit.fitting.ema import AveragedWeights
from polylogit.fitting.fit_state import FitState, copied_weights
from polylogit.fitting.forward import network_logits
from polylogit.fitting.history import Ended, EpochRecord, FitResult
from polylogit.fitting.interrupt import Interrupt
from polylogit.fitting.optimizers import build_optimizer, learning_rate_factor
from polylogit.fitting.options import TrainingOptions
from polylogit.fitting.summed_gradients import sum_gradients
from polylogit.fitting.training_rows import TrainingRows, batch_bounds, explain_nonfinite_inputs, selected
from polylogit.fitting.whole_batch_layers import layers_of_whole_batch
from polylogit.losses import cross_entropy_with_logits, target_weights, weighted_mean
from polylogit.plural import agreeing
from polylogit.system.heap_memory import give_back_freed_memory, keeping_freed_memory
from polylogit.system.processes import Processes
from polylogit.system.sparse_rows import SparseRows

__all__ = ["RunningFit"]


class RunningFit:
    """One fit while it runs: epochs of steps, until all are done or one reason to end comes earlier.

    Args:
        forward: What a step calls: the network, or its compiled form.
        network: Is fitted in place; on the device.
        rows: Training rows, checked, on the device.
        classes: K.
        options: How to fit.
        validation: Inputs and targets of the validation set.
        validation_weight: Weight of each validation row.
        device: Device of the computation.
        checkpoint: The file of the fit's state.
        callbacks: Training callbacks.
        processes: Those that fit the network together; each has all rows.

    Attributes:
        keeps_freed_memory: Whether the steps of an epoch keep the memory that they free; see
            `polylogit.system.heap_memory`.
    """

    def __init__(
        self,
        *,
        forward: nn.Module,
        network: nn.Module,
        rows: TrainingRows,
        classes: int,
        options: TrainingOptions,
        validation: tuple[Tensor | StoredPictures | SparseRows, Tensor] | None,
        validation_weight: Tensor | None,
        device: torch.device,
        checkpoint: Checkpoint | None,
        callbacks: Sequence[TrainingCallback],
        processes: Processes,
    ) -> None:
        self.forward, self.network, self.rows, self.classes, self.options = forward, network, rows, classes, options
        self.trained_modules = _trained_modules(network)
        self.validation, self.device, self.checkpoint = validation, device, checkpoint
        self.validation_weight = validation_weight
        self.callbacks, self.processes = callbacks, processes
        self.parameters = list(network.parameters())
        self.count = len(rows.targets)
        self.batches = batch_bounds(self.count, options.batch_size)
        self.parts = [
            batch_parts(last - first, options.accumulation, processes.rank, processes.size)
            for first, last in self.batches
        ]
        bfloat16 = uses_bfloat16(options.precision, device, network, pictures=rows.inputs.ndim == 4)
        self.bfloat16 = processes.agreed_object(bfloat16)
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
        self.is_stop_agreed = False
        self.keeps_freed_memory = False

    def run(self, interrupt: Interrupt, on_epoch: Callable[[EpochRecord], None] | None) -> FitResult:
        """Run all epochs that are left, and give the network the weights to keep.

        Args:
            interrupt: Whether the user has asked to stop.
            on_epoch: Called after each epoch.

        Returns:
            The history and how the fit ended.
        """
        state, processes = self.state, self.processes
        saved = processes.together(lambda: None if self.checkpoint is None else self.checkpoint.read())
        saved = processes.agreed_object(saved)
        if saved is not None:
            state.restore(saved)
        processes.together(self._report_plan)
        with layers_of_whole_batch(self.network, processes) as self.whole_batch:
            ended, fault = self._epochs(interrupt, on_epoch)
        result = self._result(ended, fault)
        if self.keeps_freed_memory:
            give_back_freed_memory()
        for callback in self.callbacks:
            callback.ended(result)
        return result

    def _epochs(
        self, interrupt: Interrupt, on_epoch: Callable[[EpochRecord], None] | None
    ) -> tuple[Ended, Diverged | None]:
        """Epochs until all are done or one reason to end comes earlier."""
        while self.state.epoch < self.options.epochs:
            if self._out_of_patience():
                return "early", None
            try:
                record = self._epoch(interrupt)
            except Diverged as diverged:
                return "diverged", diverged
            if record is None:
                return "interrupted", None
            self.processes.together(partial(self._report_epoch, record, on_epoch))
        return "finished", None

    def _report_plan(self) -> None:
        plan = FitPlan(
            epochs=self.options.epochs,
            rows=self.count,
            validation_rows=0 if self.validation is None else len(self.validation[1]),
            device=self.device,
            bfloat16=self.bfloat16,
            history=tuple(self.state.history),
        )
        for callback in self.callbacks:
            callback.begun(plan)

    def _report_epoch(self, record: EpochRecord, on_epoch: Callable[[EpochRecord], None] | None) -> None:
        for callback in self.callbacks:
            callback.epoch_done(record)
        if on_epoch is not None:
            on_epoch(record)
        self._write_checkpoint()

    def _epoch(self, interrupt: Interrupt) -> EpochRecord | None:
        """One epoch; None when it was cut short."""
        state, options = self.state, self.options
        start = time.perf_counter()
        for module in self.trained_modules:
            module.training = True
        with _seeded(options.seed, state.epoch, self.device), keeping_freed_memory(wanted=self.keeps_freed_memory):
            whole = len(self.batches) == 1 and options.batch_size == "all"
            order = None if whole else torch.randperm(self.count).to(self.device)
            losses = EpochLoss(self.device)
            chosen = [slice(first, last) if order is None else order[first:last] for first, last in self.batches]
            try:
                for index, inputs in enumerate(self._inputs_of(chosen)):
                    step = state.epoch * len(self.batches) + index
                    factor = learning_rate_factor(
                        options.schedule, step, options.epochs * len(self.batches), options.warmup_fraction
                    )
                    for group in self.optimizer.param_groups:
                        group["lr"] = options.learning_rate * factor
                    loss_sum, weight_sum = self._step(chosen[index], inputs, self.parts[index], interrupt)
                    losses.add(index, loss_sum, weight_sum, options.learning_rate * factor)
                    for callback in self.callbacks:
                        callback.stepped(self.batches[index][1])
                    if self._is_to_stop(interrupt):
                        return None
                losses.check()
            except Diverged as diverged:
                self._name_nonfinite_inputs(chosen[diverged.batch], diverged)
                raise
        seconds = time.perf_counter() - start
        if self.processes.size > 1:
            self._take_weights_of_first()
        loss, accuracy = self.processes.agreed_object(self._evaluate_validation_set())
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
        self._take_into_history(record)
        return record

    def _is_to_stop(self, interrupt: Interrupt) -> bool:
        """Whether Ctrl-C was pressed: here, or on any of several processes before the last step."""
        if self.processes.size > 1 and self.is_stop_agreed:
            interrupt.asked = True
        return interrupt.asked if self.processes.size == 1 else self.is_stop_agreed

    def _inputs_of(self, chosen: Sequence[Tensor | slice]) -> Iterator[Tensor | SparseRows]:
        """The own inputs of each batch, not prepared."""
        if self.processes.size == 1:
            yield from self.rows.batches(chosen)
            return
        own = [selected(rows, own_places(parts)) for rows, parts in zip(chosen, self.parts, strict=True)]
        batches = self.rows.batches(own)
        in_files = isinstance(self.rows.inputs, StoredPictures)
        for _ in own:  # a file that cannot be read is an error on all processes
            yield self.processes.together(lambda: next(batches)) if in_files else next(batches)

    def _logits(self, inputs: Tensor | SparseRows) -> Tensor:
        """The logits of part of a batch."""
        try:
            logits: Tensor = self.forward(inputs)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise RecipeError(
                f"training.batch_size: batch normalisation needs two rows at a time, and {self.options.batch_size} "
                f"rows in a batch, in {self.options.accumulation} parts, leave it one. Take a larger "
                "training.batch_size, a smaller training.accumulation, or a network without batch normalisation."
            ) from error
        return logits

    def _step(
        self, chosen: Tensor | slice, inputs: Tensor | SparseRows, parts: Sequence[BatchPart], interrupt: Interrupt
    ) -> tuple[Tensor | float, Tensor | float]:
        """One step; gives the sum of weighted losses and the sum of weights, before the step.

        Args:
            chosen: The rows of the batch.
            inputs: Those of the rows that this process computes.
            parts: Its gradient accumulation steps.
            interrupt: Is agreed on with the gradients.
        """
        rows, options, processes = self.rows, self.options, self.processes
        targets = rows.targets_of(chosen)
        count = len(targets)
        inputs = rows.prepare_batch(inputs, None if processes.size == 1 else own_places(parts), count)
        weights = None if rows.sample_weight is None else rows.sample_weight[chosen]
        weight: Tensor | float = float(count)
        if rows.class_weight is not None or weights is not None:
            shape = (count, self.classes)
            weight = target_weights(targets, shape, class_weight=rows.class_weight, sample_weight=weights).sum()
        total: Tensor | float = 0.0
        done = 0
        for part in parts:
            self.whole_batch.part = part
            some, own = targets[part.own], None if weights is None else weights[part.own]
            with self.arithmetic:
                logits = self._logits(inputs[done : done + len(some)])
            done += len(some)
            members = 1
            if logits.ndim == 3:  # of members, which have a loss each: see `polylogit.networks.members`
                members = logits.shape[1]
                logits, some = logits.flatten(0, 1), some.repeat_interleave(members, 0)
                own = None if own is None else own.repeat_interleave(members)
            loss = cross_entropy_with_logits(
                logits.float(),
                some,
                class_weight=rows.class_weight,
                sample_weight=own,
                label_smoothing=options.label_smoothing,
                reduction="sum",
                validate=False,  # the targets were checked once, before the first epoch
            )
            torch.autograd.backward(loss / weight if isinstance(weight, float) else weighted_mean(loss, weight))
            total = total + loss.detach() / members
        if processes.size > 1:
            total, asked = sum_gradients(self.parameters, [total, float(interrupt.asked)], processes)
            self.is_stop_agreed = bool(asked)
        if options.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.parameters, options.gradient_clip)
        self.optimizer.step()
        for parameter in self.parameters:
            parameter.grad = None
        if self.averaged is not None:
            self.averaged.update(self.network)
        return total, weight

    def _name_nonfinite_inputs(self, chosen: Tensor | slice, fault: Diverged) -> None:
        """Raise DataError where the batch whose loss was not finite has an input that is not."""
        if not self.state.good and (message := explain_nonfinite_inputs(self.rows, chosen)) is not None:
            raise DataError(message) from fault

    def _evaluate_validation_set(self) -> tuple[float | None, float | None]:
        if self.validation is None:
            return None, None
        inputs, targets = self.validation
        logits = self._validation_logits(inputs)
        targets = targets.cpu()
        classes = targets.argmax(1) if targets.ndim == 2 else targets
        hits = (logits.argmax(1) == classes).float()
        if self.validation_weight is None:
            return float(nn.functional.cross_entropy(logits, targets)), float(hits.mean())
        weights = self.validation_weight.to(logits)
        share = weights / weights.sum()
        return float(nn.functional.cross_entropy(logits, targets, reduction="none") @ share), float(hits @ share)

    def _validation_logits(self, inputs: Tensor | StoredPictures | SparseRows) -> Tensor:
        """The logits of all validation rows, of which each process computes a share."""
        processes, network = self.processes, self.state.kept_network
        own = share_of(len(inputs), processes.rank, processes.size)

        def compute() -> Tensor:
            if own.start == own.stop:
                return torch.empty(0, self.classes)
            some = inputs if processes.size == 1 else inputs[own]
            return network_logits(network, some, prepare=self.rows.prepare)

        return processes.concatenated(processes.together(compute))

    def _take_weights_of_first(self) -> None:
        """Let all processes have the same weights to the bit, also where their processors round differently."""
        for network in dict.fromkeys((self.network, self.state.kept_network)):
            for value in network.state_dict().values():
                value.copy_(self.processes.agreed(value))

    def _take_into_history(self, record: EpochRecord) -> None:
        """Append an epoch whose weights are finite to the history, and copy its weights."""
        state = self.state
        weights = copied_weights(state.kept_network)
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

    def _write_checkpoint(self) -> None:
        """Write the checkpoint, if it is due."""
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
        kept = state.best or (state.good if ended == "diverged" else state.kept_network.state_dict())
        self.network.load_state_dict(kept)
        self.network.eval()
        onward = "" if self.checkpoint is None else " --resume continues from the last checkpoint."
        message = {
            "finished": agreeing(epochs, "The one epoch is done.", f"All {epochs} epochs done."),
            "early": f"Stopped after epoch {state.epoch}: the validation loss no longer falls.",
            "interrupted": f"Interrupted in epoch {state.epoch + 1} of {epochs}; the weights so far are kept.{onward}",
            "diverged": f"Diverged: {at}. The weights after epoch {state.epoch} are kept.",
        }[ended]
        if state.best and ended != "diverged":
            message += f" The weights of epoch {state.best_epoch} are kept: they have the best validation loss."
        return FitResult(state.epoch, tuple(state.history), ended, message)


def _trained_modules(network: nn.Module) -> list[nn.Module]:
    """The modules that each epoch puts into training mode.

    Of a network in training mode, those that are in it. A network in evaluation mode, such as one fitted before, is
    trained as a whole, but for modules whose own parameters are all frozen.
    """
    if network.training:
        return [module for module in network.modules() if module.training]

    def frozen(module: nn.Module) -> bool:
        own = list(module.parameters(recurse=False))
        return bool(own) and not any(parameter.requires_grad for parameter in own)

    return [module for module in network.modules() if not frozen(module)]


@contextmanager
def _seeded(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Draw everything random from the seed and the epoch, and leave the caller's generators as they were."""
    indices = []
    if device.type == "cuda":
        indices = [torch.cuda.current_device() if device.index is None else device.index]
    with torch.random.fork_rng(devices=indices):
        # torch.manual_seed seeds every kind of GPU as well, and keeps a stack trace of each call until one is used:
        # more work than a step of a small network.
        seeding = torch.default_generator.manual_seed if device.type == "cpu" else torch.manual_seed
        seeding((seed * 1_000_003 + epoch) % 2**63)
        yield
