"""A table that is four times as large as the memory that the kernel lets a run take."""

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
ROWS, COLUMNS = 500_000, 1000


@pytest.mark.slow
def test_a_table_of_four_times_the_memory_is_trained_on(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    scale = importlib.import_module("scale")
    in_files, in_memory = scale.limited(tmp_path, ROWS, COLUMNS)
    if "no limit" in in_files["run"]:
        pytest.skip(in_files["run"].partition(", ")[2])
    assert in_files["table_mib"] > 1900
    assert float(in_files["test_log_loss"]) < 0.7  # 1.0986 is that of three classes at chance
    assert in_memory["test_log_loss"].startswith("exit -9")  # the limit is one
