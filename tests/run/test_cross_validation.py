from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from polylogit.errors import RecipeError
from polylogit.recipes.recipe import recipe_from_entries
from polylogit.run import fold_scores, train
from polylogit.run.cross_validation import cross_validate, cross_validation_summary, folds_wanted
from polylogit.run.table_task import table_task


@pytest.fixture
def flowers(tmp_path):
    """Three classes of 40 rows that overlap, in groups of four rows."""
    draw = np.random.default_rng(0)
    classes = np.repeat([0, 1, 2], 40)
    values = draw.normal(size=(120, 3)) + classes[:, None] * [1.2, 0.5, 0.0]
    frame = pl.DataFrame(values, schema=["a", "b", "c"]).with_columns(
        pl.Series("kind", np.array(["x", "y", "z"])[classes]), pl.Series("plant", np.arange(120) // 4)
    )
    frame.write_csv(tmp_path / "flowers.csv")
    return str(tmp_path / "flowers.csv")


def task_of(path, **sections):
    sections.setdefault("data", {}).setdefault("target", "kind")
    recipe, task = table_task(path, recipe_from_entries(sections))
    return task, recipe


@pytest.mark.cross_validated
def test_a_small_table_is_cross_validated_as_scikit_learn_does(flowers):
    task, recipe = task_of(flowers, data={"drop": ["plant"]})
    found = cross_validate(task, recipe)
    assert (found.folds, found.repeats, found.rows) == (5, 5, 120)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0))
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=5, random_state=0)
    theirs = cross_val_score(model, task.cells.to_numpy(), task.rows.targets.numpy(), cv=folds)
    assert found.summary.accuracy == pytest.approx(theirs.mean(), abs=0.02)
    assert found.lowest_accuracy <= found.summary.accuracy <= found.highest_accuracy
    assert found.lowest_log_loss <= found.summary.log_loss <= found.highest_log_loss


def test_the_same_seed_gives_the_same_folds(flowers):
    task, recipe = task_of(flowers, cross_validation={"folds": 2, "repeats": 1})
    assert cross_validate(task, recipe) == cross_validate(task, recipe)


@pytest.mark.cross_validated
@pytest.mark.parametrize("sections", [{"data": {"split": "part"}}, {"model": {"kind": "mlp"}}])
def test_nothing_is_cross_validated_where_rows_are_given_or_a_network_is_asked_for(flowers, sections):
    part = pl.Series("part", ["train", "train", "test"] * 40)
    pl.read_csv(flowers).with_columns(part).write_csv(flowers)
    task, recipe = task_of(flowers, **sections)
    assert folds_wanted(task, recipe) == 0


def test_labels_that_say_nothing_are_not_learned(flowers):
    frame = pl.read_csv(flowers)
    frame.with_columns(frame["kind"].shuffle(seed=1)).write_csv(flowers)
    task, recipe = task_of(flowers, cross_validation={"folds": 5, "repeats": 4})
    low, high = cross_validate(task, recipe).summary.accuracy_interval
    assert low < 1 / 3 < high


def test_no_group_stands_on_both_sides_of_a_fold(flowers, monkeypatch):
    task, recipe = task_of(flowers, data={"group": "plant"}, cross_validation={"folds": 3, "repeats": 2})
    shared = []
    out_of_fold_logits = fold_scores.linear_logits_held_out

    def watched(*args, fitted, scored, **options):
        assert len(fitted) + len(scored) == len(task.rows.groups)
        shared.append(set(task.rows.groups[fitted].tolist()) & set(task.rows.groups[scored].tolist()))
        return out_of_fold_logits(*args, fitted=fitted, scored=scored, **options)

    monkeypatch.setattr(fold_scores, "linear_logits_held_out", watched)
    cross_validate(task, recipe)
    assert shared == [set()] * 6


