"""The check of labels on real files: numbers and names of the suspects, and no row scored by a model that knows it."""

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from polylogit.errors import DataError
from polylogit.fitting.callbacks import TrainingCallback
from polylogit.recipes import recipe_from_entries
from polylogit.run import check_labels, fold_scores, train
from polylogit.run.fit import fit_model
from polylogit.run.fitted_model import TrainingPlace
from polylogit.run.label_check import label_check_of
from polylogit.run.picture_task import picture_task
from polylogit.run.table_task import table_task

WRONG = [3, 40, 77, 100, 118]
"""Numbers, from 1, of the rows of `flowers` with another class than their values have."""


def flowers():
    draw = np.random.default_rng(0)
    classes = np.repeat([0, 1, 2], 40)
    values = draw.normal(size=(120, 3)) + 6 * np.eye(3)[classes]
    labels = np.array(["x", "y", "z"])[classes]
    for number in WRONG:
        labels[number - 1] = {"x": "y", "y": "z", "z": "x"}[labels[number - 1]]
    return pl.DataFrame(values, schema=["a", "b", "c"]).with_columns(kind=pl.Series(labels))


def recipe_of(**sections):
    """The default model with the quickest calibration."""
    return recipe_from_entries({"data": {"target": "kind"}, "calibration": {"method": "temperature"}} | sections)


