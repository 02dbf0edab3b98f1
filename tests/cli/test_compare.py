"""`polylogit compare` as a user calls it."""

import json

import numpy as np
import polars as pl
import pytest

QUICK = ("--target", "kind", "--set", "calibration.method=none", "--json")


@pytest.fixture
def models(polylogit, tmp_path):
    draw = np.random.default_rng(0)
    classes = np.arange(90) % 2
    values = draw.normal(size=(90, 2)) + 1.5 * classes[:, None]
    frame = pl.DataFrame(values, schema=["a", "b"]).with_columns(kind=pl.Series(np.array(["x", "<i>y"])[classes]))
    frame.write_csv(tmp_path / "flowers.csv")
    for folder, setting in (("one", "training.C=1"), ("two", "training.C=1e-6")):
        words = ("--set", setting, "--set", "cross_validation.folds=3", "--set", "cross_validation.repeats=1")
        assert polylogit("train", "flowers.csv", *QUICK, *words, "--out", f"{folder}/model.safetensors").exit_code == 0
    return ("one/model.safetensors", "two/model.safetensors")


def test_models_are_compared_on_a_terminal(polylogit, models):
    done = polylogit("compare", *models, "flowers.csv")
    assert done.exit_code == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "flowers.csv: 18 rows compared" in text
    assert "B minus A: A has the lower log loss" in text
    assert "McNemar: only A is right on" in text
    assert "only its 18 held-out rows are evaluated" in done.stderr
    assert "copies of them in another file are not" in done.stderr


def test_the_json_object_is_the_report_and_the_same_seed_gives_the_same(polylogit, models, tmp_path):
    printed = json.loads(polylogit("compare", *models, "flowers.csv", "--json", "--report", "c.json").stdout)
    written = json.loads((tmp_path / "c.json").read_text())
    assert printed.pop("report_path") == "c.json"
    assert printed == written
    again = json.loads(polylogit("compare", *models, "flowers.csv", "--json").stdout)
    other = json.loads(polylogit("compare", *models, "flowers.csv", "--json", "--seed", "1").stdout)
    assert again["pairs"] == printed["pairs"] != other["pairs"]


def test_runs_are_compared_by_their_folds(polylogit, models, tmp_path):
    done = polylogit("compare", "one", "two/report.json", "--report", "c.html")
    assert done.exit_code == 0, done.stderr
    assert "flowers.csv: 3 folds compared" in done.stdout
    page = (tmp_path / "c.html").read_text()
    assert "corrected resampled t-test" in page
    assert "<script" not in page


def test_names_on_the_page_are_no_markup(polylogit, models, tmp_path):
    assert polylogit("compare", *models, "flowers.csv", "--report", "c.html").exit_code == 0
    page = (tmp_path / "c.html").read_text()
    assert "&lt;i&gt;y" in page
    assert "<i>y" not in page


def test_a_report_does_not_replace_other_files(polylogit, models, tmp_path):
    (tmp_path / "notes.html").write_text("my own notes")
    done = polylogit("compare", *models, "flowers.csv", "--report", "notes.html")
    assert done.exit_code == 1
    assert (tmp_path / "notes.html").read_text() == "my own notes"
    assert polylogit("compare", *models, "flowers.csv", "--report", "notes.html", "--force").exit_code == 0
    assert polylogit("compare", *models, "flowers.csv", "--report", "notes.html").exit_code == 0


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("one/model.safetensors", "flowers.csv"), 2, "two models or more and the data"),
        (("one/model.safetensors", "two/model.safetensors", "flowers.csv", "--report", "c.txt"), 2, "ending"),
        (("one/model.safetensors", "missing.safetensors", "flowers.csv"), 1, "missing.safetensors"),
        (("one/model.safetensors", "two/model.safetensors", "missing.csv"), 1, "missing.csv"),
    ],
)
def test_wrong_usage_is_one_message(polylogit, models, words, status, message):
    done = polylogit("compare", *words)
    assert done.exit_code == status
    assert message in done.stderr
    assert done.stderr.count("error:") == 1


def test_runs_that_are_not_there_are_named(polylogit):
    done = polylogit("compare", "runs/nope", "runs/nope2")
    assert done.exit_code == 2
    assert "runs/nope, runs/nope2: no such file or folder" in done.stderr
