"""Encoded rows on their way from the first process to all others: block by block, so that no process has two copies.

See also: `worker_processes.py`, which fits networks to them.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from polylogit.data.tables.feature_matrix import aligned_zeros
from polylogit.system.mapped_file import is_mapped
from polylogit.system.processes import Processes

__all__ = ["rows_of_first"]

_VALUES_AT_ONCE = 2**22


@dataclass(frozen=True)
class _Announced:
    """The form of a tensor whose blocks follow."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    mapped: bool

    def empty(self) -> Tensor:
        rows, *form = self.shape
        return aligned_zeros(rows, *form, mapped=True) if self.mapped else torch.empty(self.shape, dtype=self.dtype)


def rows_of_first(rows: Any, processes: Processes) -> Any:  # noqa: ANN401 - whatever a network is fitted to
    """The rows of the first process on all: in a mapped file, where they are in one there, else in memory.

    Args:
        rows: Those of the first process; the others pass None. Of pictures that stay in files the names are sent.
        processes: All of them call this function.

    Returns:
        The rows.

    Raises:
        PolylogitError: A process has no room for them.

    Example:
        >>> from polylogit.system.processes import ONE_PROCESS
        >>> rows_of_first(torch.eye(2), ONE_PROCESS)
        tensor([[1., 0.],
                [0., 1.]])
    """
    is_first = processes.rank == 0
    form = _Announced(tuple(rows.shape), rows.dtype, is_mapped(rows)) if isinstance(rows, Tensor) else None
    announced = processes.agreed_object(form or rows)
    if not isinstance(announced, _Announced):
        return announced
    received: Tensor = processes.together(lambda: rows if is_first else announced.empty())
    at_once = max(1, _VALUES_AT_ONCE // max(received[:1].numel(), 1))
    for block in torch.split(received, at_once):
        sent = processes.agreed(block)
        if not is_first:
            block.copy_(sent)
    return received
