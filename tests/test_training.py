import pytest
import torch

from polylogit.data.pictures import PictureEncoder
from polylogit.data.split import Split
from polylogit.errors import RecipeError
from polylogit.problem import Problem
from polylogit.recipe import Recipe
from polylogit.training import TrainingPlace, fit_model


@pytest.fixture
def problem():
    """Forty pictures of two classes, eight of them for testing."""
    draw = torch.Generator().manual_seed(0)
    targets = torch.arange(40) % 2
    pixels = (torch.randint(0, 100, (40, 1, 4, 4), generator=draw) + 100 * targets[:, None, None, None]).to(torch.uint8)
    return Problem(
        name="drawn",
        target="class",
        fingerprint="",
        encoder=PictureEncoder.unit(pixels),
        inputs=pixels,
        targets=targets,
        class_names=("dark", "light"),
        split=Split(train=torch.arange(32), test=torch.arange(32, 40)),
    )


def recipe(**sections):
    return Recipe.from_entries({"model": {"kind": "mlp", "hidden": [4]}, **sections})


def fit(problem, chosen):
    return fit_model(problem, chosen, place=TrainingPlace(device="cpu"), on_progress=None)


def test_no_rows_are_kept_where_the_recipe_says_so(problem):
    chosen = recipe(training={"validation_fraction": 0, "epochs": 2}, calibration={"method": "none"})
    fitted = fit(problem, chosen)
    assert fitted.calibration is None
    assert [record["validation_loss"] for record in fitted.history] == [None, None]
    some_kept = fit(problem, recipe(training={"epochs": 2}, calibration={"method": "none"}))
    assert all(record["validation_loss"] > 0 for record in some_kept.history)


def test_calibration_needs_rows(problem):
    with pytest.raises(RecipeError, match="keeps no rows to calibrate on"):
        fit(problem, recipe(training={"validation_fraction": 0}))
