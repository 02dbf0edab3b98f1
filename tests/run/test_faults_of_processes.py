"""Bad input and full disks under torchrun: one message, nothing half-written, no hang, an exit code that says so."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
LIMITED = Path(__file__).with_name("limited_files.py")
TRAIN = ["--target", "kind", "--model", "linear", "--set", "training.C=1", "--out", "m.safetensors", "--json"]
IN_FILES = ["--set", "data.in_memory=never"]
ROWS = 600


@pytest.fixture
def table(tmp_path):
    numbers = np.random.default_rng(0).normal(size=(ROWS, 8))
    frame = pl.DataFrame(numbers, schema=[f"x{place}" for place in range(8)])
    frame = frame.with_columns(pl.Series("kind", ["a", "b", "c"] * (ROWS // 3)))
    frame.write_parquet(tmp_path / "t.parquet")
    return frame


def launched(folder, processes, *arguments):
    """The ended run of torchrun, and the lines of its processes that are errors."""
    ended = subprocess.run(
        [*LAUNCH, str(processes), *arguments],
        cwd=folder,
        env=os.environ | {"POLYLOGIT_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return ended, [line for line in ended.stderr.splitlines() if line.startswith("error: ")]


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_damaged_shard_is_named(table, tmp_path):
    parts = tmp_path / "parts"
    parts.mkdir()
    for number in (1, 2):
        table.write_parquet(parts / f"{number}.parquet")
    content = bytearray((parts / "2.parquet").read_bytes())
    content[100:-2000] = bytes(len(content) - 2100)  # the metadata at the end stay whole
    (parts / "2.parquet").write_bytes(content)
    before = files(tmp_path)
    ended, errors = launched(tmp_path, 2, "-m", "polylogit", "train", "parts", *TRAIN, *IN_FILES)
    assert ended.returncode == 1
    assert len(errors) == 1
    assert "parts/2.parquet" in errors[0]
    assert ended.stdout == ""
    assert files(tmp_path) == before


def test_a_process_without_room_for_its_share_is_named(table, tmp_path):
    ended, errors = launched(tmp_path, 2, str(LIMITED), "1", "4096", "train", "t.parquet", *TRAIN, *IN_FILES)
    assert ended.returncode == 1
    assert len(errors) == 1
    assert errors[0].startswith("error: process 1 of 2: ")
    assert "POLYLOGIT_CACHE" in errors[0]
    assert [name for name in files(tmp_path) if name != "m.history.jsonl"] == ["t.parquet"]


@pytest.mark.slow
def test_a_disk_that_fills_up_while_the_model_is_written(table, tmp_path):
    ended, errors = launched(tmp_path, 2, str(LIMITED), "0", "2500", "train", "t.parquet", *TRAIN)
    assert ended.returncode == 1
    assert len(errors) == 1
    assert "m.safetensors: cannot be written" in errors[0]
    assert files(tmp_path) == ["m.history.jsonl", "t.parquet"]
    history = (tmp_path / "m.history.jsonl").read_text()
    assert history.endswith("\n")
    assert all(isinstance(json.loads(line), dict) for line in history.splitlines())


@pytest.mark.slow
def test_more_processes_than_rows(tmp_path):
    """One row group of four rows for five processes, of which one has none."""
    pl.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "kind": ["a", "b", "a", "b"]}).write_parquet(tmp_path / "t.parquet")
    ended, errors = launched(tmp_path, 5, "-m", "polylogit", "train", "t.parquet", *TRAIN, *IN_FILES)
    assert (ended.returncode, errors) == (0, [])
    found = json.loads(ended.stdout)
    assert found["rows_per_process"] == [0, 1, 1, 1, 1]
    assert "m.safetensors" in files(tmp_path)
