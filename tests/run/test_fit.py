from dataclasses import replace

import pytest
import torch

from polylogit.fitting.forward import network_logits
from polylogit.fitting.loop import fit_network
from polylogit.recipes.recipe import recipe_from_entries
from polylogit.run.fit import fit_model
from polylogit.run.fitted_model import TrainingPlace
from polylogit.run.network_fit import new_network
from polylogit.run.validation_split import fitted_and_validation_rows


@pytest.fixture
def task(task_of):
    """Forty pictures of two classes, eight of them for testing."""
    draw = torch.Generator().manual_seed(0)
    lighter = 100 * (torch.arange(40) % 2)[:, None, None, None]
    return task_of((torch.randint(0, 100, (40, 1, 4, 4), generator=draw) + lighter).to(torch.uint8))


def recipe(**sections):
    return recipe_from_entries({"model": {"kind": "mlp", "hidden": [4]}, **sections})


def fit(task, chosen):
    return fit_model(task, chosen, place=TrainingPlace(device="cpu"))


def test_no_rows_are_kept_where_the_recipe_says_so(task):
    chosen = recipe(training={"validation_fraction": 0, "epochs": 2}, calibration={"method": "none"})
    fitted = fit(task, chosen)
    assert fitted.calibration is None
    assert [record["validation_loss"] for record in fitted.history] == [None, None]
    some_kept = fit(task, recipe(training={"epochs": 2}, calibration={"method": "none"}))
    assert all(record["validation_loss"] > 0 for record in some_kept.history)


def test_pictures_of_which_none_is_kept_are_calibrated_on_folds(task):
    fitted = fit(task, recipe(training={"validation_fraction": 0, "epochs": 2}))
    assert fitted.calibration is not None
    assert fitted.held_out.fits == 5
    assert sorted(fitted.held_out.rows.tolist()) == sorted(task.split.train.tolist())
    own = network_logits(fitted.network, task.rows.inputs[fitted.held_out.rows], prepare=task.encoder.prepare)
    torch.testing.assert_close(own, fitted.held_out.logits, atol=1.5, rtol=0)  # both see prepared pictures
    assert not torch.allclose(own, fitted.held_out.logits, atol=1e-3)


def test_few_rows_get_the_steps_that_the_recipe_asks_for(task):
    steps = {"epochs": 2, "batch_size": 512, "validation_fraction": 0.25, "least_steps": 20}
    fitted = fit(task, recipe(training=steps, calibration={"method": "none"}))
    assert len(fitted.history) == 3  # 24 rows in batches of 3: 8 steps an epoch
    assert fitted.message.endswith("training.least_steps=20 made 3 epochs of 2, in batches of 3.")
    enough = fit(task, recipe(training=steps | {"batch_size": 2}, calibration={"method": "none"}))
    assert len(enough.history) == 2
    assert "least_steps" not in enough.message


@pytest.mark.parametrize("training", [{}, {"batch_size": 512, "least_steps": 12}])
def test_so_few_pictures_that_an_eighth_is_one_are_fitted_with_batch_normalisation(task_of, training):
    task = task_of(torch.randint(0, 255, (16, 1, 24, 24), dtype=torch.uint8))
    chosen = {"epochs": 2, "validation_fraction": 0} | training
    cnn = {"kind": "cnn", "widths": [4], "kernel_sizes": 3, "strides": 1, "pools": 2, "hidden": [4]}
    fitted = fit(task, recipe_from_entries({"model": cnn, "training": chosen, "calibration": {"method": "none"}}))
    assert len(fitted.history) == 2


@pytest.fixture
def rows_of(monkeypatch):
    """The rows that a fit was given, to fit and to validate on, by their first pixel."""
    seen = {}

    def spy(network, inputs, targets, **more):
        seen["fitted"], seen["kept"] = inputs[:, 0, 0, 0].tolist(), more["validation"][0][:, 0, 0, 0].tolist()
        return fit_network(network, inputs, targets, **more)

    monkeypatch.setattr("polylogit.run.network_fit.fit_network", spy)
    return seen


def test_the_network_is_fitted_on_all_training_rows_but_those_that_validate(task, rows_of):
    inputs = task.rows.inputs.clone()
    inputs[:, 0, 0, 0] = torch.arange(40)
    chosen = recipe(training={"epochs": 1})
    fit(replace(task, rows=replace(task.rows, inputs=inputs)), chosen)
    fitted, kept = fitted_and_validation_rows(task, chosen)
    assert (rows_of["fitted"], rows_of["kept"]) == (fitted.tolist(), kept.tolist())
    assert sorted(rows_of["fitted"] + rows_of["kept"]) == list(range(32))


@pytest.mark.parametrize("kind", ["mlp", "cnn", "residual"])
def test_from_zeros_all_classes_are_alike_and_the_layers_before_are_drawn(kind, task):
    model = {
        "cnn": {"widths": [2], "strides": 1, "pools": 1, "kernel_sizes": 3},
        "residual": {"stem": 2, "widths": [2]},
    }
    drawn, zeros = (
        new_network(task, recipe_from_entries({"model": {"kind": kind, **model.get(kind, {})}, **training}))[0]
        for training in ({}, {"training": {"start": "zeros"}})
    )
    shown = task.encoder.prepare(task.rows.inputs)
    assert zeros(shown).tolist() == [[0, 0]] * 40
    assert drawn(shown).std() > 0
    *_, weight, bias = zip(drawn.state_dict().values(), zeros.state_dict().values(), strict=True)
    assert not torch.equal(*weight)
    assert not torch.equal(*bias)
    first = next(iter(zeros.state_dict()))
    assert torch.equal(drawn.state_dict()[first], zeros.state_dict()[first])
