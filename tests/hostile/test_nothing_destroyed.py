"""No command destroys a file of the user's, and none leaves unfinished files behind."""

import gzip
import os
import signal
import subprocess
import sys
import threading
import time

import polars as pl
import pytest

from polylogit.data.tables.sources import open_source
from polylogit.run.replacing import is_own_file

COMMAND = [sys.executable, "-m", "polylogit"]


@pytest.fixture
def zoo(tmp_path):
    path = tmp_path / "zoo.csv"
    open_source("zoo").frame.write_csv(path)
    return path


def leftovers(*folders):
    return sorted(path.name for folder in folders for path in folder.iterdir())


@pytest.mark.parametrize("place", ["zoo.csv", "link.csv", "hard.csv", "./folder/../zoo.csv"])
def test_predictions_never_replace_the_table_that_is_read(place, zoo, polylogit, tmp_path, zoo_run):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.csv").symlink_to("zoo.csv")
    (tmp_path / "hard.csv").hardlink_to(zoo)
    before = zoo.read_bytes()
    for more in ((), ("--force",)):
        done = polylogit("predict", zoo_run.model_path, "zoo.csv", "--out", place, *more)
        assert done.exit_code == 2
        assert "this file is read, so it is not written" in done.stderr
    assert zoo.read_bytes() == before


def test_predictions_do_not_become_a_part_of_the_table(zoo, polylogit, tmp_path, zoo_run):
    (tmp_path / "parts").mkdir()
    zoo.rename(tmp_path / "parts" / "1.csv")
    for name in ("parts/1.csv", "parts/new.csv"):
        done = polylogit("predict", zoo_run.model_path, "parts", "--out", name)
        assert done.exit_code == 2
        assert "would become a part of the table parts" in done.stderr
    assert leftovers(tmp_path / "parts") == ["1.csv"]


def test_a_report_never_replaces_the_data(polylogit, tmp_path, zoo_run):
    open_source("zoo").frame.write_ndjson(tmp_path / "zoo.jsonl")
    (tmp_path / "zoo.json").hardlink_to(tmp_path / "zoo.jsonl")
    for command in (["evaluate", zoo_run.model_path, "zoo.jsonl"], ["train", "zoo.jsonl", "--target", "type"]):
        assert polylogit(*command, "--report", "zoo.json", "--force").exit_code == 2


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_predictions_replace_predictions_and_nothing_else(ending, zoo, polylogit, tmp_path, zoo_run):
    frame = pl.read_csv(zoo)
    write = {".csv": frame.write_csv, ".jsonl": frame.write_ndjson, ".parquet": frame.write_parquet}[ending]
    path = tmp_path / f"table{ending}"
    write(path)
    before = path.read_bytes()
    words = ["predict", zoo_run.model_path, "zoo", "--out", path.name]
    refused = polylogit(*words)
    assert refused.exit_code == 1
    assert "polylogit did not write it" in refused.stderr
    assert path.read_bytes() == before
    assert polylogit(*words, "--force").exit_code == 0
    assert polylogit(*words).exit_code == 0


@pytest.mark.parametrize("name", ["a.safetensors", "a.history.jsonl", "a.report.html", "a.report.json", "a.report.md"])
def test_training_replaces_files_of_earlier_runs_and_nothing_else(name, polylogit, tmp_path):
    (tmp_path / name).write_text('{"somebody": "else"}\n')
    refused = polylogit("train", "zoo", "--out", "a.safetensors")
    assert refused.exit_code == 1
    assert f"{name}: there is such a file already, and polylogit did not write it" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == '{"somebody": "else"}\n'


def test_force_replaces_what_is_there(polylogit, tmp_path):
    (tmp_path / "a.safetensors").write_text("somebody else's")
    assert polylogit("train", "zoo", "--out", "a.safetensors", "--force").exit_code == 0
    written = [path for path in tmp_path.iterdir() if path.is_file()]
    assert len(written) == 5
    assert all(is_own_file(path) for path in written)


def test_a_symbolic_link_stays_one(polylogit, tmp_path, zoo_run):
    (tmp_path / "place").mkdir()
    (tmp_path / "out.csv").symlink_to("place/classes.csv")
    for _ in range(2):
        assert polylogit("predict", zoo_run.model_path, "zoo", "--out", "out.csv").exit_code == 0
        assert (tmp_path / "out.csv").is_symlink()
        assert is_own_file(tmp_path / "place" / "classes.csv")
    assert leftovers(tmp_path / "place") == ["classes.csv"]


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_pipe_stays_one_and_gets_the_predictions(ending, polylogit, tmp_path, zoo_run):
    pipe, read = tmp_path / f"out{ending}", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    assert polylogit("predict", zoo_run.model_path, "zoo", "--out", pipe.name).exit_code == 0
    reader.join(timeout=10)
    assert pipe.is_fifo()
    (tmp_path / f"copy{ending}").write_bytes(read[0])
    assert is_own_file(tmp_path / f"copy{ending}")


