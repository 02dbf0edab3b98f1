"""Shares of the encoded rows on their way from the first process to the others.

A share is sent block by block, and kept in mapped files where the rows of the first process are, so that sending takes
no memory beside that of a block, and no process needs more memory than its share.

See also: `worker_processes.py`, which fits linear models to them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.distributed as dist
from torch import Tensor

from polylogit.run.sent_rows import AnnouncedRows, blocks_of
from polylogit.system.csr_tensor import csr_tensor
from polylogit.system.processes import Processes

__all__ = ["AnnouncedShare", "announced_shares", "received_share", "sent_shares"]


@dataclass(frozen=True)
class AnnouncedShare:
    """The form of a share whose blocks follow.

    Args:
        parts: The dense rows; of sparse rows the columns and the values.
        starts: Where each sparse row starts among the values, and where the last ends; None: the rows are dense.
        width: D.
    """

    parts: tuple[AnnouncedRows, ...]
    starts: Tensor | None
    width: int


def announced_shares(features: Tensor, bounds: Sequence[int]) -> list[AnnouncedShare]:
    """What each process is to know of its share.

    Args:
        features: All rows, dense or CSR.
        bounds: The first row of each share, and the number of rows.
    """
    announced = []
    for ends in pairwise(bounds):
        share = _share(features, *ends)
        dense = share.layout == torch.strided
        forms = tuple(AnnouncedRows.of(part) for part in _parts(share))
        announced.append(AnnouncedShare(forms, None if dense else share.crow_indices(), share.shape[1]))
    return announced


def sent_shares(features: Tensor, bounds: Sequence[int], group: dist.ProcessGroup) -> Tensor:
    """Send the announced rows; the other processes call `received_share`.

    Args:
        features: All rows, dense or CSR.
        bounds: The first row of each share, and the number of rows.
        group: All processes.

    Returns:
        The first process's own share, without a copy.

    Raises:
        PolylogitError: A process has no room for its share.
    """
    Processes(group).together(lambda: None)
    for rank, ends in enumerate(pairwise(bounds)):
        for part in _parts(_share(features, *ends)) if rank else ():
            for block in blocks_of(part):
                dist.send(block.contiguous(), group=group, group_dst=rank)
    return _share(features, *bounds[:2])


def received_share(announced: AnnouncedShare, group: dist.ProcessGroup) -> Tensor:
    """The rows of this process.

    Args:
        announced: Its part of `announced_shares`.
        group: All processes.

    Raises:
        PolylogitError: A process has no room for its share.
    """
    parts = Processes(group).together(lambda: [form.empty() for form in announced.parts])
    for part in parts:
        for block in blocks_of(part):
            sent = torch.empty(block.shape, dtype=block.dtype)
            dist.recv(sent, group=group, group_src=0)
            block.copy_(sent)
    if announced.starts is None:
        return parts[0]
    columns, values = parts
    return csr_tensor(announced.starts, columns, values, (len(announced.starts) - 1, announced.width))


def _share(features: Tensor, start: int, stop: int) -> Tensor:
    """Some neighbouring rows, which share the memory of the others."""
    if features.layout == torch.strided:
        return features[start:stop]
    starts = features.crow_indices()[start : stop + 1]
    some = slice(int(starts[0]), int(starts[-1]))
    columns, values = features.col_indices()[some], features.values()[some]
    return csr_tensor(starts - starts[0], columns, values, (stop - start, features.shape[1]))


def _parts(share: Tensor) -> tuple[Tensor, ...]:
    """What is sent block by block."""
    return (share,) if share.layout == torch.strided else (share.col_indices(), share.values())
