"""The report within a run: written beside the model, with the numbers of the run, for training and for new data."""

import json
import shlex

import polars as pl
import pytest
import torch

from polylogit.data.tables.sources import open_source
from polylogit.errors import RecipeError
from polylogit.recipes import recipe_from_entries
from polylogit.run import evaluate, predict, train
from polylogit.run.report_contents import column_importances


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo")
    recipe = recipe_from_entries({"calibration": {"method": "temperature"}})
    return train("zoo", recipe, out=folder / "model.safetensors", report=folder / "report.html")


def test_the_page_has_the_numbers_of_the_run(zoo):
    page, told = zoo.report_path.read_text(encoding="utf-8"), zoo.as_json()
    assert told["report_path"] == str(zoo.report_path)
    better, test = told["cross_validation"], told["test"]
    assert f'id="log-loss">{better["log_loss"]:.3f}<' in page
    assert f'id="calibration-error">{better["calibration_error"]:.3f}<' in page
    assert f"test set {test['log_loss']:.3f}" in page
    assert f"is off by {100 * test['calibration_error']:.1f} percentage points on average" in page
    assert f"<td>{told['temperature']:.4f}</td>" in page


@pytest.mark.parametrize("figure", ["reliability", "coverage", "importance", "coefficients", "curve-objective"])
def test_the_page_of_a_table_has_every_figure(zoo, figure):
    assert f'id="figure-{figure}"' in zoo.report_path.read_text(encoding="utf-8")


def test_the_recipe_on_the_page_is_the_whole_recipe(zoo):
    page = zoo.report_path.read_text(encoding="utf-8")
    for section, options in zoo.recipe.as_entries().items():
        for name in options if isinstance(options, dict) else [None]:
            assert f"<code>{section if name is None else f'{section}.{name}'}</code>" in page


def test_evaluate_writes_the_same_figures_for_the_same_rows(zoo, tmp_path):
    judged = evaluate(zoo.model_path, "zoo", report=tmp_path / "again.html")
    assert judged.test == zoo.test
    page = judged.report_path.read_text(encoding="utf-8")
    assert f'id="log-loss">{zoo.test.log_loss:.3f}<' in page
    assert "is the file that the model was trained on" in page


def test_no_report_is_written_where_none_is_asked_for(tmp_path, zoo):
    assert evaluate(zoo.model_path, "zoo").report_path is None


def test_a_column_that_is_not_used_has_no_importance(zoo):
    frame = open_source("zoo").frame
    classifier = zoo.classifier
    targets = frame["type"].to_list()
    indices = [classifier.class_names.index(name) for name in targets]
    importances = column_importances(classifier, frame, classifier.predict_logits(frame), torch.tensor(indices))
    assert [importance.column for importance in importances] == [c.name for c in classifier.preprocessing.columns]
    assert max(importance.mean for importance in importances) > 0.01


def test_abstaining_leaves_the_class_out_and_keeps_the_probabilities(zoo):
    everything = predict(zoo.model_path, "zoo").frame
    some = predict(zoo.model_path, "zoo", abstain_below=0.9)
    top = everything.select(pl.max_horizontal(pl.exclude("class"))).to_series()
    assert some.frame["class"].is_null().to_list() == (top < 0.9).to_list()
    assert some.frame.drop("class").equals(everything.drop("class"))
    kept = some.frame["class"].is_not_null()
    assert some.frame.filter(kept).equals(everything.filter(kept))
    assert any("rows answered" in note for note in some.notes)
    assert everything["class"].null_count() == 0


@pytest.mark.parametrize("threshold", [-0.1, 1.5])
def test_a_threshold_that_is_no_probability_is_refused(zoo, threshold):
    with pytest.raises(RecipeError, match="expected a probability"):
        predict(zoo.model_path, "zoo", abstain_below=threshold)


def test_the_command_line_writes_the_report_beside_the_model_or_where_it_is_asked_to(polylogit, tmp_path):
    told = json.loads(polylogit("train", "zoo", "--json").stdout)
    assert told["report_path"] == "runs/zoo-linear/report.html"
    page = (tmp_path / told["report_path"]).read_text(encoding="utf-8")
    assert f'id="log-loss">{told["test"]["log_loss"]:.3f}<' in page
    told = json.loads(polylogit("evaluate", told["model_path"], "zoo", "--report", "again.html", "--json").stdout)
    assert told["report_path"] == "again.html"
    assert f'id="log-loss">{told["test"]["log_loss"]:.3f}<' in (tmp_path / "again.html").read_text(encoding="utf-8")


def test_the_command_on_the_page_repeats_the_run(polylogit, tmp_path):
    first = json.loads(polylogit("train", "zoo", "--set", "training.C=3", "--json").stdout)
    page = (tmp_path / first["report_path"]).read_text(encoding="utf-8")
    command = shlex.split(page.split("<pre>")[1].split("</pre>")[0])
    assert command[0] == "polylogit"
    again = json.loads(polylogit(*command[1:], "--json").stdout)
    assert again["test"] == first["test"]


def test_abstaining_on_the_command_line(polylogit, zoo):
    done = polylogit("predict", zoo.model_path, "zoo", "--abstain-below", "0.9")
    empty = [line for line in done.stdout.splitlines()[1:] if line.startswith(",")]
    assert empty
    assert f"{101 - len(empty)} of 101 rows answered" in done.stderr
    assert polylogit("predict", zoo.model_path, "zoo", "--abstain-below", "9").exit_code == 2
