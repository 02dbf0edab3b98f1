"""Wrong usage, places that cannot be written, and interrupts, against the real process."""

import json
import os
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "polylogit"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "zoo", "--model", "liner"], "liner"),
        (["train", "zoo", "--seed", "-1"], "seed: input should be greater than or equal to 0"),
        (["train", "zoo", "--set", "training.C"], "expected section.option=value"),
        (["train", "zoo", "--set", "trainig.C=1"], 'Did you mean "training"?'),
        (["train", "zoo", "--out", "model.pkl"], "expected a file name that ends in .safetensors"),
        (["predict", "m.safetensors", "zoo", "--out", "p.xlsx"], "Expected one of .csv, .parquet, .jsonl"),
        (["evaluate", "m.safetensors"], "DATA"),
    ],
)
def test_wrong_usage_exits_with_2(words, message, polylogit):
    done = polylogit(*words)
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_model_that_cannot_be_written_is_reported(polylogit, tmp_path):
    (tmp_path / "taken").write_text("a file where a folder should be")
    done = polylogit("train", "zoo", "--out", "taken/model.safetensors")
    assert done.exit_code == 1
    assert "taken: cannot be written" in done.stderr
    assert (tmp_path / "taken").read_text() == "a file where a folder should be"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_rights_is_reported(polylogit, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    done = polylogit("train", "zoo", "--out", "locked/model.safetensors")
    assert done.exit_code == 1
    assert "Permission denied" in done.stderr


def test_predictions_that_cannot_be_written_are_reported(polylogit, tmp_path, zoo_run):
    (tmp_path / "taken").write_text("")
    done = polylogit("predict", zoo_run.model_path, "zoo", "--out", "taken/p.csv")
    assert done.exit_code == 1
    assert "cannot be written" in done.stderr


INTERRUPTED = """
import signal
from polylogit.cli.app import main
from polylogit.data.tables import sources
sources.fingerprint = lambda *_: signal.raise_signal(signal.SIGINT)
main()
"""


def test_ctrl_c_while_reading_leaves_nothing(tmp_path):
    (tmp_path / "t.csv").write_text("legs,kind\n4,mammal\n")
    words = [sys.executable, "-c", INTERRUPTED, "train", "t.csv", "--target", "kind"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 130
    assert done.stderr.startswith("interrupted")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def interrupt(*_, **__):
    raise KeyboardInterrupt


def test_ctrl_c_while_writing_leaves_nothing(polylogit, tmp_path, monkeypatch):
    monkeypatch.setattr("polylogit.model_file.save_tensors", interrupt)
    assert polylogit("train", "zoo").exit_code == 130
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.name for path in left] == ["history.jsonl"]
    rows = [json.loads(line)["epoch"] for line in left[0].read_text().splitlines()]
    assert rows == list(range(len(rows)))  # whole lines, from the start on


def test_ctrl_c_while_evaluating_leaves_a_model_that_works(polylogit, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr("polylogit.run.training.evaluate_rows", interrupt)
        assert polylogit("train", "zoo").exit_code == 130
    assert polylogit("predict", "runs/zoo-linear/model.safetensors", "zoo").exit_code == 0


def test_a_reader_that_has_seen_enough_ends_the_output_quietly(tmp_path, zoo_run):
    words = [*COMMAND, "predict", str(zoo_run.model_path), "zoo"]
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    told = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 0
    assert told == ""