def test_the_only_row_of_a_class_is_never_held_out(flowers):
    frame = pl.read_csv(flowers)
    rare = frame.head(1).with_columns(kind=pl.lit("rare"))
    pl.concat([frame, rare]).write_csv(flowers)
    task, recipe = task_of(flowers, cross_validation={"folds": 2, "repeats": 1})
    assert cross_validate(task, recipe).rows == 120


def test_rows_of_classes_left_out_are_in_no_fold(flowers):
    sections = {"data": {"classes": ["z", "x"]}, "cross_validation": {"folds": 4, "repeats": 2}}
    task, recipe = task_of(flowers, **sections)
    alone = pl.read_csv(flowers).filter(pl.col("kind") != "y")
    alone.write_csv(flowers)
    there, same = task_of(flowers, **sections)
    found, expected = cross_validate(task, recipe), cross_validate(there, same)
    assert found.rows == expected.rows == 80
    assert found.summary.log_loss == pytest.approx(expected.summary.log_loss, rel=1e-6)


@pytest.mark.parametrize("values", ["raw", "standardised"])
def test_the_folds_encode_as_the_recipe_says(flowers, values):
    sections = {"data": {"number_values": values}, "cross_validation": {"folds": 4, "repeats": 1}}
    before = cross_validate(*task_of(flowers, **sections)).summary.log_loss
    pl.read_csv(flowers).with_columns(pl.col("a") * 1024).write_csv(flowers)
    after = cross_validate(*task_of(flowers, **sections)).summary.log_loss
    assert (after == pytest.approx(before, rel=1e-4)) == (values == "standardised")


def test_the_summary_prefers_itself_to_few_test_rows_only(flowers):
    found = cross_validate(*task_of(flowers, cross_validation={"folds": 2, "repeats": 1}))
    assert "Prefer these estimates to those of the 24 test rows" in cross_validation_summary(found, 24)
    assert "Prefer" not in cross_validation_summary(found, 0)
    few = cross_validation_summary(replace(found, rows=3), 1)
    assert "Prefer" not in few
    assert "So few rows say little" in few


def test_networks_are_cross_validated_where_the_recipe_asks(flowers):
    sections = {"model": {"kind": "mlp"}, "training": {"epochs": 5}, "cross_validation": {"folds": 2, "repeats": 1}}
    task, recipe = task_of(flowers, **sections)
    assert cross_validate(task, recipe).name == "1 x 2-fold cross-validation"


@pytest.mark.parametrize("folds", [0, 1, 121])
def test_folds_that_cannot_be(flowers, folds):
    if folds == 1:
        with pytest.raises(RecipeError, match="at least 2 folds"):
            task_of(flowers, cross_validation={"folds": folds})
        return
    task, recipe = task_of(flowers, cross_validation={"folds": folds})
    if folds == 0:
        assert cross_validate(task, recipe) is None
        return
    with pytest.raises(RecipeError, match="120 rows only"):
        cross_validate(task, recipe)


def test_folds_beside_given_rows_are_refused(flowers):
    task, recipe = task_of(flowers, data={"time": "plant"}, cross_validation={"folds": 5})
    with pytest.raises(RecipeError, match="names the test rows"):
        cross_validate(task, recipe)


@pytest.mark.cross_validated
def test_terminal_json_and_report_agree(polylogit, flowers):
    words = ("train", flowers, "--target", "kind", "--out", "m.safetensors", "--set", "cross_validation.repeats=2")
    shown = polylogit(*words).stdout
    run = train(flowers, recipe_from_entries({"data": {"target": "kind"}, "cross_validation": {"repeats": 2}}))
    told = run.as_json()["cross_validation"]
    assert told["method"] == "2 x 5-fold cross-validation"
    words = f"{told['method']} on 120 rows: accuracy {told['accuracy']:.1%}"
    assert words in " ".join(shown.split())
    assert f'id="foremost">{words}' in Path("m.report.html").read_text(encoding="utf-8")
