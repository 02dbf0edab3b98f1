"""`polylogit predict`."""

import polars as pl
import pytest


def test_predict_prints_csv(polylogit):
    polylogit("train", "zoo")
    done = polylogit("predict", "runs/zoo-linear/model.safetensors", "zoo")
    assert done.stdout.splitlines()[0].startswith("class,probability_amphibian,probability_bird")
    assert len(done.stdout.splitlines()) == 102


@pytest.mark.parametrize(
    ("ending", "read"), [(".csv", pl.read_csv), (".parquet", pl.read_parquet), (".jsonl", pl.read_ndjson)]
)
def test_predict_writes_every_ending(polylogit, ending, read):
    polylogit("train", "zoo")
    done = polylogit("predict", "runs/zoo-linear/model.safetensors", "zoo", "--out", f"p{ending}")
    assert (done.exit_code, done.stdout) == (0, "")
    frame = read(f"p{ending}")
    assert frame.shape == (101, 8)
    assert frame["class"][0] == "mammal"
