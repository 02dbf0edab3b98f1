"""Two machines, as far as one machine has them: network namespaces with a cable between them, a process in each."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress

import pytest

ENDS = {"first": "10.77.0.1", "second": "10.77.0.2"}
COMMAND = "train zoo --model linear --set training.C=1 --set cross_validation.folds=0 --json --out m.safetensors"


def administered(*words):
    """Run a command of the network administration; its error where it is refused."""
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.fixture
def hosts():
    """The namespaces by name, each with its end of the cable."""
    if not (shutil.which("ip") and os.geteuid() == 0):
        pytest.skip("network namespaces need root and the command ip")
    names = {end: f"polylogit-{os.getpid()}-{end}" for end in ENDS}
    try:
        for name in names.values():
            made = administered("ip", "netns", "add", name)
            if made.returncode:
                pytest.skip(f"no network namespace can be made: {made.stderr.strip()}")
        first, second = names.values()
        cable = administered(
            *("ip", "link", "add", "cable", "netns", first, "type", "veth", "peer", "name", "cable", "netns", second)
        )
        if cable.returncode:
            pytest.skip(f"no cable can be laid: {cable.stderr.strip()}")
        for end, name in names.items():
            for words in (f"addr add {ENDS[end]}/24 dev cable", "link set cable up", "link set lo up"):
                subprocess.run(["ip", "-n", name, *words.split()], check=True)
        yield names
    finally:
        for name in names.values():
            administered("ip", "netns", "delete", name)


def trained(hosts, folder):
    """The result of the command that torchrun has started on both hosts."""
    started = []
    for rank, (end, name) in enumerate(hosts.items()):
        (folder / end).mkdir()
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--node-rank", str(rank)]
        place = ["--master-addr", ENDS["first"], "--master-port", "29555", "-m", "polylogit", *COMMAND.split()]
        started.append(
            subprocess.Popen(
                ["ip", "netns", "exec", name, *torchrun, *place],
                cwd=folder / end,
                env=os.environ | {"GLOO_SOCKET_IFNAME": "cable", "OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    try:
        ended = [process.communicate(timeout=150) for process in started]
    finally:
        for process in started:
            with suppress(ProcessLookupError):
                process.kill()
    assert [process.returncode for process in started] == [0, 0], ended
    return json.loads(ended[0][0].splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("disturbed", [False, True], ids=["cable", "delay of 1 ms and loss of 0.1 %"])
def test_two_hosts_train_the_model_of_one(hosts, disturbed, tmp_path):
    if disturbed:
        for name in hosts.values():
            disturbance = ("netem", "delay", "1ms", "loss", "0.1%")
            words = ("tc", "-n", name, "qdisc", "add", "dev", "cable", "root", *disturbance)
            done = administered(*words) if shutil.which("tc") else None
            if done is None or done.returncode:
                pytest.skip(f"the network cannot be disturbed: {'no tc' if done is None else done.stderr.strip()}")
    run = trained(hosts, tmp_path)
    assert run["processes"] == 2
    assert sum(run["rows_per_process"]) == run["rows_train"] + run["rows_test"]
    assert list((tmp_path / "second").iterdir()) == []  # the first host alone writes files
    alone = subprocess.run(
        [sys.executable, "-m", "polylogit", *COMMAND.split()], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    expected = json.loads(alone.stdout.splitlines()[-1])
    assert run["test"]["log_loss"] == pytest.approx(expected["test"]["log_loss"], rel=1e-4)
