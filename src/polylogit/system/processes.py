"""Sums over the rows of all processes: each holds some of the rows, and every decision comes from the same numbers.

`ONE_PROCESS` holds all rows, and its sums are the numbers themselves, so that a computation written with a `Processes`
has no second form for several.

Sums are all-reduced in the dtype that they come in, float64 where they decide. Every process receives the same bits.
The order in which parts are added depends on the number of processes, so that fits on one process and on several
differ by rounding. Numbers that each process computes for itself from the same sums can differ between processors of
different kinds; `agreed` replaces them by those of the first process wherever a branch depends on them.

Source: Chu et al. (2006), "Map-Reduce for machine learning on multicore", NeurIPS 19: sums over rows are all that such
fits need of the rows.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from polylogit.errors import DataError, PolylogitError

__all__ = ["ONE_PROCESS", "Processes"]

Result = TypeVar("Result")


class Processes:
    """The processes that share the rows of a computation.

    Every method but the properties is collective: all processes must call it, in the same order.

    Args:
        group: A group of `torch.distributed`, of which this process is a member; None: this process alone.

    Example:
        >>> alone = Processes()
        >>> alone.size, alone.total(torch.tensor([1.0, 2.0]))
        (1, tensor([1., 2.]))
    """

    def __init__(self, group: dist.ProcessGroup | None = None) -> None:
        self._group = group
        self.size = 1 if group is None else dist.get_world_size(group)
        self.rank = 0 if group is None else dist.get_rank(group)
        nccl = self.size > 1 and "nccl" in str(dist.get_backend(group))
        self._device = torch.device("cuda", torch.cuda.current_device()) if nccl else None

    def total(self, part: Tensor) -> Tensor:
        """The sum of the parts of all processes; the part itself where there is one process.

        Args:
            part: Of one shape and dtype everywhere; not changed.
        """
        return part if self.size == 1 else self._reduced(part, dist.ReduceOp.SUM)

    def total_number(self, part: float) -> float:
        """The sum of a number of each process, in float64."""
        return part if self.size == 1 else float(self.total(torch.tensor(part, dtype=torch.float64)))

    def smallest(self, part: float) -> float:
        """The least of a number of each process."""
        if self.size == 1:
            return part
        return float(self._reduced(torch.tensor(part, dtype=torch.float64), dist.ReduceOp.MIN))

    def largest(self, part: float) -> float:
        """The largest of a number of each process."""
        return -self.smallest(-part)

    def all_true(self, part: bool) -> bool:
        """Whether the statement holds on every process."""
        return part if self.size == 1 else self.smallest(float(part)) == 1.0

    def agreed(self, numbers: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The numbers of the first process, where all have computed the same but for rounding."""
        if self.size == 1:
            return numbers
        sent = numbers.detach().to(self._device or numbers.device).clone(memory_format=torch.contiguous_format)
        dist.broadcast(sent, group=self._group, group_src=0)
        return sent.to(numbers.device)

    def agreed_number(self, number: float) -> float:
        """The number of the first process."""
        return number if self.size == 1 else float(self.agreed(torch.tensor(number, dtype=torch.float64)))

    def agreed_object(self, item: Result) -> Result:
        """An object of the first process, for one that all have computed the same but for rounding."""
        if self.size == 1:
            return item
        sent = [item if self.rank == 0 else None]
        dist.broadcast_object_list(sent, group=self._group, group_src=0)
        return sent[0]  # type: ignore[return-value] # the first process's item

    def concatenated(self, part: Tensor) -> Tensor:
        """The rows of all processes, one process below the other, on each of them."""
        if self.size == 1:
            return part
        return torch.cat(self.gathered(part.cpu())).to(part.device)

    def gathered(self, item: Any) -> list[Any]:  # noqa: ANN401 - whatever can be pickled
        """An object of each process, in the order of the processes."""
        if self.size == 1:
            return [item]
        items: list[Any] = [None] * self.size
        dist.all_gather_object(items, item, group=self._group)
        return items

    def together(self, step: Callable[[], Result]) -> Result:
        """The result of a step that each process takes for itself, or an error on all where one fails.

        Args:
            step: Calls nothing that is collective.

        Raises:
            PolylogitError: The step failed here or on another process; the message names the first that it failed on,
                unless it failed on all for the same reason.
        """
        if self.size == 1:
            return step()
        fault: tuple[type[PolylogitError], str] | None = None
        result: Result | None = None
        try:
            result = step()
        except PolylogitError as error:
            fault = (type(error), str(error))
        except Exception as error:
            kind = DataError if isinstance(error, ValueError) else PolylogitError
            fault = (kind, f"{type(error).__name__}: {error}")
        faults = self.gathered(fault)
        for rank, (failed, message) in enumerate(part or (None, "") for part in faults):
            if failed is not None:
                place = "" if all(other == faults[rank] for other in faults) else f"process {rank} of {self.size}: "
                raise failed(f"{place}{message}")
        return result  # type: ignore[return-value] # without a fault the step has given its result

    def check_same(self, facts: dict[str, Any]) -> None:
        """Check that facts that must not differ between the processes do not.

        Args:
            facts: Values by what a message calls them.

        Raises:
            DataError: One differs; the message names it, two processes and their values.
        """
        if self.size == 1:
            return
        first, *others = self.gathered(facts)
        for rank, those in enumerate(others, start=1):
            for name, value in first.items():
                if those.get(name) != value:
                    raise DataError(
                        f"{name}: expected the same on all {self.size} processes, got {value} on process 0 and "
                        f"{those.get(name)} on process {rank}. Give every process rows of the same columns and the "
                        "same options."
                    )

    def _reduced(self, part: Tensor, operation: Any) -> Tensor:  # noqa: ANN401 - torch declares no type
        sent = part.detach().to(self._device or part.device).clone(memory_format=torch.contiguous_format)
        dist.all_reduce(sent, op=operation, group=self._group)
        return sent.to(part.device)


ONE_PROCESS = Processes()
"""This process alone: it holds all rows."""
