"""Prediction sets through whole runs: which rows are behind them, and the files that they are written to."""

import csv
import json

import polars as pl
import pytest
import torch

from polylogit import Classifier
from polylogit.data.split import Split
from polylogit.errors import ModelFileError, RecipeError
from polylogit.recipes import recipe_from_entries
from polylogit.run import evaluate, predict, train
from polylogit.run.conformal_rows import without_conformal_rows


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """500 rows of three classes that overlap, one of which is named =c."""
    draw = torch.Generator().manual_seed(0)
    logits = 1.5 * torch.randn(500, 3, generator=draw)
    targets = torch.multinomial(logits.softmax(1), 1, generator=draw)[:, 0].tolist()
    lines = [",".join([*(f"{x:.3f}" for x in row), str(n % 50), ("a", "b", "=c")[k]])
             for n, (row, k) in enumerate(zip(logits.tolist(), targets, strict=True))]  # fmt: skip
    path = tmp_path_factory.mktemp("sets") / "t.csv"
    path.write_text("\n".join(["x,y,z,group,kind", *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def run(table, tmp_path_factory):
    entries = {"data": {"target": "kind", "drop": ["group"]}, "prediction_sets": {"held_out_fraction": 0.25}}
    entries["cross_validation"] = {"folds": 0}
    out = tmp_path_factory.mktemp("run") / "model.safetensors"
    return train(str(table), recipe_from_entries(entries), out=out)


def test_the_held_out_rows_are_neither_trained_nor_tested_on(run):
    trained_on, scores = run.classifier.trained_on, Classifier.load(run.model_path).conformal
    assert scores.source == "held-out"
    assert (trained_on.rows_train, trained_on.rows_test, sum(scores.rows)) == (300, 100, 100)


def test_every_file_has_the_same_sets(run, table, tmp_path):
    frame = predict(run.model_path, str(table), coverage=0.9).frame
    sets = frame["prediction_set"].to_list()
    assert frame.columns[:3] == ["class", "prediction_set", "probability_=c"]
    assert all(name in found for name, found in zip(frame["class"], sets, strict=True))
    assert 1.2 < sum(map(len, sets)) / len(sets) < 3
    assert [list(found) for found in run.classifier.prediction_sets(table)] == sets
    for ending in ("csv", "jsonl", "parquet"):
        predict(run.model_path, str(table), tmp_path / f"p.{ending}", coverage=0.9)
    with (tmp_path / "p.csv").open(newline="") as file:
        assert [line["prediction_set"].split("|") for line in csv.DictReader(file)] == sets
    lines = (tmp_path / "p.jsonl").read_text().splitlines()
    assert [json.loads(line)["prediction_set"] for line in lines] == sets
    assert pl.read_parquet(tmp_path / "p.parquet")["prediction_set"].to_list() == sets


def test_formulas_are_escaped_in_sets_too(run, table, tmp_path):
    predict(run.model_path, str(table), tmp_path / "p.csv", coverage=0.99, escape_formulas=True)
    cells = pl.read_csv(tmp_path / "p.csv")["prediction_set"]
    assert cells.str.starts_with("'=c").any()
    assert not cells.str.starts_with("=").any()


def test_a_set_is_given_where_the_classifier_abstains(run, table):
    frame = predict(run.model_path, str(table), coverage=0.9, abstain_below=0.8).frame
    unanswered = frame.filter(pl.col("class").is_null())
    assert 0 < unanswered.height < frame.height
    assert unanswered["prediction_set"].list.len().min() >= 1


def test_the_statement_and_the_classes_with_too_few_rows_are_reported(run, table):
    found = predict(run.model_path, str(table), coverage=0.9)
    assert "In 100 rows like the 100 held-out rows, at least 90 sets contain the true class on average." in found.notes
    assert any("classes on average" in note for note in found.notes)
    by_class = predict(run.model_path, str(table), coverage=0.985, by_class=True)
    assert "3 of 3 classes were held out for a coverage of 0.985" in by_class.warnings[0]


def test_a_separator_in_a_class_name_is_refused_for_csv_only(table, tmp_path):
    text = table.read_text().replace(",a\n", ",a|b\n")
    (tmp_path / "t.csv").write_text(text)
    recipe = recipe_from_entries({"data": {"target": "kind"}, "cross_validation": {"folds": 0}})
    run = train(str(tmp_path / "t.csv"), recipe, out=tmp_path / "m.safetensors")
    with pytest.raises(RecipeError, match=r'the class "a\|b" contains "\|"'):
        predict(run.model_path, str(table), tmp_path / "p.csv", coverage=0.9)
    with pytest.raises(RecipeError, match=r'the class "a\|b" contains "\|"'):
        predict(run.model_path, str(table), coverage=0.9).as_csv()
    predict(run.model_path, str(table), tmp_path / "p.jsonl", coverage=0.9)
    assert '"a|b"' in (tmp_path / "p.jsonl").read_text()


def test_without_scores_the_message_says_what_to_do(table, tmp_path):
    entries = {"data": {"target": "kind"}, "calibration": {"method": "none"}, "cross_validation": {"folds": 0}}
    run = train(str(table), recipe_from_entries(entries), out=tmp_path / "m.safetensors")
    with pytest.raises(ModelFileError, match="no scores of held-out rows"):
        predict(run.model_path, str(table), coverage=0.9)


def test_a_network_has_the_scores_of_its_validation_rows(table, tmp_path):
    entries = {"model": {"kind": "mlp", "hidden": [8]}, "training": {"epochs": 2}, "data": {"target": "kind"}}
    run = train(str(table), recipe_from_entries(entries), out=tmp_path / "m.safetensors")
    scores = Classifier.load(run.model_path).conformal
    assert (scores.source, sum(scores.rows)) == ("validation", 80)


def test_whole_groups_are_held_out(table, tmp_path):
    entries = {"data": {"target": "kind", "group": "group"}, "prediction_sets": {"held_out_fraction": 0.2}}
    entries["cross_validation"] = {"folds": 0}
    run = train(str(table), recipe_from_entries(entries), out=tmp_path / "m.safetensors")
    scores = run.classifier.conformal
    assert scores.grouped
    assert sum(scores.rows) % 10 == 0


def test_the_last_row_of_a_class_stays_in_training():
    targets = torch.tensor([0] * 10 + [1])
    split = Split(train=torch.arange(11), test=torch.arange(0))
    for seed in range(8):
        recipe = recipe_from_entries({"seed": seed, "prediction_sets": {"held_out_fraction": 0.6}})
        kept, taken = without_conformal_rows(split, targets, recipe)
        assert 10 in kept.train.tolist()
        assert sorted(kept.train.tolist() + taken.tolist()) == list(range(11))
    recipe = recipe_from_entries({"prediction_sets": {"held_out_fraction": 0.01}})
    with pytest.raises(RecipeError, match=r"0\.01 of 11 training rows is no row"):
        without_conformal_rows(split, targets, recipe)


def test_a_damaged_entry_names_the_file(run, tmp_path):
    classifier = Classifier.load(run.model_path)
    damaged = classifier.conformal.__class__(classifier.conformal.losses[:5], classifier.conformal.rows)
    object.__setattr__(classifier, "conformal", damaged)
    classifier.save(tmp_path / "m.safetensors")
    with pytest.raises(ModelFileError, match=r"m\.safetensors: prediction_sets\.scores: expected 100 values"):
        Classifier.load(tmp_path / "m.safetensors")


def test_the_report_has_coverage_and_size_on_the_test_rows(run, table, tmp_path):
    found = run.as_json()["prediction_sets"]
    assert [each["coverage"] for each in found["coverages"]] == [0.8, 0.9, 0.95, 0.99]
    assert found["at_least"] < 0.9 < found["coverages"][1]["covered"] + 0.1
    pages = {ending: tmp_path / f"r.{ending}" for ending in ("html", "json", "md")}
    for page in pages.values():
        assert evaluate(run.model_path, str(table), report=page).sets == run.sets
    assert json.loads(pages["json"].read_text())["prediction_sets"] == found
    html = pages["html"].read_text()
    for text in (html, pages["md"].read_text()):
        assert "In 100 rows like the 100 held-out rows, at least 90 sets" in text
    assert html.count("observed at 90%") == 1
    sets = run.classifier.prediction_set_rule(0.9).sets(torch.zeros(1, 3), run.classifier.class_names)
    assert len(sets[0]) == 3
    sizes = predict(run.model_path, str(table), coverage=0.9).frame["prediction_set"].list.len()
    assert abs(sizes.mean() - found["coverages"][1]["mean_size"]) < 0.3
