"""Encoded rows on their way from the first process to all others: block by block, so that no process has two copies.

See also: `worker_processes.py`, which fits networks to them; `sent_shares.py`, a share of the rows for each process.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from polylogit.data.tables.feature_matrix import aligned_zeros
from polylogit.system.mapped_file import is_mapped, mapped_zeros
from polylogit.system.processes import Processes
from polylogit.system.sparse_rows import SparseRows

__all__ = ["AnnouncedRows", "blocks_of", "rows_of_first"]

_VALUES_AT_ONCE = 2**22


@dataclass(frozen=True)
class AnnouncedRows:
    """The form of dense rows whose blocks follow.

    Args:
        shape: Of the tensor, rows first.
        dtype: Their type.
        mapped: Whether they are kept in a mapped file.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    mapped: bool

    @classmethod
    def of(cls, rows: Tensor) -> "AnnouncedRows":
        """The form of some rows, which are kept where these are: in a mapped file or in memory."""
        return cls(tuple(rows.shape), rows.dtype, is_mapped(rows))

    def empty(self) -> Tensor:
        """Room for the rows."""
        rows, *form = self.shape
        if self.mapped and not form:
            return mapped_zeros(rows, self.dtype)
        return aligned_zeros(rows, *form, mapped=True) if self.mapped else torch.empty(self.shape, dtype=self.dtype)


def blocks_of(rows: Tensor) -> Sequence[Tensor]:
    """Neighbouring rows that are sent together; none where there are no rows."""
    return torch.split(rows, max(1, _VALUES_AT_ONCE // max(rows[:1].numel(), 1))) if len(rows) else ()


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
    width = processes.agreed_object(rows.width if isinstance(rows, SparseRows) else None)
    if width is not None:
        parts = (rows.starts, rows.columns, rows.values) if is_first else (None, None, None)
        starts, columns, values = (rows_of_first(part, processes) for part in parts)
        return rows if is_first else SparseRows(starts, columns, values, width)
    announced = processes.agreed_object(AnnouncedRows.of(rows) if isinstance(rows, Tensor) else rows)
    if not isinstance(announced, AnnouncedRows):
        return announced
    received: Tensor = processes.together(lambda: rows if is_first else announced.empty())
    for block in blocks_of(received):
        sent = processes.agreed(block)
        if not is_first:
            block.copy_(sent)
    return received
