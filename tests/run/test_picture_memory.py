"""The memory that a fit on pictures takes, stated before it."""

import pytest
import torch
from PIL import Image
from torch import nn

from polylogit.data.pictures import sources
from polylogit.errors import RecipeError
from polylogit.fitting.callbacks import TrainingCallback
from polylogit.fitting.options import TrainingOptions
from polylogit.recipes import recipe_from_entries
from polylogit.run import picture_memory, train
from polylogit.run.picture_memory import memory_note, memory_of_fine_tuning, memory_of_network

MIB = 2**20


class Notes(TrainingCallback):
    """The notes of a run, and whether its fit had begun when they came."""

    def __init__(self):
        self.before, self.after, self.begun_fit = [], [], False

    def noted(self, note):
        (self.after if self.begun_fit else self.before).append(note)

    def begun(self, plan):
        self.begun_fit = True

    def features_done(self, done, total):
        self.begun_fit = True


def small_network():
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16 * 16, 2))


def test_the_values_that_autograd_keeps_are_counted_once():
    network, example = small_network(), torch.zeros(1, 1, 16, 16)
    kept = 1 * 16 * 16 + 8 * 16 * 16  # the picture for the convolution, and the output of ReLU for it and for the layer
    options, device = TrainingOptions(precision="float32"), torch.device("cpu")
    assert picture_memory._kept_for_backward(network, example, options, device) == 4 * kept
    network.requires_grad_(requires_grad=False)
    assert picture_memory._kept_for_backward(network, example, options, device) == 0


def test_a_fit_takes_its_batch_or_its_evaluation():
    network, example = small_network(), torch.zeros(1, 1, 16, 16)
    few = memory_of_network(network, example, 10, TrainingOptions(batch_size=10))
    evaluation = memory_of_network(network, example, 10_000, TrainingOptions(batch_size=10))
    assert evaluation == memory_of_network(network, example, 1000, TrainingOptions(batch_size=10)) > 50 * few
    assert (
        memory_of_network(network, example, 10_000, TrainingOptions(batch_size="all", precision="float32"))
        > 3 * evaluation
    )
    assert all(module.training for module in network.modules())


def test_frozen_parameters_take_less():
    network, example = small_network(), torch.zeros(1, 1, 16, 16)
    whole = memory_of_fine_tuning(network, example, 32)
    network[0].requires_grad_(requires_grad=False)
    assert memory_of_fine_tuning(network, example, 32) < whole


@pytest.mark.parametrize("kind", ["cnn", "pretrained"])
def test_it_is_said_before_the_fit_and_kept_with_the_result(shapes, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(picture_memory, "available_memory", lambda device: 5 * MIB)
    sections = {"training": {"epochs": 1}} if kind == "cnn" else {"training": {"C": 1.0}}
    recipe = recipe_from_entries({"model": {"kind": kind}, "data": {"picture_size": 32}, **sections})
    seen = Notes()
    run = train(str(shapes), recipe, out=tmp_path / "m.safetensors", callbacks=[seen])
    (note,) = seen.before
    assert note.startswith("the fit is expected to take up to ")
    assert "5.0 MiB are free. That is more than is free. Take a smaller data.picture_size" in note
    assert note in run.notes
    assert not seen.after


def test_little_memory_is_no_news(monkeypatch):
    monkeypatch.setattr(picture_memory, "available_memory", lambda device: 1024 * MIB)
    assert memory_note(200 * MIB, "Take smaller pictures.") == ""
    assert memory_note(300 * MIB, "Take smaller pictures.") == (
        "the fit is expected to take up to 300.0 MiB of memory more than is taken now, 1.0 GiB are free."
    )
    monkeypatch.setattr(picture_memory, "available_memory", lambda device: None)
    assert memory_note(300 * MIB, "").endswith("more than is taken now.")


@pytest.mark.parametrize("kind", ["linear", "mlp", "cnn", "residual"])
def test_pictures_too_large_for_any_fit_are_refused_before_one_is_decoded(kind, tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(4):
            Image.new("RGB", (8, 8)).save(tmp_path / name / f"{number}.png")
    monkeypatch.setattr(sources, "read_pictures", lambda *given, **options: pytest.fail("pictures were read"))
    recipe = recipe_from_entries({"model": {"kind": kind}, "data": {"picture_size": 200_000}})
    expected = (
        r"data\.picture_size: with 200000 x 200000 pixels .* TiB of memory, and .* Take a smaller data\.picture_size"
    )
    with pytest.raises(RecipeError, match=expected):
        train(str(tmp_path), recipe, out=tmp_path / "m.safetensors")
