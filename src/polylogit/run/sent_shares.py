"""Shares of the encoded rows on their way from the first process to the others.

A share of dense rows is sent block by block, and kept in a mapped file where the rows of the first process are, so that
sending takes no memory beside that of a block, and no process needs more memory than its share.

See also: `worker_processes.py`, which fits linear models to them.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import torch
import torch.distributed as dist
from torch import Tensor

from polylogit.run.sent_rows import AnnouncedRows, blocks_of
from polylogit.system.processes import Processes

__all__ = ["announced_shares", "received_share", "sent_shares"]


def announced_shares(features: Tensor, bounds: Sequence[int]) -> list[AnnouncedRows | Tensor]:
    """What each process is to know of its share: the form of dense rows, or the rows themselves where they are sparse.

    Args:
        features: All rows, dense or CSR.
        bounds: The first row of each share, and the number of rows.
    """
    if features.layout != torch.strided:
        return [_sparse_rows(features, *ends) for ends in pairwise(bounds)]
    form = AnnouncedRows.of(features)
    return [replace(form, shape=(stop - start, *form.shape[1:])) for start, stop in pairwise(bounds)]


def sent_shares(features: Tensor, bounds: Sequence[int], group: dist.ProcessGroup) -> Tensor:
    """Send the announced rows; the other processes call `received_share`.

    Args:
        features: All rows, dense or CSR.
        bounds: The first row of each share, and the number of rows.
        group: All processes.

    Returns:
        The first process's own share, without a copy where the rows are dense.

    Raises:
        PolylogitError: A process has no room for its share.
    """
    if features.layout != torch.strided:
        return _sparse_rows(features, *bounds[:2])
    Processes(group).together(lambda: None)
    for rank, (start, stop) in enumerate(pairwise(bounds)):
        for block in blocks_of(features[start:stop]) if rank else ():
            dist.send(block.contiguous(), group=group, group_dst=rank)
    return features[: bounds[1]]


def received_share(announced: AnnouncedRows | Tensor, group: dist.ProcessGroup) -> Tensor:
    """The rows of this process.

    Args:
        announced: Its part of `announced_shares`.
        group: All processes.

    Raises:
        PolylogitError: A process has no room for its share.
    """
    if isinstance(announced, Tensor):
        return announced
    share = Processes(group).together(announced.empty)
    for block in blocks_of(share):
        sent = torch.empty(block.shape, dtype=block.dtype)
        dist.recv(sent, group=group, group_src=0)
        block.copy_(sent)
    return share


def _sparse_rows(features: Tensor, start: int, stop: int) -> Tensor:
    """A copy of some neighbouring rows of a CSR tensor."""
    starts = features.crow_indices()
    some = slice(int(starts[start]), int(starts[stop]))
    return torch.sparse_csr_tensor(
        (starts[start : stop + 1] - starts[start]).clone(),
        features.col_indices()[some].clone(),
        features.values()[some].clone(),
        size=(stop - start, features.shape[1]),
    )
