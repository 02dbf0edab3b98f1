"""Every option of a recipe changes something that can be measured."""

import pytest

from polylogit.recipe import Recipe
from polylogit.run import train

CHANGES = {
    "seed": {"seed": 1},
    "data.target": {"data": {"target": "legs"}},
    "data.drop": {"data": {"drop": ["milk"]}},
    "data.test_fraction": {"data": {"test_fraction": 0.4}},
    "training.C": {"training": {"C": 0.01}},
    "training.class_weight": {"training": {"class_weight": "balanced"}},
    "training.tolerance": {"training": {"tolerance": 0.5}},
    "training.epochs": {"training": {"epochs": 1}},
    "calibration.method": {"calibration": {"method": "none"}},
}
ONE_CHOICE_ONLY = {"model.kind"}
PROVED_IN_TEST_RUN_TABLES = {"data.columns", "data.free_text", "data.separator", "data.encoding"}


def options(entries, prefix=""):
    for name, value in entries.items():
        yield from options(value, f"{prefix}{name}.") if isinstance(value, dict) and value else [f"{prefix}{name}"]


def test_every_option_is_tried():
    elsewhere = ONE_CHOICE_ONLY | PROVED_IN_TEST_RUN_TABLES
    assert set(CHANGES) | elsewhere == set(options(Recipe().model_dump()))


@pytest.mark.parametrize("option", CHANGES)
def test_it_matters(option, zoo_run, tmp_path):
    changed = train("zoo", Recipe.from_entries(CHANGES[option]), out=tmp_path / "m.safetensors")
    before = {"weights": zoo_run.classifier.network.state_dict()["linear.weight"].tolist(), **zoo_run.test.as_json()}
    after = {"weights": changed.classifier.network.state_dict()["linear.weight"].tolist(), **changed.test.as_json()}
    assert before != after
