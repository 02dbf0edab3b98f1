"""Mutated model files whose digest is right: a classifier or a ModelFileError for each, never another exception.

Headers and tensor tables are mutated by structure: numbers become huge, tiny or negative, lists long or empty, entries
vanish or change their type. The quick run tries some files; `POLYLOGIT_FUZZ=10000` sets how many (`make fuzz`).
"""

import copy
import json
import os
import random
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from polylogit import Classifier
from polylogit.errors import PolylogitError, PolylogitWarning
from polylogit.model_header import read_header
from polylogit.model_tensors import content_digest
from polylogit.run import predict

FILES = int(os.environ.get("POLYLOGIT_FUZZ", "300"))
FIXTURES = Path(__file__).parents[1] / "fixtures" / "models_0_1"
MODELS = ("zoo", "mixed_vector", "mixed_mlp", "mixed_curve_floor", "pictures_cnn")
VALUES = (
    *(0, -1, 1, 2, 10**9, 10**18, -(10**18), 0.0, -1.0, 1e-320, 1e-30, 1e30, 1e300, True, False, None),
    *("", "a", "x" * 10_000, "linear", "cnn", "../../etc/passwd", "\ud800", "\x1b[31m", "rot13", "€"),
    *([], [1], [10**9], [0.5] * 5, ["a"] * 3, list(range(20_000)), {}, {"a": 1}),
)


def places(entries, path=()):
    """The path of every value in nested entries."""
    for key, value in entries.items() if isinstance(entries, dict) else enumerate(entries):
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def mutate(entries, tensors, draw):
    """Change one to three values of the header, and sometimes a tensor."""
    for _ in range(draw.randint(1, 3)):
        path = draw.choice(list(places(entries)))
        holder = entries
        for key in path[:-1]:
            holder = holder[key]
        if draw.random() < 0.2:
            del holder[path[-1]]
        else:
            holder[path[-1]] = copy.deepcopy(draw.choice(VALUES))
        if not entries:
            break
    if draw.random() < 0.4:
        name = draw.choice(sorted(tensors))
        tensors[name] = draw.choice(
            [
                torch.zeros(0),
                torch.zeros(1),
                tensors[name].double() * 1e300,
                torch.zeros_like(tensors[name]),
                tensors[name][None],
                tensors[name].half() if tensors[name].is_floating_point() else tensors[name],
                -tensors[name],
            ]
        ).contiguous()


@pytest.mark.parametrize("model", MODELS)
def test_a_mutated_header_gives_a_classifier_or_an_error(model, tmp_path):
    draw = random.Random(model)  # noqa: S311 - the files must be the same in every run
    path, original = tmp_path / "m.safetensors", FIXTURES / f"{model}.safetensors"
    entries = read_header(original).model_dump(mode="json", exclude_none=True)
    data = str(FIXTURES / "mixed.csv") if model.startswith("mixed") else "zoo"
    loaded = 0
    for number in range(FILES // len(MODELS)):
        changed, tensors = copy.deepcopy(entries), dict(load_file(original))
        mutate(changed, tensors, draw)
        text = json.dumps(changed)
        if draw.random() < 0.1:
            changed["format_version"] = 1
        save_file(tensors, path, metadata={"polylogit": text, "digest": content_digest(text, tensors)})
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", PolylogitWarning)
                classifier = Classifier.load(path)
                loaded += 1
                if number % 10 == 0 and model != "pictures_cnn":
                    predict(path, data, tmp_path / "found.csv")
                    assert classifier.predict_probabilities(data).isfinite().all()
        except PolylogitError:
            continue
    assert loaded > 0
