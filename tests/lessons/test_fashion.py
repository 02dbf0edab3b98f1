from pathlib import Path

import pytest
import torch
from torch import nn

from polylogit.lessons.fashion import NETWORKS, network_of
from polylogit.networks import build_network
from polylogit.recipes import read_recipe, recipe_from_entries, shipped_recipes
from polylogit.run import train
from polylogit.run.network_fit import new_network
from polylogit.run.picture_task import picture_task

PRINTED = {
    "mlp-32": lambda: [nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10)],
    "mlp-256": lambda: [nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10)],
    "wide-dropout": lambda: [nn.Linear(784, 4096), nn.Dropout(0.5), nn.ReLU(), nn.Linear(4096, 10)],
    "deep": lambda: [
        *(layer for size in (784, 256, 256, 256) for layer in (nn.Linear(size, 256), nn.ReLU())),
        nn.Linear(256, 10),
    ],
    "cnn": lambda: [
        *(nn.Conv2d(1, 64, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(64, 64, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(1024, 10)),
    ],
}


def recipe_of(name, *settings):
    return recipe_from_entries(read_recipe(Path(f"fashion-mnist-{name}"), settings))


def test_each_network_is_a_recipe_that_comes_with_the_package():
    assert {f"fashion-mnist-{name}" for name in NETWORKS} <= set(shipped_recipes())


@pytest.mark.usefixtures("picture_data")
@pytest.mark.parametrize("name", NETWORKS)
def test_a_recipe_starts_from_the_very_network_that_the_lecture_writes(name):
    task = picture_task("fashion-mnist", recipe_of(name), None)
    assert len(task.split.train) == 60_000
    network, spec = new_network(task, recipe_of(name))
    torch.manual_seed(43052)
    printed = nn.Sequential(*([] if name == "cnn" else [nn.Flatten()]), *PRINTED[name]())
    pictures = task.encoder.prepare(task.rows.inputs[:64])
    assert torch.allclose(pictures, task.rows.inputs[:64].float() / 255, rtol=0, atol=1e-7)
    assert torch.allclose(network.eval()(pictures), printed.eval()(pictures), atol=1e-5)
    assert sum(p.numel() for p in build_network(spec.kind, spec.options).parameters()) == sum(
        p.numel() for p in printed.parameters()
    )


@pytest.mark.slow
@pytest.mark.usefixtures("picture_data")
def test_the_recipe_trains_what_the_lesson_measures(tmp_path):
    measured = network_of("fashion-mnist-mlp-32", epochs=5)
    run = train("fashion-mnist", recipe_of("mlp-32", "training.epochs=5"), out=tmp_path / "m.safetensors")
    assert run.calibration is None
    assert run.train.accuracy == pytest.approx(measured["accuracy on the rows trained on after epoch 5"], abs=1e-9)
    assert run.test.accuracy == pytest.approx(measured["accuracy on the test rows"], abs=1e-9)
    assert measured["accuracy on the test rows"] == pytest.approx(0.85, abs=0.015)
