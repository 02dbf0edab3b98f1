"""Joining of the processes that torchrun, or somebody by hand, has started: all within minutes, and of one version.

See also: `worker_processes.py`, which fits with them.
"""

import json
import os
import sys
from datetime import timedelta
from importlib.metadata import version

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from polylogit.errors import PolylogitError

__all__ = ["joined_group"]

LONGEST_TO_JOIN = timedelta(minutes=5)
"""How long a process waits for the others to start."""

LONGEST_SUM = timedelta(minutes=10)
"""How long a process waits for the others in a fit; the end of one is noticed at once."""

LONGEST_RUN = timedelta(days=7)
"""How long a worker waits for the next fit, while the first process reads and evaluates."""


def joined_group() -> dist.ProcessGroup:
    """The group of all processes, for sums during a fit; the default group of torch.distributed waits for a whole run.

    Raises:
        PolylogitError: Not all processes have started in time, or they have different versions of what they run.
    """
    try:
        store, rank, size = next(rendezvous("env://", timeout=LONGEST_TO_JOIN))
    except (dist.DistError, TimeoutError, ValueError) as error:
        address = f"{os.environ.get('MASTER_ADDR', 'no MASTER_ADDR')}:{os.environ.get('MASTER_PORT', 'no MASTER_PORT')}"
        raise PolylogitError(
            f"process {os.environ.get('RANK', '(no RANK)')}: the processes could not meet at {address} within "
            f"{_minutes()} ({str(error).splitlines()[0]}). Start them by torchrun, or set RANK, WORLD_SIZE, "
            "MASTER_ADDR and MASTER_PORT for each."
        ) from error
    # torchrun's store outlives a restart, with the addresses of the processes that have ended
    restarts = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    store = PrefixStore(f"restart {restarts}", store)
    try:
        _check_all_there(store, rank, size)
        _check_versions(store, size)
    except dist.DistError as error:
        raise PolylogitError(
            f"process {rank} of {size}: process 0 has ended while the processes joined. Its own message says why."
        ) from error
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=LONGEST_RUN)
    group = dist.new_group(timeout=LONGEST_SUM)
    if not isinstance(group, dist.ProcessGroup):
        raise TypeError(f"expected a group that this process is a member of, got {group}")
    return group


def _minutes() -> str:
    return f"{LONGEST_TO_JOIN.total_seconds() / 60:g} minutes"


def _versions_of(rank: int) -> str:
    return f"versions of process {rank}"


def _check_all_there(store: Store, rank: int, size: int) -> None:
    """Announce this process with its versions, and wait for the others."""
    versions = {"polylogit": version("polylogit"), "torch": torch.__version__, "Python": sys.version.split()[0]}
    store.set(_versions_of(rank), json.dumps(versions))
    try:
        store.wait([_versions_of(other) for other in range(size)], LONGEST_TO_JOIN)
    except dist.DistError as error:
        absent = [other for other in range(size) if not store.check([_versions_of(other)])]
        named = f"process {absent[0]}" if len(absent) == 1 else f"processes {', '.join(map(str, absent))}"
        raise PolylogitError(
            f"process {rank} of {size}: {named or 'a process'} did not start within {_minutes()}. Its own message says "
            "why; a process that was killed leaves none. Start all of them again."
        ) from error


def _check_versions(store: Store, size: int) -> None:
    first = json.loads(store.get(_versions_of(0)))
    for other in range(1, size):
        found = json.loads(store.get(_versions_of(other)))
        for name, expected in first.items():
            if found[name] != expected:
                raise PolylogitError(
                    f"{name} is of version {expected} on process 0 and of version {found[name]} on process {other} of "
                    f"{size}. Install the same versions everywhere."
                )
