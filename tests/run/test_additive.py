"""Additive models, from the command to predictions."""

import json

import numpy as np
import polars as pl
import pytest

from polylogit import Classifier
from polylogit.data.tables import fitted_columns
from polylogit.errors import RecipeError
from polylogit.recipes import recipe_from_entries
from polylogit.run import evaluate, train

ADDITIVE = {"model": {"kind": "additive"}, "data": {"target": "kind"}, "cross_validation": {"folds": 0}}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The class depends on the size of a number, not on its sign, and a little on a category."""
    draw = np.random.default_rng(0)
    x, skin = draw.uniform(-1, 1, 600), draw.choice(["fur", "scales"], 600)
    score = 12 * (np.abs(x) - 0.5) + 1.5 * (skin == "fur")
    kind = np.where(draw.random(600) < 1 / (1 + np.exp(-score)), "outer", "inner")
    path = tmp_path_factory.mktemp("additive") / "t.csv"
    gaps = pl.Series("x", x).scatter(range(0, 600, 29), None)
    pl.DataFrame({"x": gaps, "skin": skin, "noise": draw.normal(size=600), "kind": kind}).write_csv(path)
    return path


@pytest.fixture(scope="module")
def trained(table):
    return train(str(table), recipe_from_entries(ADDITIVE), out=table.with_name("m.safetensors"))


def test_it_learns_what_a_linear_model_cannot(table, trained):
    linear = ADDITIVE | {"model": {"kind": "linear"}}
    other = train(str(table), recipe_from_entries(linear), out=table.with_name("linear.safetensors"))
    assert trained.test.log_loss < 0.7 * other.test.log_loss


def test_the_saved_model_answers_the_same_in_every_way(table, trained):
    classifier = Classifier.load(trained.model_path)
    frame = pl.read_csv(table).drop("kind").head(40)
    frame = pl.concat([frame, frame[:2].with_columns(x=pl.Series([1e90, -1e90]))])
    whole = classifier.predict_probabilities(frame)
    rows = classifier.predict_rows(frame.to_dicts())
    single = [list(row.probabilities.values()) for row in rows]
    np.testing.assert_allclose(single, whole.numpy(), rtol=0, atol=1e-6)
    assert classifier.model_kind == "additive"
    assert classifier.schema.network == "additive"
    assert evaluate(trained.model_path, str(table)).test.log_loss == pytest.approx(trained.test.log_loss)


def test_outside_of_the_training_range_the_answer_is_that_of_its_end(trained):
    classifier = Classifier.load(trained.model_path)
    column = classifier.preprocessing.columns[0]
    rows = [{"x": x, "skin": "fur", "noise": 0.0} for x in (column.bin_edges[-1], 2.0, 1e50)]
    assert len({row.probabilities["outer"] for row in classifier.predict_rows(rows)}) == 1


def test_folds_are_scored_by_additive_models(table):
    entries = ADDITIVE | {"cross_validation": {"folds": 3, "repeats": 1}}
    run = train(str(table), recipe_from_entries(entries), out=table.with_name("folds.safetensors"))
    assert run.cross_validation.summary.log_loss == pytest.approx(run.test.log_loss, abs=0.1)


def test_pictures_are_refused(tmp_path):
    with pytest.raises(RecipeError, match="an additive model takes a table, and these are pictures"):
        train("mnist", recipe_from_entries({"model": {"kind": "additive"}}), out=tmp_path / "m.safetensors")


def test_fewer_bins_are_reported(table, tmp_path, monkeypatch):
    monkeypatch.setattr(fitted_columns, "MOST_FEATURE_CELLS", 480 * 10)
    run = train(str(table), recipe_from_entries(ADDITIVE), out=tmp_path / "m.safetensors")
    (note,) = (finding for finding in run.audit.findings if finding.code == "fewer-bins")
    assert note.message.startswith("numbers have at most 2 bins in place of 16")
    assert [len(column.ramps) for column in run.classifier.preprocessing.columns] == [2, 0, 2]


def test_odd_columns(tmp_path):
    """Constant, two values, one row of a class, huge and far numbers, and gaps in most rows."""
    draw = np.random.default_rng(1)
    x = draw.normal(size=90)
    frame = pl.DataFrame(
        {
            "same": [7] * 90,
            "two": (x > 0).astype(int),
            "huge": x * 1e99,
            "far": np.where(np.arange(90) == 5, 1e60, x),
            "sparse": pl.Series(x).scatter(range(4, 90), None),
            "kind": ["rare", *np.where(x[1:] > 0.1, "up", "down")],
        }
    )
    frame.write_csv(tmp_path / "odd.csv")
    run = train(str(tmp_path / "odd.csv"), recipe_from_entries(ADDITIVE), out=tmp_path / "m.safetensors")
    answers = Classifier.load(run.model_path).predict_probabilities(frame.drop("kind"))
    assert answers.isfinite().all()
    assert run.train.accuracy > 0.9


def test_the_recipe_in_the_file_is_that_of_an_additive_model(trained):
    header = json.loads(json.dumps(Classifier.load(trained.model_path).recipe))
    assert header["model"] == {"kind": "additive", "bins": 16}
