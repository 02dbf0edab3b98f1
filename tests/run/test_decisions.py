"""Decisions by costs and class shares through whole runs."""

import json

import polars as pl
import pytest
import torch

from polylogit import Classifier
from polylogit.errors import ModelFileError, RecipeError
from polylogit.export import export_model
from polylogit.recipes import recipe_from_entries
from polylogit.run import evaluate, predict, train

COSTS = {"ill": {"ill": 0, "well": 10}, "well": {"ill": 1, "well": 0}}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """400 rows of two classes that overlap, a fifth of them ill."""
    draw = torch.Generator().manual_seed(0)
    path = tmp_path_factory.mktemp("decisions") / "t.csv"
    lines = ["x,y,kind"]
    for n in range(400):
        x = torch.randn(2, generator=draw) + (n % 5 == 0)
        lines.append(f"{x[0]:.3f},{x[1]:.3f},{'ill' if n % 5 == 0 else 'well'}")
    path.write_text("\n".join(lines) + "\n")
    return path


def trained(table, out, **decision):
    entries = {"data": {"target": "kind"}, "cross_validation": {"folds": 0}, "decision": decision}
    return train(str(table), recipe_from_entries(entries), out=out)


@pytest.fixture(scope="module")
def run(table, tmp_path_factory):
    return trained(table, tmp_path_factory.mktemp("run") / "m.safetensors", costs=COSTS)


@pytest.fixture(scope="module")
def plain(table, tmp_path_factory):
    return trained(table, tmp_path_factory.mktemp("run") / "m.safetensors")


def test_costs_change_the_class_and_leave_the_probabilities(run, plain, table):
    ours, theirs = predict(run.model_path, str(table)).frame, predict(plain.model_path, str(table)).frame
    assert ours.columns == ["class", "expected_cost", "probability_ill", "probability_well"]
    assert ours.drop("class", "expected_cost").equals(theirs.drop("class"))
    expected = ["ill" if 10 * p > 1 - p else "well" for p in ours["probability_ill"]]
    assert ours["class"].to_list() == expected != theirs["class"].to_list()


def test_every_way_to_predict_decides_the_same(run, table):
    loaded, frame = Classifier.load(run.model_path), predict(run.model_path, str(table)).frame
    assert loaded.decision == run.classifier.decision
    assert loaded.predict(table) == frame["class"].to_list()
    assert loaded.to_estimator().predict(table).tolist() == frame["class"].to_list()
    cells = [{"x": float(a), "y": float(b)} for a, b, _ in (r.split(",") for r in table.read_text().split()[1:40])]
    assert [row.class_name for row in loaded.predict_rows(cells)] == frame["class"].to_list()[:39]


def test_the_costs_of_the_call_replace_those_of_the_model(run, plain, table):
    given = predict(plain.model_path, str(table), costs=COSTS).frame
    assert given.equals(predict(run.model_path, str(table)).frame)
    prior = predict(plain.model_path, str(table), prior={"ill": 0.001, "well": 0.999})
    assert prior.frame["class"].to_list().count("ill") < given["class"].to_list().count("ill") / 4
    assert "the class shares where the model is used" in prior.notes[-1]


def test_rows_without_a_class_have_no_cost_and_are_not_counted(run, table):
    every, some = predict(run.model_path, str(table)), predict(run.model_path, str(table), abstain_below=0.8)
    without = some.frame["class"].is_null()
    assert 0 < without.sum() < len(without)
    assert some.frame["expected_cost"].is_null().equals(without.alias("expected_cost"))
    changed = every.frame.filter(~without).filter(
        (every.frame.filter(~without)["class"] == "ill") & (every.frame.filter(~without)["probability_ill"] < 0.5)
    )
    assert f"{changed.height} of {len(without) - without.sum()} rows with a class get another" in some.notes[-1]


def test_the_decisions_are_evaluated_and_reported(run, table, tmp_path):
    found = run.as_json()["decisions"]
    assert found["mean_cost"] < min(found["most_probable"], found["constant_cost"])
    for ending in ("html", "json", "md"):
        evaluate(run.model_path, str(table), report=tmp_path / f"r.{ending}")
    assert json.loads((tmp_path / "r.json").read_text())["decisions"] == found
    for ending in ("html", "md"):
        assert "gets the class of the least expected cost" in (tmp_path / f"r.{ending}").read_text()


def test_names_that_do_not_fit_are_an_error_before_the_fit(table, tmp_path):
    with pytest.raises(RecipeError, match=r'decision\.prior: there is no class "sick"'):
        trained(table, tmp_path / "m.safetensors", prior={"sick": 1, "well": 1})
    assert list(tmp_path.iterdir()) == []


def test_a_prior_needs_the_shares_of_the_training_rows(table, plain, tmp_path):
    entries = {"data": {"target": "kind"}, "training": {"class_weight": "balanced"}, "cross_validation": {"folds": 0}}
    entries["decision"] = {"prior": {"ill": 1, "well": 1}}
    with pytest.raises(RecipeError, match="balanced class weights"):
        train(str(table), recipe_from_entries(entries), out=tmp_path / "m.safetensors")
    classifier = plain.classifier
    assert classifier.trained_on.class_shares == [0.2, 0.8]
    assert classifier.with_decision(prior={"ill": 0.2, "well": 0.8}).predict(table) == classifier.predict(table)


def test_a_damaged_rule_is_refused(run, tmp_path):
    classifier = Classifier.load(run.model_path)
    object.__setattr__(classifier, "decision", classifier.decision.__class__(costs=((0.0, 1.0), (1.0,))))
    with pytest.raises(ValueError, match="expected 2 rows of 2 costs"):
        classifier.save(tmp_path / "m.safetensors")
    content = run.model_path.read_bytes()
    (tmp_path / "n.safetensors").write_bytes(content.replace(b"10.0]", b"11.0]", 1))
    with pytest.raises(ModelFileError, match="differs from the digest"):
        Classifier.load(tmp_path / "n.safetensors")


def test_an_export_keeps_the_rule(run, table, tmp_path):
    duckdb = pytest.importorskip("duckdb")
    export = export_model(run.model_path, "sql", tmp_path / "m.sql", table="patients")
    database = duckdb.connect()
    database.execute("CREATE TABLE patients AS SELECT * FROM read_csv(?)", [str(table)])
    classes = [row[0] for row in database.execute(export.path.read_text(encoding="utf-8")).fetchall()]
    classifier = Classifier.load(run.model_path)
    frame = pl.read_csv(table)
    assert classes == classifier.predict(frame)
    assert classes != classifier.with_decision().predict(frame)
