"""Shares of the encoded rows on their way from the first process to the others.

A share of dense rows is sent block by block, and kept in a mapped file where the rows of the first process are, so that
sending takes no memory beside that of a block, and no process needs more memory than its share.

See also: `worker_processes.py`, which fits linear models to them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.distributed as dist
from torch import Tensor

from polylogit.data.tables.feature_matrix import aligned_zeros
from polylogit.system.mapped_file import is_mapped
from polylogit.system.processes import Processes

__all__ = ["AnnouncedShare", "announced_shares", "received_share", "sent_shares"]

_NUMBERS_AT_ONCE = 2**22


@dataclass(frozen=True)
class AnnouncedShare:
    """The form of a share of dense rows whose blocks follow.

    Args:
        rows: Its rows.
        columns: Their numbers.
        dtype: Their type.
        mapped: Whether they are kept in a mapped file.
    """

    rows: int
    columns: int
    dtype: torch.dtype
    mapped: bool

    def empty(self) -> Tensor:
        """Room for the rows."""
        if self.mapped:
            return aligned_zeros(self.rows, self.columns, mapped=True)
        return torch.empty(self.rows, self.columns, dtype=self.dtype)


def announced_shares(features: Tensor, bounds: Sequence[int]) -> list[AnnouncedShare | Tensor]:
    """What each process is to know of its share: the form of dense rows, or the rows themselves where they are sparse.

    Args:
        features: All rows, dense or CSR.
        bounds: The first row of each share, and the number of rows.
    """
    if features.layout != torch.strided:
        return [_sparse_rows(features, *ends) for ends in pairwise(bounds)]
    columns, mapped = features.shape[1], is_mapped(features)
    return [AnnouncedShare(stop - start, columns, features.dtype, mapped) for start, stop in pairwise(bounds)]


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
        for block in _blocks(features[start:stop]) if rank else ():
            dist.send(block.contiguous(), group=group, group_dst=rank)
    return features[: bounds[1]]


def received_share(announced: AnnouncedShare | Tensor, group: dist.ProcessGroup) -> Tensor:
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
    for block in _blocks(share):
        sent = torch.empty(block.shape, dtype=block.dtype)
        dist.recv(sent, group=group, group_src=0)
        block.copy_(sent)
    return share


def _blocks(rows: Tensor) -> Sequence[Tensor]:
    return torch.split(rows, max(1, _NUMBERS_AT_ONCE // max(1, rows.shape[1]))) if len(rows) else ()


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
