"""Processes that are not all there, or not of one version, are one clear error within the time to join."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch.distributed as dist

from polylogit.errors import PolylogitError
from polylogit.run.joined_group import joined_group

PROGRAM = Path(__file__).with_name("late_processes.py")


def messages(*arguments_by_rank, size, **environment):
    """What the processes that are started print; fewer than `size` of them are."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)} | environment
    processes = [
        subprocess.Popen(
            [sys.executable, str(PROGRAM), *arguments],
            env=os.environ | common | {"RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank, arguments in enumerate(arguments_by_rank)
    ]
    try:
        return [process.communicate(timeout=60)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_by_hand_the_processes_that_do_not_start_are_counted():
    first, _ = messages(["6"], ["6"], size=3)
    assert re.search("process 0: the processes could not meet at .* within 0.1 minutes .*2/3 clients", first)


def test_under_torchrun_a_process_that_does_not_start_is_named():
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # as torchrun keeps one
    agent = {"TORCHELASTIC_USE_AGENT_STORE": "True", "MASTER_PORT": str(store.port)}
    found = messages(["6"], ["6"], size=3, **agent)
    for rank, message in enumerate(found):
        assert f"process {rank} of 3: process 2 did not start within 0.1 minutes" in message


def test_other_versions_are_named():
    first, second = messages(["60", "1.0"], ["60", "1.1"], size=2)
    expected = (
        "polylogit is of version 1.0 on process 0 and of version 1.1 on process 1 of 2. Install the same versions"
    )
    assert expected in first
    assert expected in second or "process 0 has ended" in second


@pytest.mark.parametrize("missing", ["MASTER_ADDR", "RANK"])
def test_an_environment_that_is_not_complete(missing, monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(missing)
    with pytest.raises(PolylogitError, match=rf"{missing}.*MASTER_PORT for each"):
        joined_group()
