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


def test_predict_prints_sets_of_the_coverage(polylogit):
    polylogit("train", "zoo")
    done = polylogit("predict", "runs/zoo-linear/model.safetensors", "zoo", "--coverage", "0.9", "--by-class")
    assert done.stdout.splitlines()[0].startswith("class,prediction_set,probability_amphibian")
    assert "amphibian|insect|invertebrate|mammal|reptile" in done.stdout.splitlines()[1]
    assert "In 100 rows of one class like the 81 training rows" in done.stderr
    assert "warning: too few rows of 4 of 7 classes" in done.stderr


def test_predict_refuses_a_coverage_by_class_without_a_coverage(polylogit):
    polylogit("train", "zoo")
    done = polylogit("predict", "runs/zoo-linear/model.safetensors", "zoo", "--by-class")
    assert done.exit_code == 2
    assert "Give --coverage too" in done.stderr


def test_predict_refuses_to_carry_a_column_twice(polylogit):
    polylogit("train", "zoo")
    done = polylogit("predict", "runs/zoo-linear/model.safetensors", "zoo", "--carry", "legs", "--carry", "legs")
    assert done.exit_code == 2
    assert "--carry legs: the column is named twice" in done.stderr