def test_a_loop_of_links_is_an_error(polylogit, tmp_path, zoo_run):
    (tmp_path / "a.csv").symlink_to("b.csv")
    (tmp_path / "b.csv").symlink_to("a.csv")
    done = polylogit("predict", zoo_run.model_path, "zoo", "--out", "a.csv")
    assert done.exit_code == 1
    assert "cannot be written" in done.stderr


@pytest.fixture
def big(tmp_path, zoo):
    """A million rows, compressed, so that a prediction writes a decompressed copy and takes a while."""
    head, _, rows = zoo.read_bytes().partition(b"\n")
    for name in ("temporary", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "big.csv.gz").write_bytes(gzip.compress(head + b"\n" + rows * 10000, 1))
    return tmp_path / "big.csv.gz"


def ended(tmp_path, zoo_run, number, ending):
    """The exit status of a prediction that gets a signal while it writes."""
    words = ["predict", str(zoo_run.model_path), "big.csv.gz", "--limit", "expansion=1000", "--out"]
    process = subprocess.Popen(
        [*COMMAND, *words, f"out/classes{ending}"],
        cwd=tmp_path,
        env=os.environ | {"TMPDIR": str(tmp_path / "temporary")},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not leftovers(tmp_path / "out") and process.poll() is None:
        time.sleep(0.02)
    assert leftovers(tmp_path / "temporary", tmp_path / "out")
    process.send_signal(number)
    _, message = process.communicate(timeout=60)
    return process.returncode, message


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_prediction_that_is_terminated_leaves_nothing(ending, big, tmp_path, zoo_run):
    status, message = ended(tmp_path, zoo_run, signal.SIGTERM, ending)
    assert status == 143
    assert message == "error: ended by a signal. Files are written atomically, so none is incomplete.\n"
    assert leftovers(tmp_path / "temporary", tmp_path / "out") == []


def test_the_next_run_removes_what_a_killed_one_left(big, tmp_path, zoo_run, polylogit, monkeypatch):
    assert ended(tmp_path, zoo_run, signal.SIGKILL, ".csv")[0] == -signal.SIGKILL
    left = leftovers(tmp_path / "temporary", tmp_path / "out")
    assert {name.partition("-")[0] for name in left if not name.endswith(".part")} == {"polylogit"}
    assert any(name.endswith(".part") for name in left)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary" / "polylogit-of-nobody-known").mkdir()
    assert polylogit("predict", zoo_run.model_path, "zoo.csv", "--out", "out/classes.csv").exit_code == 0
    assert leftovers(tmp_path / "temporary", tmp_path / "out") == ["classes.csv", "polylogit-of-nobody-known"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_training_run_that_is_ended_leaves_whole_files_only(number, tmp_path):
    words = ["train", "zoo", "--model", "mlp", "--set", "training.epochs=100000", "--set", "training.patience=100000"]
    process = subprocess.Popen([*COMMAND, *words, "--out", "a.safetensors"], cwd=tmp_path, stderr=subprocess.PIPE)
    while not (tmp_path / "a.history.jsonl").exists() and process.poll() is None:
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(number)
    try:
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == (143 if number == signal.SIGTERM else -signal.SIGKILL)
    left = {path.name for path in tmp_path.iterdir() if not path.name.endswith(".part") or number == signal.SIGTERM}
    assert left <= {
        "a.history.jsonl",
        "a.checkpoint.safetensors",
        ".a.safetensors.lock",
    }  # a killed process keeps no lock
    assert "a.history.jsonl" in left


@pytest.mark.parametrize(
    ("header", "own"),
    [
        ("class,probability_a,comment", False),
        ("class,probability_of_rain", False),
        ("probability_a,probability_b,class", False),
        ("class,probability_a,probability_b", True),
        ("id,class,expected_cost,prediction_set,probability_a,probability_b", True),
        ('class,"probability_a, b",probability_c', True),
    ],
)
def test_only_the_columns_of_predictions_are_taken_for_predictions(header, own, tmp_path):
    (tmp_path / "t.csv").write_text(f"{header}\n")
    assert is_own_file(tmp_path / "t.csv") == own
