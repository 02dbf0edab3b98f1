"""The kind of model of a table where the command line names none."""

import json

import pytest

from polylogit.recipes import starting_entries

pytestmark = pytest.mark.usual_kind


def train(polylogit, *words):
    done = polylogit("train", "zoo", "--json", *words)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_kinds_are_compared(polylogit, tmp_path):
    printed, _ = train(polylogit, "--set", "cross_validation.folds=0")
    assert [each["kind"] for each in printed["selection"]["candidates"]] == ["linear", "additive", "mlp"]
    assert printed["model_path"] == "runs/zoo-auto/model.safetensors"
    assert printed["selection"]["log_loss_without_choice"] > 0


def test_an_option_of_one_kind_names_it(polylogit):
    printed, notes = train(polylogit, "--set", "training.C=10")
    assert printed["selection"] is None
    assert printed["model_path"] == "runs/zoo-linear/model.safetensors"
    assert "training.C is not an option of every kind of model, so the model is linear." in notes
    assert starting_entries("t", {"model": {"bins": 4}}, pictures=False, to_train=True)["model"]["kind"] == "additive"


def test_a_fault_is_named(polylogit):
    done = polylogit("train", "zoo", "--set", "training.c=10")
    assert done.exit_code == 2
    assert 'training.c: there is no such option. Did you mean "C"?' in done.stderr


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("model.hidden=[0]", "model.hidden.0: input should be greater than or equal to 1, got 0"),
        ("model.bins=1", "model.bins: input should be greater than or equal to 2, got 1"),
        ("training.learning_rate=quick", "training.learning_rate: input should be a valid number"),
        ('model.candidates=["cnn"]', "model.candidates.0: input should be 'linear', 'additive' or 'mlp', got 'cnn'"),
        ('model.candidates=["mlp", "linear"]', "from the simplest to the most complex (linear, mlp), got"),
        ('model.candidates=["linear", "linear"]', "model.candidates: expected each kind once"),
    ],
)
def test_a_wrong_value_is_one_of_the_kind_that_has_the_option(polylogit, setting, said):
    done = polylogit("train", "zoo", "--set", setting)
    assert done.exit_code == 2
    assert said in done.stderr


def test_an_mlp_of_a_table_starts_from_its_recipe():
    start = starting_entries("t", {"model": {"kind": "mlp"}, "training": {"epochs": 3}}, pictures=False, to_train=True)
    assert start["model"] == {"kind": "mlp", "hidden": [512], "members": 8, "bins": 16}
    assert start["training"] == {"weight_decay": 1.0, "validation_fraction": 0, "epochs": 3}
    stopped = {"model": {"kind": "mlp"}, "training": {"patience": 3}}
    start = starting_entries("t", stopped, pictures=False, to_train=True)
    assert start["training"] == {"weight_decay": 1.0, "patience": 3}
    own = starting_entries("t", {"model": {"hidden": [32, 32]}}, pictures=False, to_train=True)
    assert own["model"] == {"kind": "mlp", "hidden": [32, 32], "bins": 16}


@pytest.mark.parametrize("words", [("--model", "auto", "--resume"), ("--model", "auto", "--device", "cuda")])
def test_options_of_networks_want_a_network(polylogit, words):
    done = polylogit("train", "zoo", *words)
    assert done.exit_code == 2
    assert "the kind of model is not known yet" in done.stderr
