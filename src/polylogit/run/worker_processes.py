"""Training by several processes that torchrun has started: the first reads, decides and writes, all fit.

The first process carries out the run. Whenever it fits a linear model, each of the others, the workers, fits with it to
a contiguous share of the rows that the first has sent. So a run has one reader of the data, one writer of files and one
place where decisions are made, and nothing can differ between processes. Networks are fitted by one process.

See also: `polylogit.system.processes`, the sums over the rows of all processes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Int
from torch import Tensor

from polylogit.errors import PolylogitError
from polylogit.fitting.history import IterationRecord
from polylogit.solver.softmax_regression import LinearFit, fit_softmax_regression

__all__ = ["FirstProcess", "first_process", "joined_processes", "rows_per_process", "work_for_first_process"]

_LONGEST_SUM = timedelta(minutes=10)
"""How long a process waits for the others in a fit; the end of one is noticed at once."""

_LONGEST_RUN = timedelta(days=7)
"""How long a worker waits for the next fit, while the first process reads, or fits a network."""


class FirstProcess:
    """The process that carries out the run, and fits linear models with the workers.

    Args:
        group: The processes, for sums during a fit.
    """

    def __init__(self, group: dist.ProcessGroup) -> None:
        self.size = dist.get_world_size()
        self.rows_per_process: tuple[int, ...] | None = None
        self.is_fitting = False
        self._group = group
        self._sent: Tensor | None = None
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
        self.is_fitting = True
        try:
            if features is not self._sent:
                self._send_rows(features)
            parts = []
            for start, stop in zip(self._bounds, self._bounds[1:], strict=False):
                own = (numbers >= start) & (numbers < stop)
                weights = None if sample_weight is None else sample_weight[own]
                parts.append((numbers[own] - start, targets[own], weights, options))
            share = self._share
            part = _scattered([("fit", part) for part in parts])[1]
            fit = _fit_share(share, part, self._group, on_iteration)
        except PolylogitError:
            self.is_fitting = False  # the workers have the same error, and wait for the next fit
            raise
        except RuntimeError as error:
            if not _is_lost_contact(error):
                raise
            raise PolylogitError(
                f"one of the {self.size} processes has ended, so that the others cannot go on. Its own message says "
                "why; a process that was killed leaves none. Start the command again."
            ) from error
        self.is_fitting = False
        return fit

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
        self._bounds = [len(features) * rank // self.size for rank in range(self.size + 1)]
        shares = [_rows_between(features, *ends) for ends in zip(self._bounds, self._bounds[1:], strict=False)]
        self._share = _scattered([("rows", share) for share in shares])[1]
        self._sent = features
        self.rows_per_process = tuple(share.shape[0] for share in shares)


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
    group = _joined()
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
    group = _joined()
    share: Tensor | None = None
    try:
        while True:
            what, content = _scattered(None)
            if what == "end":
                dist.destroy_process_group()
                return
            if what == "rows":
                share = content
                continue
            try:
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


def _joined() -> dist.ProcessGroup:
    dist.init_process_group("gloo", timeout=_LONGEST_RUN)
    group = dist.new_group(timeout=_LONGEST_SUM)
    if not isinstance(group, dist.ProcessGroup):
        raise TypeError(f"expected a group that this process is a member of, got {group}")
    return group


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


def _rows_between(features: Tensor, start: int, stop: int) -> Tensor:
    """A copy of some neighbouring rows, dense or CSR: a view would be sent with all rows."""
    if features.layout == torch.strided:
        return features[start:stop].clone()
    starts = features.crow_indices()
    some = slice(int(starts[start]), int(starts[stop]))
    return torch.sparse_csr_tensor(
        (starts[start : stop + 1] - starts[start]).clone(),
        features.col_indices()[some].clone(),
        features.values()[some].clone(),
        size=(stop - start, features.shape[1]),
    )
