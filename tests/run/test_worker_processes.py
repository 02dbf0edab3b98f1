"""`polylogit train` by several processes: the result of one, written once; errors end all with one message."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from polylogit.cli.app import app, main
from polylogit.errors import RecipeError
from polylogit.recipes import recipe_from_entries
from polylogit.run import worker_processes
from polylogit.run.training import train

TABLE = "size,colour,kind\n" + "".join(
    f"{(7 * row) % 31 + 12 * (row % 3)},{('red', 'blue')[row % 5 > 1]},{('cat', 'dog', 'owl')[row % 3]}\n"
    for row in range(120)
)
RUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "polylogit"]


def by_two(*arguments, cwd):
    """The ended run of a command that torchrun has started in two processes."""
    return subprocess.run([*RUN, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("several")
    (place / "animals.csv").write_text(TABLE)
    return place


def test_two_processes_train_the_model_of_one(folder, capsys, monkeypatch):
    arguments = ["train", "animals.csv", "--target", "kind", "--model", "linear", "--json", "--out"]
    ended = by_two(*arguments, "two.safetensors", cwd=folder)
    assert ended.returncode == 0, ended.stderr
    monkeypatch.chdir(folder)
    app([*arguments, "one.safetensors"], standalone_mode=False)
    two, one = json.loads(ended.stdout), json.loads(capsys.readouterr().out)  # one object: the second process is silent
    assert (two["processes"], two["rows_per_process"]) == (2, [60, 60])
    assert (one["processes"], one["rows_per_process"]) == (1, None)
    assert two["test"]["log_loss"] == pytest.approx(one["test"]["log_loss"], rel=1e-4)
    assert two["penalty"]["C"] == one["penalty"]["C"]
    assert sorted(path.name for path in folder.glob("two.*")) == [
        "two.history.jsonl",
        *sorted(f"two.report.{ending}" for ending in ("html", "json", "md")),
        "two.safetensors",
    ]


def test_networks_are_refused(folder, monkeypatch):
    first = object.__new__(worker_processes.FirstProcess)  # without a group, which a refused run has no use for
    first.size = 2
    monkeypatch.setattr(worker_processes, "_first", first)
    recipe = recipe_from_entries({"data": {"target": "kind"}, "model": {"kind": "mlp"}})
    with pytest.raises(RecipeError, match="a network is trained by one process, got 2"):
        train(str(folder / "animals.csv"), recipe, out=folder / "mlp.safetensors")


@pytest.mark.parametrize(("rank", "message"), [("0", "polylogit check runs in one process"), ("1", "")])
def test_other_commands_are_refused_by_the_first_process(rank, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["polylogit", "check", "animals.csv"])
    for name, value in {"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "2", "RANK": rank}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_the_end_of_a_process_is_an_error_and_no_hang():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = os.environ | {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    program = [sys.executable, str(Path(__file__).with_name("abandoned_run.py"))]
    processes = [
        subprocess.Popen(program, env=common | {"RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    try:
        message, _ = processes[0].communicate(timeout=60)
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert "one of the 2 processes has ended" in message
