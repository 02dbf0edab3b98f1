"""Training by several processes that torchrun has started: the first reads, decides and writes, all fit.

The first process carries out the run. Whenever it fits a model, each of the others, the workers, fits with it: a linear
model to a contiguous share of the rows that the first has sent, a network to all of them, with a share of each batch.
So a run has one reader of the data, one writer of files and one place where decisions are made, and nothing can differ
between processes.

See also: `polylogit.system.processes`, the sums over the rows of all processes.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Int
from torch import Tensor, nn

from polylogit.errors import PolylogitError
from polylogit.fitting.batch_shares import rows_of_process
from polylogit.fitting.callbacks import TrainingCallback
from polylogit.fitting.checkpoint import Checkpoint
from polylogit.fitting.history import FitResult, IterationRecord
from polylogit.fitting.loop import fit_network
from polylogit.fitting.options import TrainingOptions
from polylogit.fitting.training_rows import batch_bounds
from polylogit.run.joined_group import joined_group
from polylogit.run.sent_rows import rows_of_first
from polylogit.run.sent_shares import announced_shares, received_share, sent_shares
from polylogit.solver.softmax_regression import LinearFit, fit_softmax_regression
from polylogit.system.processes import Processes

__all__ = ["FirstProcess", "first_process", "joined_processes", "rows_per_process", "work_for_first_process"]


class FirstProcess:
    """The process that carries out the run, and fits models with the workers.

    Args:
        group: The processes, for sums during a fit.
    """

    def __init__(self, group: dist.ProcessGroup) -> None:
        self.size = dist.get_world_size()
        self.rows_per_process: tuple[int, ...] | None = None
        self.is_fitting = False
        self._group = group
        self._sent: Tensor | None = None
        self._share: Tensor | None = None
        self._bounds: list[int] = []

    def fit(
        self,
        features: Tensor,
        targets: Int[Tensor, " A"],
        *,
        rows: Int[Tensor, " A"] | None,
        sample_weight: Tensor | None,
        on_iteration: Callable[[IterationRecord], None] | None,
        **options: Any,  # noqa: ANN401 - passed on
    ) -> LinearFit:
        """`fit_softmax_regression` by all processes; the arguments are the same.

        Raises:
            PolylogitError: The fit failed, or another process has ended.
        """
        numbers = torch.arange(len(features)) if rows is None else rows
        with self._fitting("Start the command again."):
            if features is not self._sent:
                self._send_rows(features)
            parts = []
            for start, stop in pairwise(self._bounds):
                own = (numbers >= start) & (numbers < stop)
                weights = None if sample_weight is None else sample_weight[own]
                parts.append((numbers[own] - start, targets[own], weights, options))
            part = _scattered([("fit", part) for part in parts])[1]
            return _fit_share(self._share, part, self._group, on_iteration)

    def fit_network(
        self,
        network: nn.Module,
        inputs: Any,  # noqa: ANN401 - whatever `fit_network` takes
        targets: Tensor,
        *,
        options: TrainingOptions,
        device: torch.device,
        callbacks: Sequence[TrainingCallback],
        checkpoint: Checkpoint | None,
        **others: Any,  # noqa: ANN401 - passed on
    ) -> FitResult:
        """`fit_network` by all processes; the arguments are the same.

        Raises:
            PolylogitError: The fit failed, or another process has ended.
        """
        self._note_rows(len(targets), options)
        with self._fitting("Start the command again, with --resume where a checkpoint was kept."):
            _scattered([("network", device.type)] * self.size)
            arguments = _arguments_of_first(
                self._group, network=network, inputs=inputs, targets=targets, options=options, **others
            )
            return fit_network(
                **arguments,
                device=_device_of_process(device.type),
                callbacks=callbacks,
                checkpoint=checkpoint,
                process_group=self._group,
            )

    def _note_rows(self, rows: int, options: TrainingOptions) -> None:
        """Note how many rows of an epoch each process computes, unless a fit to more rows has been noted."""
        if rows < sum(self.rows_per_process or ()):
            return
        bounds = batch_bounds(rows, options.batch_size)
        self.rows_per_process = tuple(
            rows_of_process(bounds, options.accumulation, rank, self.size) for rank in range(self.size)
        )

    @contextmanager
    def _fitting(self, remedy: str) -> Iterator[None]:
        """A fit, in which the end of another process is an error of this one."""
        self.is_fitting = True
        try:
            yield
        except PolylogitError:
            self.is_fitting = False  # the workers have the same error, and wait for the next fit
            raise
        except RuntimeError as error:
            if not _is_lost_contact(error):
                raise
            raise PolylogitError(
                f"one of the {self.size} processes has ended, so that the others cannot go on. Its own message says "
                f"why; a process that was killed leaves none. {remedy}"
            ) from error
        self.is_fitting = False

    def end(self) -> None:
        """Let the workers end, unless they are in the middle of a fit: those end when this process does."""
        if self.is_fitting:
            return
        try:
            _scattered([("end", None)] * self.size)
        except RuntimeError as error:
            if not _is_lost_contact(error):
                raise
        dist.destroy_process_group()

    def _send_rows(self, features: Tensor) -> None:
        """Send each process its share of rows, as even as can be and in their order."""
        self._bounds = [features.shape[0] * rank // self.size for rank in range(self.size + 1)]
        _scattered([("rows", announced) for announced in announced_shares(features, self._bounds)])
        self._share = sent_shares(features, self._bounds, self._group)
        self._sent = features
        self.rows_per_process = tuple(stop - start for start, stop in pairwise(self._bounds))


_first: FirstProcess | None = None


def first_process() -> FirstProcess | None:
    """The first of several processes, if this process is it; None where there is one process."""
    return _first


def rows_per_process() -> tuple[int, ...] | None:
    """How many rows each of several processes has fitted with; None where one process has fitted to all."""
    return None if _first is None else _first.rows_per_process


@contextmanager
def joined_processes() -> Iterator[None]:
    """Join the processes that torchrun has started, as the first of them; they end with the block."""
    global _first  # noqa: PLW0603 - one run a process, as there is one default group of torch.distributed
    group = joined_group()
    _first = FirstProcess(group)
    try:
        yield
    finally:
        ending, _first = _first, None
        ending.end()


def work_for_first_process() -> None:
    """Join as a worker, and fit with the first process until it ends.

    Raises:
        PolylogitError: The first process has ended in the middle of a fit.
    """
    group = joined_group()
    share: Tensor | None = None
    try:
        while True:
            what, content = _scattered(None)
            if what == "end":
                dist.destroy_process_group()
                return
            try:
                if what == "rows":
                    share = received_share(content, group)
                elif what == "network":
                    device = _device_of_process(content)
                    fit_network(**_arguments_of_first(group), device=device, process_group=group)
                else:
                    _fit_share(share, content, group, None)
            except PolylogitError:
                continue  # the first process has the same error and prints it
    except RuntimeError as error:
        if not _is_lost_contact(error):
            raise
        raise PolylogitError(
            f"process {dist.get_rank()} of {dist.get_world_size()}: another process has ended, so that this one ends."
        ) from error


def _is_lost_contact(error: RuntimeError) -> bool:
    """Whether an error of gloo says that another process has ended or cannot be reached."""
    return isinstance(error, dist.DistError) or "gloo" in str(error).lower() or "Connection" in str(error)


def _scattered(parts: list[tuple[str, Any]] | None) -> tuple[str, Any]:
    """The part of this process; the first process has those of all, the others None."""
    received: list[Any] = [None]
    dist.scatter_object_list(received, parts, src=0)
    what, content = received[0]
    return what, content


def _fit_share(
    share: Tensor | None,
    part: tuple[Tensor, Tensor, Tensor | None, dict[str, Any]],
    group: dist.ProcessGroup,
    on_iteration: Callable[[IterationRecord], None] | None,
) -> LinearFit:
    numbers, targets, weights, options = part
    if share is None:
        raise PolylogitError("a fit was asked for before its rows")
    everything = len(numbers) == share.shape[0] and bool((numbers == torch.arange(len(numbers))).all())
    return fit_softmax_regression(
        share,
        targets,
        rows=None if everything else numbers,
        sample_weight=weights,
        on_iteration=on_iteration,
        process_group=group,
        **options,
    )


def _arguments_of_first(
    group: dist.ProcessGroup,
    *,
    inputs: Any = None,  # noqa: ANN401 - whatever `fit_network` takes
    validation: tuple[Any, Tensor] | None = None,
    **others: Any,  # noqa: ANN401 - as above
) -> dict[str, Any]:
    """Arguments of `fit_network`: those of the first process, on all; the others pass none."""
    processes = Processes(group)
    validation_inputs, validation_targets = validation or (None, None)
    arguments: dict[str, Any] = processes.agreed_object({**others, "validation": validation_targets})
    arguments["inputs"] = rows_of_first(inputs, processes)
    if arguments["validation"] is not None:
        arguments["validation"] = (rows_of_first(validation_inputs, processes), arguments["validation"])
    return arguments


def _device_of_process(kind: str) -> torch.device:
    """The device of a process: of several GPUs each has its own, and where there are fewer, some share one."""
    if kind != "cuda":
        return torch.device(kind)
    return torch.device(kind, int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
