"""Two machines, as far as one machine has them: network namespaces with a cable between them, a process in each."""

import json
import os
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

ENDS = {"first": "10.77.0.1", "second": "10.77.0.2"}
DELAY, LOSS = 0.001, 0.001
COMMAND = "train zoo --model linear --set training.C=1 --set cross_validation.folds=0 --json --out m.safetensors"


def administered(*words):
    """Run a command of the network administration; its error where it is refused."""
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.fixture
def hosts():
    """The namespaces by name, not yet connected."""
    if not (shutil.which("ip") and os.geteuid() == 0):
        pytest.skip("network namespaces need root and the command ip")
    names = {end: f"polylogit-{os.getpid()}-{end}" for end in ENDS}
    try:
        for name in names.values():
            made = administered("ip", "netns", "add", name)
            if made.returncode:
                pytest.skip(f"no network namespace can be made: {made.stderr.strip()}")
        yield names
    finally:
        for name in names.values():
            administered("ip", "netns", "delete", name)


@contextmanager
def cable(hosts):
    """A pair of virtual Ethernet devices."""
    first, second = hosts.values()
    pair = ("link", "add", "cable", "netns", first, "type", "veth", "peer", "name", "cable", "netns", second)
    laid = administered("ip", *pair)
    if laid.returncode:
        pytest.skip(f"no cable can be laid: {laid.stderr.strip()}")
    plug_in(hosts)
    yield


@contextmanager
def disturbed_cable(hosts):
    """A cable with a delay of 1 ms each way that loses a thousandth of the frames; see `disturbed_cable.py`."""
    for name in hosts.values():
        made = administered("ip", "-n", name, "tuntap", "add", "dev", "cable", "mode", "tap")
        if made.returncode:
            pytest.skip(f"no TAP device can be made: {made.stderr.strip()}")
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    program = [sys.executable, str(Path(__file__).with_name("disturbed_cable.py")), "cable"]
    with ExitStack() as running:
        carriers = []
        for seed, (name, end) in enumerate(zip(hosts.values(), ends, strict=True)):
            number = end.fileno()
            words = ["ip", "netns", "exec", name, *program, str(number), str(DELAY), str(LOSS), str(seed)]
            carrier = subprocess.Popen(
                words, pass_fds=[number], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            carriers.append(running.enter_context(carrier))
            running.callback(carrier.kill)
            assert carrier.stdout.readline() == "ready\n"
            end.close()
        plug_in(hosts)
        yield
        counts = [carrier.communicate("", timeout=10)[0].split() for carrier in carriers]
        taken, lost = (sum(int(count) for count in ended) for ended in zip(*counts, strict=True))
        assert taken > 500, counts
        assert 0 < lost < taken / 100, counts


def plug_in(hosts):
    """Give each end of the cable its address."""
    for end, name in hosts.items():
        for words in (f"addr add {ENDS[end]}/24 dev cable", "link set cable up", "link set lo up"):
            subprocess.run(["ip", "-n", name, *words.split()], check=True)


def round_trip(hosts):
    """The seconds between a packet from the first host to a closed port of the second and its refusal."""
    program = (
        "import socket, sys, time\n"
        "for _ in range(5):\n"
        "    started = time.perf_counter()\n"
        "    try: socket.create_connection((sys.argv[1], 9), timeout=5)\n"
        "    except ConnectionRefusedError: print(time.perf_counter() - started)\n"
    )
    words = ["ip", "netns", "exec", hosts["first"], sys.executable, "-c", program, ENDS["second"]]
    return min(map(float, subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()))


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
@pytest.mark.parametrize("lay", [cable, disturbed_cable])
def test_two_hosts_train_the_model_of_one(hosts, lay, tmp_path):
    with lay(hosts):
        if lay is disturbed_cable:
            assert round_trip(hosts) >= 2 * DELAY
        run = trained(hosts, tmp_path)
    assert run["processes"] == 2
    assert sum(run["rows_per_process"]) == run["rows_train"] + run["rows_test"]
    assert list((tmp_path / "second").iterdir()) == []  # the first host alone writes files
    alone = subprocess.run(
        [sys.executable, "-m", "polylogit", *COMMAND.split()], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    expected = json.loads(alone.stdout.splitlines()[-1])
    assert run["test"]["log_loss"] == pytest.approx(expected["test"]["log_loss"], rel=1e-4)
