"""Models are compared on the rows that none of them was trained on, whatever the order of their classes."""

import json

import numpy as np
import polars as pl
import pytest
from PIL import Image

from polylogit.errors import DataError, RecipeError
from polylogit.recipes import recipe_from_entries
from polylogit.run import compare, compare_folds, evaluate, train

LABELS = np.array(["x", "y", "z"])


def flowers(seed, rows=120, names=LABELS):
    draw = np.random.default_rng(seed)
    classes = np.arange(rows) % 3
    values = draw.normal(size=(rows, 3)) + 2 * np.eye(3)[classes]
    return pl.DataFrame(values, schema=["a", "b", "c"]).with_columns(
        kind=pl.Series(names[classes]), plant=pl.Series(np.arange(rows) // 6)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two tables, and models of the first: all columns, one column, another split."""
    folder = tmp_path_factory.mktemp("flowers")
    flowers(0).write_csv(folder / "flowers.csv")
    flowers(1).write_csv(folder / "new.csv")
    for name, sections in {
        "all": {},
        "one": {"data": {"drop": ["plant", "b", "c"]}},
        "split": {"seed": 1},
        "ordered": {"data": {"drop": ["plant"], "classes": ["z", "y", "x"]}},
        "grouped": {"data": {"group": "plant"}},
        "weighted": {"data": {"weight": "a2"}},
    }.items():
        data = {"target": "kind", "drop": ["plant"], **sections.pop("data", {})}
        if name == "grouped":
            data["drop"] = []
        if name == "weighted":
            flowers(0).with_columns(a2=pl.col("a").abs() + 0.1).write_csv(folder / "weights.csv")
        recipe = recipe_from_entries({"calibration": {"method": "none"}, "data": data, **sections})
        table = "weights.csv" if name == "weighted" else "flowers.csv"
        train(str(folder / table), recipe, out=folder / f"{name}.safetensors")
    return folder


def compared(folder, *names, data="new.csv"):
    return compare([folder / f"{name}.safetensors" for name in names], str(folder / data))


def test_new_rows_are_all_compared(folder):
    found = compared(folder, "all", "one")
    assert (found.units, found.unit) == (120, "row")
    test = evaluate(folder / "one.safetensors", str(folder / "new.csv")).test
    assert found.models[1].metrics["log_loss"] == pytest.approx(test.log_loss)
    assert found.models[1].metrics["accuracy"] == pytest.approx(test.accuracy)
    (pair,) = found.pairs
    loss, accuracy, _ = pair.differences
    assert loss.decided
    assert not loss.second_is_better
    assert accuracy.decided
    assert pair.mcnemar.only_first - pair.mcnemar.only_second == round(-120 * accuracy.difference)


def test_of_their_own_file_the_held_out_rows_are_compared(folder):
    found = compared(folder, "all", "one", data="flowers.csv")
    assert found.units == 24
    assert any("only its 24 held-out rows" in note for note in found.notes)


def test_only_rows_that_no_model_was_trained_on_are_compared(folder):
    found = compared(folder, "all", "split", data="flowers.csv")
    assert 0 < found.units < 24
    assert any(f"only the {found.units} rows that no model was trained on" in note for note in found.notes)


def test_a_file_that_one_was_trained_on_as_a_whole_is_refused(folder, tmp_path):
    recipe = recipe_from_entries(
        {
            "data": {"target": "kind", "drop": ["plant"], "test": str(folder / "new.csv")},
            "calibration": {"method": "none"},
        }
    )
    train(str(folder / "flowers.csv"), recipe, out=tmp_path / "whole.safetensors")
    models = [folder / "all.safetensors", tmp_path / "whole.safetensors"]
    with pytest.raises(DataError, match=r"whole\.safetensors: .*trained on every row of this file"):
        compare(models, str(folder / "flowers.csv"))
    assert compare(models, str(folder / "new.csv")).units == 120


def test_the_order_of_the_classes_does_not_matter(folder):
    """Each model has the metrics that it has alone, and its classes keep their names."""
    found = compared(folder, "all", "ordered")
    alone = evaluate(folder / "ordered.safetensors", str(folder / "new.csv"))
    assert alone.classifier.class_names == ("z", "y", "x")
    assert found.models[1].metrics["log_loss"] == pytest.approx(alone.test.log_loss)
    assert found.models[1].metrics["brier_score"] == pytest.approx(alone.test.brier_score)
    assert found.models[1].metrics["accuracy"] == pytest.approx(alone.test.accuracy)
    labels = pl.read_csv(folder / "new.csv")["kind"].to_list()
    assert all(row.true == labels[row.row - 1] for row in found.disagreements)


def test_disagreements_name_row_and_classes(folder):
    found = compared(folder, "all", "one")
    labels = pl.read_csv(folder / "new.csv")["kind"].to_list()
    assert found.disagreeing == len(found.disagreements) > 10
    for row in found.disagreements:
        assert row.true == labels[row.row - 1]
        assert row.predicted[0] != row.predicted[1]
    spreads = [abs(row.true_probabilities[0] - row.true_probabilities[1]) for row in found.disagreements]
    assert spreads == sorted(spreads, reverse=True)


def test_groups_are_drawn_together_and_have_no_mcnemar(folder):
    found = compared(folder, "grouped", "one")
    assert "draws of 20 groups of rows" in found.method
    assert found.pairs[0].mcnemar is None


def test_weights_of_the_first_model_are_used(folder):
    flowers(1).with_columns(a2=pl.col("a").abs() + 0.1).write_csv(folder / "new_weights.csv")
    found = compared(folder, "weighted", "one", data="new_weights.csv")
    assert found.pairs[0].mcnemar is None
    assert any("weights of the first" in note for note in found.notes)
    weighted = evaluate(folder / "weighted.safetensors", str(folder / "new_weights.csv")).test
    assert found.models[0].metrics["accuracy"] == pytest.approx(weighted.accuracy)


def test_three_models_make_three_pairs(folder):
    found = compared(folder, "all", "one", "split")
    assert [(pair.first, pair.second) for pair in found.pairs] == [("A", "B"), ("A", "C"), ("B", "C")]
    assert any("not adjusted" in note for note in found.notes)
    json.dumps(found.as_json(), allow_nan=False)


def test_other_classes_are_an_error(folder, tmp_path):
    flowers(0, names=np.array(["x", "y", "w"])).write_csv(tmp_path / "other.csv")
    recipe = recipe_from_entries({"data": {"target": "kind"}, "calibration": {"method": "none"}})
    train(str(tmp_path / "other.csv"), recipe, out=tmp_path / "other.safetensors")
    with pytest.raises(DataError, match=r'do not know the same classes: "w", "z" are known to one'):
        compare([folder / "all.safetensors", tmp_path / "other.safetensors"], str(folder / "new.csv"))


def test_a_missing_column_is_an_error_that_names_the_model(folder, tmp_path):
    flowers(1).drop("b").write_csv(tmp_path / "new.csv")
    with pytest.raises(DataError, match=r'all\.safetensors: .*"b"'):
        compare([folder / "one.safetensors", folder / "all.safetensors"], str(tmp_path / "new.csv"))


def test_one_model_is_too_few(folder):
    with pytest.raises(RecipeError, match="at least two"):
        compared(folder, "all")


def test_pictures_are_compared_too(tmp_path):
    draw = np.random.default_rng(0)
    for name, base in (("dark", 90), ("light", 150)):
        (tmp_path / "shades" / name).mkdir(parents=True)
        for number in range(20):
            pixels = np.clip(draw.normal(base, 40, size=(6, 6)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "shades" / name / f"{number:02}.png")
    for C in (1.0, 1e-9):
        recipe = recipe_from_entries(
            {"model": {"kind": "linear"}, "training": {"C": C}, "calibration": {"method": "none"}}
        )
        train(str(tmp_path / "shades"), recipe, out=tmp_path / f"{C}.safetensors")
    found = compare([tmp_path / "1.0.safetensors", tmp_path / "1e-09.safetensors"], str(tmp_path / "shades"))
    assert (found.unit, found.units) == ("picture", 8)
    assert found.models[0].metrics["log_loss"] < found.models[1].metrics["log_loss"]
    assert any("recognised by the bytes of their files" in note for note in found.notes)
    assert not any("copies of them in another file are not" in note for note in found.notes)


def validated(folder, name, **sections):
    recipe = recipe_from_entries(
        {
            "data": {"target": "kind", "drop": ["plant"]},
            "calibration": {"method": "none"},
            "cross_validation": {"folds": 3, "repeats": 2},
        }
        | sections
    )
    (folder / name).mkdir()
    out = folder / name / "model.safetensors"
    run = train(str(folder / "flowers.csv"), recipe, out=out, report=out.with_name("report.html"))
    return run, out.with_name("report.json")


@pytest.fixture
def reports(folder, tmp_path):
    flowers(0).write_csv(tmp_path / "flowers.csv")
    good, first = validated(tmp_path, "good")
    bad, second = validated(tmp_path, "bad", training={"C": 1e-4})
    return (good, first), (bad, second), tmp_path


def test_folds_are_compared(reports):
    (good, first), (_, second), _ = reports
    found = compare_folds([first, second])
    assert (found.unit, found.units) == ("fold", 6)
    assert found.models[0].metrics["log_loss"] == pytest.approx(good.cross_validation.summary.log_loss, rel=1e-3)
    loss, *_ = found.pairs[0].differences
    assert loss.difference > 0
    assert loss.decided
    assert found.pairs[0].p_values["log_loss"] < 0.05
    assert found.disagreeing is None
    scores = good.cross_validation.scores
    assert {(score.rows, score.rows_fitted) for score in scores} == {(40, 80)}


def test_other_folds_are_an_error(reports):
    (_, first), _, folder = reports
    _, other = validated(folder, "seed", seed=1)
    with pytest.raises(DataError, match="not cross-validated on the same folds"):
        compare_folds([first, other])


def test_reports_without_folds_are_an_error(reports, tmp_path):
    (_, first), *_ = reports
    (tmp_path / "no.json").write_text("[1]")
    (tmp_path / "text.json").write_text("no JSON")
    plain = json.loads(first.read_text()) | {"cross_validation": None}
    (tmp_path / "none.json").write_text(json.dumps(plain))
    for name, message in (("no", "no scores of folds"), ("text", "got no JSON"), ("none", "no scores of folds")):
        with pytest.raises(DataError, match=message):
            compare_folds([first, tmp_path / f"{name}.json"])
    with pytest.raises(DataError, match="cannot be read"):
        compare_folds([first, tmp_path / "missing.json"])
