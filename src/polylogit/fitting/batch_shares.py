"""The rows of a batch that each of several processes computes.

A batch is drawn by all processes alike. Each of its gradient accumulation steps is cut into contiguous shares, as even
as can be, one for each process; some are empty where there are fewer rows than processes.

See also: `whole_batch_layers.py`, the layers to which a batch is more than its rows one by one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

__all__ = ["BatchPart", "batch_parts", "own_places", "rows_of_process", "share_of"]


@dataclass(frozen=True)
class BatchPart:
    """A gradient accumulation step: rows that go through the network at once, counted from 0 in their batch.

    Args:
        first: The first of them.
        rows: How many, on all processes.
        own: Those of this process.
    """

    first: int
    rows: int
    own: slice


def share_of(count: int, rank: int, size: int) -> slice:
    """The rows of one process, where each has neighbouring ones and as many as the others, or one more.

    Args:
        count: Rows of all.
        rank: Of the process.
        size: How many processes there are.

    Example:
        >>> [share_of(5, rank, 2) for rank in range(2)]
        [slice(0, 2, None), slice(2, 5, None)]
    """
    return slice(count * rank // size, count * (rank + 1) // size)


def batch_parts(count: int, accumulation: int, rank: int, size: int) -> list[BatchPart]:
    """The gradient accumulation steps of a batch.

    Args:
        count: Rows of the batch.
        accumulation: Steps at most.
        rank: Of this process.
        size: How many processes there are.

    Example:
        >>> batch_parts(6, 2, rank=1, size=2)
        [BatchPart(first=0, rows=3, own=slice(1, 3, None)), BatchPart(first=3, rows=3, own=slice(4, 6, None))]
    """
    longest = math.ceil(count / accumulation)
    parts = []
    for first in range(0, count, longest):
        rows = min(longest, count - first)
        own = share_of(rows, rank, size)
        parts.append(BatchPart(first, rows, slice(first + own.start, first + own.stop)))
    return parts


def own_places(parts: Sequence[BatchPart]) -> Int[Tensor, " M"]:
    """The places in the batch of all rows of this process, in their order."""
    return torch.cat([torch.arange(part.own.start, part.own.stop) for part in parts])


def rows_of_process(bounds: Sequence[tuple[int, int]], accumulation: int, rank: int, size: int) -> int:
    """How many rows a process computes in an epoch.

    Args:
        bounds: First and last row of each batch; see `batch_bounds`.
        accumulation: Gradient accumulation steps of a batch.
        rank: Of the process.
        size: How many processes there are.

    Example:
        >>> [rows_of_process([(0, 3), (3, 6)], 1, rank, 2) for rank in range(2)]
        [2, 4]
    """
    parts = [part for first, last in bounds for part in batch_parts(last - first, accumulation, rank, size)]
    return sum(part.own.stop - part.own.start for part in parts)
