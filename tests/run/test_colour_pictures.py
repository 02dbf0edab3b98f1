"""A folder of colour pictures whose classes differ in colour alone, or in shape alone, trained by the usual recipe."""

import numpy as np
import pytest
from PIL import Image

from polylogit.recipes import recipe_from_entries, starting_entries
from polylogit.run import train

COLOURS = {"red": (200, 90, 60), "blue": (60, 90, 200)}
FEWER_STEPS = {"training": {"least_steps": 60, "epochs": 1}, "calibration": {"method": "none"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Noisy stripes, across or down, each in red and in blue: no two classes differ in both."""
    place, draw = tmp_path_factory.mktemp("stripes"), np.random.default_rng(0)
    for name, colour in COLOURS.items():
        for way in ("across", "down"):
            (place / f"{name}-{way}").mkdir()
            for number in range(30):
                light = 0.6 + 0.4 * (((np.arange(28) + draw.integers(8)) // 4) % 2)
                light = np.broadcast_to(light[:, None] if way == "across" else light, (28, 28))
                values = light[:, :, None] * colour + draw.normal(0, 12, (28, 28, 3))
                picture = Image.fromarray(values.clip(0, 255).astype(np.uint8))
                picture.save(place / f"{name}-{way}" / f"{number}.png")
    return str(place)


def accuracy(folder, path, **model):
    entries = starting_entries(folder, {"model": {"kind": "cnn"}, **FEWER_STEPS}, pictures=True)
    entries["model"] |= model
    return train(folder, recipe_from_entries(entries), out=path / "model.safetensors").test.accuracy


def test_shape_and_colour_are_both_seen(folder, tmp_path):
    assert accuracy(folder, tmp_path) > 0.95


def test_gradients_alone_do_not_see_colour(folder, tmp_path):
    assert accuracy(folder, tmp_path, colours=False) < 0.8
