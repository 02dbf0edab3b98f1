"""The choice of the kind of model of a table."""

import json
import signal
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from polylogit import Classifier
from polylogit.errors import RecipeError
from polylogit.fitting.callbacks import TrainingCallback
from polylogit.fitting.loop import fit_network
from polylogit.recipes import recipe_from_entries
from polylogit.run import evaluate, train
from polylogit.run.reference_model import Reference
from polylogit.run.selection_bias import simplest_within_error
from polylogit.solver.softmax_regression import fit_softmax_regression

AUTO = {"model": {"kind": "auto"}, "data": {"target": "kind"}}


def table(path, score, rows=500):
    draw = np.random.default_rng(0)
    x, z = draw.uniform(-1, 1, rows), draw.normal(size=rows)
    kind = np.where(draw.random(rows) < 1 / (1 + np.exp(-score(x, z))), "yes", "no")
    pl.DataFrame({"x": x, "z": z, "kind": kind, "herd": np.arange(rows) // 5}).write_csv(path)
    return path


@pytest.mark.parametrize(
    ("score", "kind"),
    [(lambda x, z: 3 * x + z, "linear"), (lambda x, z: 12 * (np.abs(x) - 0.5) + 0 * z, "additive")],
    ids=["a line", "a curve"],
)
def test_the_simplest_that_suffices_is_chosen(tmp_path, score, kind):
    path = table(tmp_path / "t.csv", score)
    entries = AUTO | {"model": {"kind": "auto", "candidates": ["linear", "additive"]}}
    run = train(str(path), recipe_from_entries(entries), out=tmp_path / "m.safetensors")
    assert run.selection.kind == run.recipe.model.kind == run.classifier.model_kind == kind
    assert [each.kind for each in run.selection.contestants] == ["linear", "additive"]
    assert run.as_json()["selection"]["candidates"][0]["kind"] == "linear"
    alone = train(str(path), recipe_from_entries(AUTO | {"model": {"kind": kind}}), out=tmp_path / "alone.safetensors")
    assert alone.test.log_loss == run.test.log_loss
    loaded = Classifier.load(run.model_path)
    assert loaded.recipe["model"]["kind"] == kind
    assert evaluate(run.model_path, str(path)).test.log_loss == run.test.log_loss


def test_all_candidates_from_the_command_line(tmp_path, polylogit):
    table(tmp_path / "t.csv", lambda x, z: 6 * np.sign(x) * np.sign(z), rows=200)
    words = ("train", "t.csv", "--target", "kind", "--drop", "herd", "--model", "auto", "--out", "m.safetensors")
    found = json.loads(polylogit(*words, "--json").stdout.splitlines()[-1])["selection"]
    assert found["kind"] == "mlp"
    shown = polylogit(*words, "--force").output
    for candidate in found["candidates"]:  # the same seed, and so the same choice
        assert f"{candidate['log_loss']:.4f}" in shown
    assert "the test rows had no part in the choice" in " ".join(shown.split())


def test_the_report_shows_the_choices(tmp_path):
    path = table(tmp_path / "t.csv", lambda x, z: 3 * x + z)
    entries = AUTO | {"model": {"kind": "auto", "candidates": ["linear", "additive"]}}
    train(str(path), recipe_from_entries(entries), out=tmp_path / "m.safetensors", report=tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert 'id="figure-comparison"' in page
    assert "additive" in page
    assert 'id="figure-penalty"' not in page  # here C is tried at one value only
    train(str(path), recipe_from_entries(entries), out=tmp_path / "m.safetensors", report=tmp_path / "r.json")
    written = json.loads((tmp_path / "r.json").read_text())
    assert written["selection"]["kind"] == written["model"]
    assert written["penalty"]["C"] == 1


def test_a_candidate_that_is_too_dear_is_left_out_and_named(tmp_path, monkeypatch):
    path = table(tmp_path / "t.csv", lambda x, z: 3 * x, rows=200)
    monkeypatch.setattr("polylogit.run.model_selection.MOST_PRODUCTS", 2 * 50 * 2000)
    run = train(str(path), recipe_from_entries(AUTO), out=tmp_path / "m.safetensors")
    assert [each.kind for each in run.selection.contestants] == ["linear", "additive"]  # these need no 2,000 rows
    assert set(run.selection.left_out) == {"mlp"}
    assert "mlp was left out: the columns have too many features" in run.selection.in_words
    assert set(run.as_json()["selection"]["left_out"]) == {"mlp"}
    monkeypatch.setattr("polylogit.run.model_selection.MOST_PRODUCTS", 1)
    alone = train(str(path), recipe_from_entries(AUTO), out=tmp_path / "m.safetensors").selection
    assert alone.kind == "linear"
    assert alone.in_words.startswith("linear: the only kind of model that was compared")


def test_additive_is_linear_where_there_are_no_numbers(tmp_path):
    frame = pl.DataFrame({"place": ["north", "south", "east"] * 30, "kind": ["a", "b", "a"] * 30})
    frame.write_csv(tmp_path / "t.csv")
    entries = AUTO | {"model": {"kind": "auto", "candidates": ["linear", "additive"]}}
    run = train(str(tmp_path / "t.csv"), recipe_from_entries(entries), out=tmp_path / "m.safetensors")
    assert run.selection.left_out == {"additive": "without a column of numbers or dates it is the linear model"}


def test_fewer_rows_are_compared_where_they_are_dear(tmp_path, monkeypatch):
    path = table(tmp_path / "t.csv", lambda x, z: 3 * x, rows=400)
    monkeypatch.setattr("polylogit.run.model_selection.LEAST_ROWS", 50)
    monkeypatch.setattr("polylogit.run.model_selection.MOST_PRODUCTS", 3 * 2 * 100)
    entries = AUTO | {"model": {"kind": "auto", "candidates": ["linear"]}}
    run = train(str(path), recipe_from_entries(entries), out=tmp_path / "m.safetensors")
    assert run.selection.rows == 100
    assert run.classifier.trained_on.rows_train == 320


def test_the_advantage_of_the_choice_is_stated(tmp_path):
    path = table(tmp_path / "t.csv", lambda x, z: 0 * x, rows=150)
    entries = AUTO | {"model": {"kind": "auto", "candidates": ["linear", "additive"]}}
    first = train(str(path), recipe_from_entries(entries), out=tmp_path / "m.safetensors").selection
    again = train(str(path), recipe_from_entries(entries), out=tmp_path / "m.safetensors").selection
    assert first.log_loss_without_choice == again.log_loss_without_choice
    assert abs(first.log_loss_without_choice - min(each.log_loss for each in first.contestants)) < 0.1
    assert f"{first.log_loss_without_choice:.4f} without the advantage" in first.in_words


def chessboard(path):
    """Classes by the signs of a product, which no sum of functions of one column gives."""
    return table(path, lambda x, z: 12 * np.sign(x) * np.sign(z), rows=400)


def with_reference(*candidates, **sections):
    return recipe_from_entries(
        AUTO | {"model": {"kind": "auto", "candidates": [*candidates]}, "auto": {"reference": True}} | sections
    )


def test_boosted_trees_far_ahead_are_reported_and_change_nothing(tmp_path):
    path = chessboard(tmp_path / "t.csv")
    report = tmp_path / "r.json"
    run = train(str(path), with_reference("linear", "additive"), out=tmp_path / "m.safetensors", report=report)
    found = run.selection.reference
    assert found.far_ahead
    assert found.lead > 0.3
    chosen = next(each for each in run.selection.contestants if each.kind == run.selection.kind)
    assert found.log_loss + found.lead == pytest.approx(chosen.log_loss)
    assert f"{found.lead:.4f} below that of the chosen kind" in run.selection.in_words
    assert "PL050" in [each.code for each in run.conclusions]
    written = json.loads(report.read_text())
    assert written["selection"]["reference"]["far_ahead"] is True
    assert "PL050" in [each["code"] for each in written["conclusions"]]
    entries = AUTO | {"model": {"kind": "auto", "candidates": ["linear", "additive"]}}
    without = train(str(path), recipe_from_entries(entries), out=tmp_path / "without.safetensors")
    assert without.selection.reference is None
    assert without.test.log_loss == run.test.log_loss
    assert "PL050" not in [each.code for each in without.conclusions]


def test_boosted_trees_that_are_not_far_ahead_are_no_conclusion(tmp_path):
    path = table(tmp_path / "t.csv", lambda x, z: 3 * x + z)
    run = train(str(path), with_reference("linear"), out=tmp_path / "m.safetensors")
    assert run.selection.reference.lead < 0
    assert "above that of the chosen kind" in run.selection.in_words
    assert "PL050" not in [each.code for each in run.conclusions]


@pytest.mark.parametrize(
    ("log_loss", "lead", "error", "far"),
    [(0.5, 0.1, 0.05, True), (0.5, 0.1, 0.11, False), (0.5, 0.05, 0.01, False), (0.5, -0.2, 0.01, False)],
)
def test_far_ahead_is_beyond_the_error_and_a_tenth_of_the_log_loss(log_loss, lead, error, far):
    assert Reference(log_loss, 0.8, lead, error, 1.0).far_ahead is far


def test_trees_take_all_columns_but_text(tmp_path):
    draw = np.random.default_rng(0)
    rows = 240
    colour = draw.choice(["red", "green", "blue"], rows)
    kind = np.where(draw.random(rows) < np.where(colour == "red", 0.95, 0.05), "yes", "no")
    frame = pl.DataFrame(
        {"colour": colour, "kind": kind, "note": [f"one of the rows, number {n}" for n in range(rows)]}
    )
    frame = frame.with_columns(
        day=pl.date(2026, 1, 1) + pl.duration(days=pl.int_range(rows)),
        wet=pl.int_range(rows) % 3 == 0,
        gap=pl.when(pl.int_range(rows) % 2 == 0).then(pl.lit(None)).otherwise(pl.int_range(rows) / 3),
    )
    frame.write_parquet(tmp_path / "t.parquet")
    run = train(str(tmp_path / "t.parquet"), with_reference("linear"), out=tmp_path / "m.safetensors")
    assert {column.type for column in run.classifier.preprocessing.columns} == {
        *("category", "text", "date", "boolean", "number")
    }
    assert run.selection.reference.log_loss < 0.4
    frame.select("note", "kind").write_parquet(tmp_path / "text.parquet")
    run = train(str(tmp_path / "text.parquet"), with_reference("linear"), out=tmp_path / "m.safetensors")
    assert run.selection.reference is None
    assert "HistGradientBoosting was left out: it takes no text" in run.selection.in_words


def test_groups_stay_together(tmp_path, monkeypatch):
    path = table(tmp_path / "t.csv", lambda x, z: 3 * x)
    seen = []

    def spy(task, recipe, **options):
        seen.append(task.rows.groups)
        return fold_scores(task, recipe, **options)

    from polylogit.run.fold_scores import fold_scores

    monkeypatch.setattr("polylogit.run.model_selection.fold_scores", spy)
    entries = {"model": {"kind": "auto", "candidates": ["linear"]}, "data": {"target": "kind", "group": "herd"}}
    run = train(str(path), recipe_from_entries(entries), out=tmp_path / "m.safetensors")
    assert seen[0] is not None
    assert run.selection.rows == run.classifier.trained_on.rows_train


@pytest.mark.parametrize(("gain", "chosen"), [(9e-5, 0), (2e-4, 1)])
def test_a_negligible_gain_is_none_however_sure(gain, chosen):
    simple = torch.linspace(0.1, 1, 50)
    assert simplest_within_error(torch.stack([simple, simple - gain]), torch.ones(50)) == chosen


def test_the_number_of_folds_is_that_of_the_fits(tmp_path):
    pl.DataFrame({"x": [1, 1, 2, 2, 3, 3], "kind": ["a", "a", "b", "b", "c", "c"]}).write_csv(tmp_path / "t.csv")
    entries = AUTO | {"model": {"kind": "auto", "candidates": ["linear"]}}
    found = train(str(tmp_path / "t.csv"), recipe_from_entries(entries), out=tmp_path / "m.safetensors").selection
    assert found.rows == found.folds == 4  # the fifth training row is the only one of its class
    assert "in 4 folds of 4 training rows" in found.in_words


def test_a_table_without_folds_is_named(tmp_path):
    frame = pl.DataFrame({"x": range(8), "part": ["train"] * 4 + ["test"] * 4, "kind": ["a", "b", "c", "d"] * 2})
    frame.write_csv(tmp_path / "t.csv")
    recipe = recipe_from_entries({"model": {"kind": "auto"}, "data": {"target": "kind", "split": "part"}})
    run = train(str(tmp_path / "t.csv"), recipe, out=tmp_path / "m.safetensors")
    assert run.selection is None
    assert any("no class has two training rows to fold; the model is linear" in note for note in run.notes)


def test_pictures_are_refused(tmp_path):
    with pytest.raises(RecipeError, match="auto compares models of a table"):
        train("mnist", recipe_from_entries({"model": {"kind": "auto"}}), out=tmp_path / "m.safetensors")
    with pytest.raises(RecipeError, match=r"model\.candidates"):
        recipe_from_entries({"model": {"kind": "auto", "candidates": []}})


class _CtrlC(TrainingCallback):
    """Presses Ctrl-C as late as can be, when all epochs are done."""

    def ended(self, result):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_ctrl_c_in_a_comparison_ends_the_run(tmp_path, monkeypatch, kind):
    def cut_network(*arguments, callbacks, **options):
        return fit_network(*arguments, callbacks=(*callbacks, _CtrlC()), **options)

    def cut_fit(*arguments, **options):
        return replace(fit_softmax_regression(*arguments, **options), interrupted=True)

    monkeypatch.setattr("polylogit.run.network_fit.fit_network", cut_network)
    monkeypatch.setattr("polylogit.run.linear_fit.fit_softmax_regression", cut_fit)
    path = table(tmp_path / "t.csv", lambda x, z: 3 * x + z, rows=60)
    entries = AUTO | {"model": {"kind": "auto", "candidates": [kind]}}
    with pytest.raises(KeyboardInterrupt):
        train(str(path), recipe_from_entries(entries), out=tmp_path / "m.safetensors")
    assert not (tmp_path / "m.safetensors").exists()
