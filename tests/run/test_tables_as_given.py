"""The way of a table from the command line and from Python: several files, standard input, rows without a class."""

import io
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from typer.testing import CliRunner

from polylogit import Classifier
from polylogit.cli.app import app
from polylogit.data.tables import standard_input
from polylogit.data.tables.audit import audit_table
from polylogit.data.tables.data_names import data_of_files, named_files
from polylogit.data.tables.frames import as_frame
from polylogit.errors import DataError


@pytest.fixture
def table(tmp_path, monkeypatch):
    """60 rows of an unnamed index, a number, a category with the marker `--`, and the class."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    kinds = np.array(["p", "q"])[np.arange(60) % 2]
    frame = pd.DataFrame({"x": draw.normal(size=60).round(4), "shop": draw.choice(["a", "b", "--"], 60), "kind": kinds})
    frame.to_csv("one.csv")
    frame.to_csv("two more.csv")
    return frame


def test_several_files_are_one_table(table, polylogit):
    result = polylogit("train", "one.csv", "two more.csv", "--target", "kind", "--json")
    run = json.loads(result.stdout.splitlines()[-1])
    assert (run["data"], run["rows_train"] + run["rows_test"]) == ("one.csv 'two more.csv'", 120)
    assert run["model_path"] == "runs/one-linear/model.safetensors"
    assert any("row names" in note for note in run["notes"])
    assert "60 rows repeat an earlier row" in result.stderr
    predicted = polylogit("predict", run["model_path"], "one.csv", "two more.csv")
    assert len(predicted.stdout.splitlines()) == 121
    assert "row names" in predicted.stderr
    evaluated = polylogit("evaluate", run["model_path"], "one.csv", "two more.csv", "--json")
    assert json.loads(evaluated.stdout)["rows_test"] == run["rows_test"]


def test_several_files_are_written_as_in_a_shell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.csv", "b c.csv", "a.csv d.csv"):
        (tmp_path / name).touch()
    assert named_files(data_of_files(["a.csv", "b c.csv"])) == ["a.csv", "b c.csv"]
    assert named_files("b c.csv") == ["b c.csv"]
    assert named_files("a.csv d.csv") == ["a.csv d.csv"]
    assert named_files("a.csv e.csv") == ["a.csv e.csv"]


def test_standard_input_is_a_table(table, tmp_path):
    def run(content, *words):
        standard_input.standard_input_file.cache_clear()
        return CliRunner().invoke(app, list(words), input=content)

    content = (tmp_path / "one.csv").read_bytes()
    result = run(content, "check", "-", "--target", "kind", "--json")
    audit = json.loads(result.stdout)
    assert (audit["data"], audit["rows"]) == ("standard input", 60)
    assert "standard input: the first column has no name" in result.stdout
    lines = pl.read_csv(io.BytesIO(content)).select("x", "kind").write_ndjson().encode()
    assert json.loads(run(lines, "check", "-", "--target", "kind", "--json").stdout)["rows"] == 60
    empty = run(b"", "check", "-")
    assert empty.exit_code == 1
    assert "standard input: there is nothing on it" in empty.stderr
    ragged = run(b"a,b\n1,2\n3\n4,5\n", "check", "-")
    assert "error: standard input, line 3: expected 2 cells" in ragged.stderr


def test_rows_without_a_class_are_left_out_where_that_is_asked(table, polylogit, tmp_path):
    table.loc[::5, "kind"] = None
    table.to_csv("one.csv", index=False)
    refused = polylogit("train", "one.csv", "--target", "kind")
    assert refused.exit_code == 1
    assert "--set data.unlabelled=drop" in refused.stderr
    options = ["--set", "data.unlabelled=drop", "--set", "data.missing=--", "--out", "m.safetensors", "--json"]
    result = polylogit("train", "one.csv", "--target", "kind", *options)
    run = json.loads(result.stdout.splitlines()[-1])
    assert run["rows_train"] + run["rows_test"] == 48
    assert "the class of 12 of 60 rows is missing; left out, as data.unlabelled asks" in result.stderr
    evaluated = json.loads(polylogit("evaluate", "m.safetensors", "one.csv", "--json").stdout)
    assert evaluated["rows_test"] == run["rows_test"]
    assert evaluated["test"]["log_loss"] == pytest.approx(run["test"]["log_loss"])


def test_markers_of_the_recipe_count_in_every_prediction(table, polylogit, tmp_path):
    polylogit("train", "one.csv", "--target", "kind", "--set", "data.missing=--", "--out", "m.safetensors")
    model = Classifier.load("m.safetensors")
    assert "shop=(missing)" in model.preprocessing.feature_names
    expected = model.predict_probabilities(pl.DataFrame({"x": [0.5], "shop": [None]}, schema={"x": float, "shop": str}))
    marked = {"x": 0.5, "shop": "--"}
    assert model.predict_probabilities([marked]).tolist() == expected.tolist()
    row = model.predict_rows([marked])[0]
    assert list(row.probabilities.values()) == pytest.approx(expected[0].tolist(), abs=1e-6)
    assert model.predict_probabilities("one.csv").shape == (60, 2)


def test_an_encoding_that_training_named_is_used_later(table, polylogit, tmp_path):
    (tmp_path / "l.csv").write_bytes(b"ort,kind\n" + "Köln,p\nBonn,q\n".encode("latin-1") * 20)
    options = ["--target", "kind", "--set", "data.encoding=latin-1", "--out", "m.safetensors"]
    assert polylogit("train", "l.csv", *options).exit_code == 0
    for command in ("predict", "evaluate"):
        assert polylogit(command, "m.safetensors", "l.csv").exit_code == 0
    assert Classifier.load("m.safetensors").predict("l.csv")[:2] == ["p", "q"]


def test_python_takes_rows_and_names_columns_that_it_cannot_take():
    rows = [{"legs": 4, "kind": "dog"}, {"legs": 2.5}]
    assert as_frame(rows).rows() == [(4.0, "dog"), (2.5, None)]
    sparse = pd.DataFrame({"x": pd.arrays.SparseArray([0, 0, 1]), "y": [1, 2, 3]})
    assert as_frame(sparse)["x"].to_list() == [0, 0, 1]
    with pytest.raises(DataError, match='2 columns are called "x"'):
        as_frame(pd.DataFrame([[1, 2]], columns=["x", "x"]))
    with pytest.raises(DataError, match="a list of mappings"):
        as_frame([1, 2])
    with pytest.raises(DataError, match='column "v": values of type complex cannot be taken'):
        as_frame(pd.DataFrame({"v": [1j]}))


def test_a_count_as_target_is_a_warning():
    frame = pl.DataFrame({"x": range(900), "visits": [n % 30 for n in range(900)]})
    findings = {finding.code: finding for finding in audit_table(frame, target="visits").audit.findings}
    assert findings["target-looks-like-a-quantity"].severity == "warning"
    digits = frame.with_columns(pl.col("visits") % 10)
    codes = {finding.code for finding in audit_table(digits, target="visits").audit.findings}
    assert "target-looks-like-a-quantity" not in codes


def test_an_option_without_its_section_is_named(polylogit):
    result = polylogit("train", "zoo", "--set", "C=10")
    assert result.exit_code == 2
    assert 'Did you mean "training.C"?' in result.stderr
