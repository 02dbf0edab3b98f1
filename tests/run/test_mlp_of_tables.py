"""MLPs of tables: bins before the network, members, and a calibration that is cross-fitted."""

import numpy as np
import polars as pl
import pytest
import torch
from torch.nn.functional import cross_entropy

from polylogit import Classifier
from polylogit.fitting.callbacks import TrainingCallback
from polylogit.recipes import recipe_from_entries
from polylogit.run import train
from polylogit.run.cross_validation import cross_validate
from polylogit.run.fold_scores import fold_scores
from polylogit.run.task_reading import read_task

RAISED = {
    "model": {"kind": "mlp", "hidden": [32], "members": 4, "bins": 8},
    "training": {"epochs": 5, "validation_fraction": 0},
    "data": {"target": "kind"},
}


@pytest.fixture
def table(tmp_path):
    draw = np.random.default_rng(0)
    x, z = draw.uniform(-1, 1, 300), draw.normal(size=300)
    kind = np.where(draw.random(300) < 1 / (1 + np.exp(8 * np.sin(4 * x) * np.sign(z))), "yes", "no")
    place = draw.choice(["north", "south"], 300)
    frame = pl.DataFrame({"x": x, "z": z, "place": place, "herd": np.arange(300) // 5, "kind": kind})
    frame.write_csv(tmp_path / "t.csv")
    return tmp_path / "t.csv"


def test_the_model_file_has_one_plain_network(table, tmp_path):
    run = train(str(table), recipe_from_entries(RAISED), out=tmp_path / "m.safetensors")
    assert run.classifier.network_spec.kind == "mlp"
    assert set(run.classifier.network_spec.options) == {
        *("features", "classes", "hidden", "activation", "dropout", "bias", "reference_class"),
    }
    loaded = Classifier.load(tmp_path / "m.safetensors")
    frame = pl.read_csv(table)
    assert torch.equal(loaded.predict_logits(frame), run.classifier.predict_logits(frame))
    assert loaded.recipe["model"]["members"] == 4
    beyond = frame.with_columns(x=pl.lit(1e30))
    ends = frame.with_columns(x=pl.lit(float(frame["x"].max())))
    torch.testing.assert_close(loaded.predict_logits(beyond), loaded.predict_logits(ends), rtol=0.1, atol=0.1)


def test_all_training_rows_are_fitted_and_the_calibration_is_cross_fitted(table, tmp_path):
    recipe = recipe_from_entries(RAISED)
    counted = []

    class Fits(TrainingCallback):
        def refit_done(self, of, done, total):
            counted.append((of, done, total))

    run = train(str(table), recipe, out=tmp_path / "m.safetensors", callbacks=[Fits()])
    assert run.calibration is not None
    assert [each for each in counted if each[0] == "calibration"] == [("calibration", n, 5) for n in range(1, 6)]
    assert run.labels is not None


def test_folds_of_a_cross_fitted_network_are_calibrated_on_each_other(table):
    long = {"training": {"epochs": 20, "learning_rate": 0.1, "validation_fraction": 0}}  # overconfident
    recipe, task = read_task(str(table), recipe_from_entries(RAISED | long), None)
    raw = fold_scores(task, recipe, folds=3, seed=0, calibrated=False)
    calibrated = fold_scores(task, recipe, folds=3, seed=0)
    assert torch.equal(raw.rows, calibrated.rows)
    targets = task.rows.targets[raw.rows]
    assert cross_entropy(calibrated.logits, targets) < 0.9 * cross_entropy(raw.logits, targets)
    recipe = recipe_from_entries(RAISED)
    twice = recipe.model_copy(
        update={"cross_validation": recipe.cross_validation.model_copy(update={"folds": 2, "repeats": 1})}
    )
    assert cross_validate(task, twice, ()) is not None


def test_groups_are_kept_whole_in_the_folds_of_the_calibration(table, monkeypatch):
    recipe, task = read_task(
        str(table), recipe_from_entries(RAISED | {"data": {"target": "kind", "group": "herd"}}), None
    )
    seen = []
    from polylogit.run import held_out_rows

    own = held_out_rows.out_of_fold_logits

    def spy(targets, fit_and_score, **options):
        seen.append(options["groups"])
        return own(targets, fit_and_score, **options)

    monkeypatch.setattr(held_out_rows, "out_of_fold_logits", spy)
    from polylogit.run.fit import fit_model
    from polylogit.run.fitted_model import TrainingPlace

    fit = fit_model(task, recipe, place=TrainingPlace())
    assert torch.equal(seen[0], task.rows.groups[task.split.train])
    assert set(fit.held_out.rows.tolist()) <= set(task.split.train.tolist())
