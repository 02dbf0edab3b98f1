"""`polylogit train` by several processes: the result of one, written once; errors end all with one message."""

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from polylogit.cli.app import app, main

TABLE = "size,colour,kind\n" + "".join(
    f"{(7 * row) % 31 + 12 * (row % 3)},{('red', 'blue')[row % 5 > 1]},{('cat', 'dog', 'owl')[row % 3]}\n"
    for row in range(120)
)
RUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "polylogit"]

KILLED = Path(__file__).with_name("killed_process.py")
FLOAT32 = Path(__file__).with_name("float32_fine_tuning.py")
TO_BE_KILLED = ["train", "animals.csv", "--target", "kind", "--model", "mlp", "--set", "training.epochs=6"]
TO_BE_KILLED += ["--set", "training.batch_size=16", "--set", "training.validation_fraction=0.2"]


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


@pytest.mark.parametrize("column", ["category", "text"])  # dense features, and sparse ones
def test_shares_of_a_table_in_files_are_the_rows_themselves(column, folder):
    """Twice the same run, with the rows in memory and in files, of which workers get their shares in blocks."""
    models = []
    for where in ("always", "never"):
        out = f"{where}.safetensors"
        options = ["--model", "linear", "--set", f"data.in_memory={where}", "--set", "training.C=1", "--out", out]
        options += ["--set", f"data.columns.colour={column}"]
        ended = by_two("train", "animals.csv", "--target", "kind", *options, cwd=folder)
        assert ended.returncode == 0, ended.stderr
        models.append(load_file(folder / out))
    assert models[0].keys() == models[1].keys()
    assert all(torch.equal(value, models[1][name]) for name, value in models[0].items())


def test_two_processes_train_the_network_of_one(folder, capsys, monkeypatch):
    arguments = ["train", "animals.csv", "--target", "kind", "--model", "mlp", "--json", "--weight", "size"]
    for setting in (
        "training.epochs=3",
        "training.batch_size=16",
        "training.class_weight=balanced",
        "cross_validation.folds=2",
    ):
        arguments += ["--set", setting]
    in_files = ["--set", "data.in_memory=never"]  # then the second process has its rows in a file, too
    ended = by_two(*arguments, *in_files, "--out", "net2.safetensors", cwd=folder)
    assert ended.returncode == 0, ended.stderr
    monkeypatch.chdir(folder)
    app([*arguments, "--out", "net1.safetensors"], standalone_mode=False)
    two, one = json.loads(ended.stdout), json.loads(capsys.readouterr().out)
    assert two["processes"] == 2
    assert sum(two["rows_per_process"]) <= one["rows_train"]  # validation rows are kept apart
    assert min(two["rows_per_process"]) > 0
    assert two["test"]["log_loss"] == pytest.approx(one["test"]["log_loss"], rel=1e-3)
    assert two["cross_validation"]["log_loss"] == pytest.approx(one["cross_validation"]["log_loss"], rel=1e-3)
    weights = [load_file(folder / f"net{count}.safetensors") for count in (1, 2)]
    torch.testing.assert_close(*weights, rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def whole(folder):
    """The network of `TO_BE_KILLED` in one process that nothing ends."""
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        app([*TO_BE_KILLED, "--out", "whole.safetensors"], standalone_mode=False)
    return load_file(folder / "whole.safetensors")


def killed(*options, cwd, name):
    """The ended run of a command of two processes, of which one is killed after its third epoch."""
    launch = [*RUN[:3], "--standalone", "--nproc-per-node", "2", *options, str(KILLED)]
    command = [*launch, *TO_BE_KILLED, "--out", f"{name}.safetensors"]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def test_one_process_resumes_where_another_was_killed(folder, whole, monkeypatch):
    ended = killed(cwd=folder, name="killed")
    assert ended.returncode == 1
    assert "error: one of the 2 processes has ended" in ended.stderr or "error: ended by a signal" in ended.stderr
    assert "--resume" in ended.stderr
    assert not (folder / "killed.safetensors").exists()
    monkeypatch.chdir(folder)
    app([*TO_BE_KILLED, "--resume", "--out", "killed.safetensors"], standalone_mode=False)
    torch.testing.assert_close(load_file("killed.safetensors"), whole, rtol=1e-3, atol=1e-4)


def test_processes_that_torchrun_starts_again_resume(folder, whole):
    ended = killed("--max-restarts", "1", cwd=folder, name="restarted")
    assert ended.returncode == 0, ended.stderr
    assert "starts over" not in ended.stderr
    torch.testing.assert_close(load_file(folder / "restarted.safetensors"), whole, rtol=1e-3, atol=1e-4)


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


def test_two_processes_fine_tune_the_network_of_one(folder, shapes):
    arguments = ["train", str(shapes), "--model", "pretrained", "--json"]
    for setting in (
        "data.picture_size=32",
        "training.C=1e-3",  # far from the optimum, so that more training pays
        "training.finetune=last",
        "training.finetune_epochs=2",
        "training.finetune_learning_rate=1e-3",
        "calibration.method=none",
    ):
        arguments += ["--set", setting]
    two, one = (
        json.loads(
            subprocess.run(
                [*launch, str(FLOAT32), *arguments, "--out", f"tuned{count}.safetensors"],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=120,
                check=True,
            ).stdout
        )
        for count, launch in ((2, RUN[:-2]), (1, [sys.executable]))
    )
    assert two["processes"] == 2
    assert "Then the last block was fine-tuned" in two["fit_message"]
    histories = [
        [json.loads(line) for line in (folder / f"tuned{count}.history.jsonl").read_text().splitlines()]
        for count in (1, 2)
    ]
    for of_one, of_two in zip(*histories, strict=True):
        assert of_two["train_loss"] == pytest.approx(of_one["train_loss"], rel=1e-4)
    assert two["test"]["log_loss"] == pytest.approx(one["test"]["log_loss"], rel=1e-4)
    weights = [load_file(folder / f"tuned{count}.safetensors") for count in (1, 2)]
    torch.testing.assert_close(*weights, rtol=1e-3, atol=1e-4)