def pictures(folder, rows=24):
    """Dark and light pictures, of which number 2 of the dark ones is light."""
    draw = np.random.default_rng(0)
    for name, base in (("dark", 40), ("light", 200)):
        (folder / name).mkdir(parents=True)
        for number in range(rows):
            value = 200 if (name, number) == ("dark", 2) else base
            pixels = np.clip(draw.normal(value, 10, size=(8, 8)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number:02}.png")
    return str(folder)


def test_suspects_have_the_number_of_their_row(tmp_path):
    flowers().write_csv(tmp_path / "flowers.csv")
    done = []

    class Folds(TrainingCallback):
        def refit_done(self, purpose, done_, total):
            done.append((purpose, done_, total))

    found = check_labels(str(tmp_path / "flowers.csv"), recipe_of(), callbacks=[Folds()])
    assert sorted(suspect.row for suspect in found.suspects) == WRONG
    assert (found.rows, found.examined, found.noun) == (120, 120, "row")
    assert {(suspect.given, suspect.suggested) for suspect in found.suspects} <= {("x", "z"), ("y", "x"), ("z", "y")}
    assert done[-1] == ("label check", 10, 10)
    cells = flowers().drop("kind")[[suspect.row - 1 for suspect in found.suspects]]
    assert found.raw["a"].to_list() == pytest.approx(cells["a"].to_list())
    assert "file" not in found.frame().columns


def test_suspects_of_parts_name_their_file(tmp_path):
    (tmp_path / "parts").mkdir()
    flowers()[:50].write_csv(tmp_path / "parts" / "one.csv")
    flowers()[50:].write_csv(tmp_path / "parts" / "two.csv")
    found = check_labels(str(tmp_path / "parts"), recipe_of())
    places = sorted((suspect.file.rpartition("/")[2], suspect.row) for suspect in found.suspects)
    assert places == [("one.csv", 3), ("one.csv", 40), ("two.csv", 27), ("two.csv", 50), ("two.csv", 68)]
    assert found.frame()["file"].null_count() == 0


def test_the_only_row_of_a_class_is_not_examined(tmp_path):
    rare = flowers().head(1).with_columns(kind=pl.lit("rare"))
    pl.concat([flowers(), rare]).write_csv(tmp_path / "flowers.csv")
    found = check_labels(str(tmp_path / "flowers.csv"), recipe_of())
    assert (found.rows, found.examined) == (121, 120)
    assert {suspect.row for suspect in found.suspects} <= set(WRONG)


def test_rows_of_weight_zero_and_of_classes_left_out_are_no_suspects(tmp_path):
    weight = pl.Series("w", [0.0 if row == 2 else 1.0 for row in range(120)])
    flowers().with_columns(weight).write_csv(tmp_path / "flowers.csv")
    found = check_labels(
        str(tmp_path / "flowers.csv"),
        recipe_of(data={"target": "kind", "weight": "w", "classes": ["x", "y"]}),
    )
    rows = {suspect.row for suspect in found.suspects}
    assert 3 not in rows
    assert 40 in rows
    assert not any("z" in (suspect.given, suspect.suggested) for suspect in found.suspects)


def test_rows_of_one_each_are_an_error(tmp_path):
    pl.DataFrame({"a": [1, 2, 3], "kind": ["x", "y", "z"]}).write_csv(tmp_path / "few.csv")
    with pytest.raises(DataError):
        check_labels(str(tmp_path / "few.csv"), recipe_of())


@pytest.mark.parametrize("kind", ["linear", "cnn"])
def test_suspects_among_pictures_name_their_file(tmp_path, kind):
    data = pictures(tmp_path / "shades")
    sections = {"model": {"kind": kind}, "calibration": {"method": "temperature"}}
    if kind == "cnn":
        sections["training"] = {"epochs": 6, "patience": 0}
        sections["data"] = {"pictures_in_memory": "never"}
    found = check_labels(data, recipe_from_entries(sections))
    assert [(suspect.file, suspect.row, suspect.suggested) for suspect in found.suspects] == [
        ("dark/02.png", 3, "light")
    ]
    assert found.noun == "picture"
    assert found.raw.shape[0] == 1


def test_no_fold_is_validated_on_rows_that_it_scores(tmp_path, monkeypatch):
    """The data's own validation rows are scored like others, so that no fold may stop or be calibrated on them."""
    for part in ("train", "val", "test"):
        pictures(tmp_path / "shades" / part, rows=10)
    recipe = recipe_from_entries({"model": {"kind": "cnn"}, "training": {"epochs": 1}})
    task = picture_task(str(tmp_path / "shades"), recipe, None)
    assert len(task.validation)
    seen = []

    def watched(fold, recipe, place):
        seen.append((set(fold.split.train.tolist()), set(fold.split.test.tolist()), fold.validation))
        return fit_model(fold, recipe, place=place)

    monkeypatch.setattr(fold_scores, "fit_model", watched)
    found = fold_scores.fold_scores(task, recipe, folds=3, seed=0, place=TrainingPlace())
    assert sorted(found.rows.tolist()) == list(range(60))
    assert [len(train & held_out) for train, held_out, _ in seen] == [0, 0, 0]
    assert [validation for _, _, validation in seen] == [None] * 3


def test_training_checks_the_labels_that_it_has_out_of_fold(tmp_path):
    flowers().write_csv(tmp_path / "flowers.csv")
    done = train(str(tmp_path / "flowers.csv"), recipe_of(), out=tmp_path / "m.safetensors")
    assert len({suspect.row for suspect in done.labels.suspects} & set(WRONG)) >= 4
    assert len(done.labels.suspects) <= 6
    assert done.labels.examined == 120
    assert "PL040" in [conclusion.code for conclusion in done.conclusions]
    assert len(done.as_json()["label_errors"]["suspects"]) == len(done.labels.suspects)


def test_training_without_calibration_examines_the_test_rows_only(tmp_path):
    flowers().write_csv(tmp_path / "flowers.csv")
    recipe = recipe_of(calibration={"method": "none"})
    done = train(str(tmp_path / "flowers.csv"), recipe, out=tmp_path / "m.safetensors")
    assert (done.labels.examined, done.labels.rows) == (done.test.rows, 120)
    nothing = recipe_of(calibration={"method": "none"}, data={"target": "kind", "test_fraction": 0})
    assert train(str(tmp_path / "flowers.csv"), nothing, out=tmp_path / "m.safetensors").labels is None


def test_a_network_examines_validation_and_test_rows(tmp_path):
    flowers().write_csv(tmp_path / "flowers.csv")
    recipe = recipe_of(model={"kind": "mlp"}, training={"epochs": 2})
    done = train(str(tmp_path / "flowers.csv"), recipe, out=tmp_path / "m.safetensors")
    assert done.test.rows < done.labels.examined < 60


def test_the_order_of_the_rows_examined_does_not_matter(tmp_path):
    flowers().write_csv(tmp_path / "flowers.csv")
    recipe, task = table_task(str(tmp_path / "flowers.csv"), recipe_of())
    found = fold_scores.fold_scores(task, recipe, folds=3, seed=0)
    order = torch.randperm(len(found.rows), generator=torch.Generator().manual_seed(0))
    one = label_check_of(task, found.rows, found.logits)
    other = label_check_of(task, found.rows[order], found.logits[order])
    assert one.suspects == other.suspects
