"""Model files written by polylogit 0.1.0 load and predict as they did then."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from polylogit import Classifier
from polylogit.errors import PolylogitWarning

FOLDER = Path(__file__).parent / "fixtures" / "models_0_1"
"""Each model file beside the classes and probabilities that 0.1.0 gave for the first rows of its training data."""

MODELS = sorted(path.stem for path in FOLDER.glob("*.safetensors"))


def training_data(name):
    if name == "pictures_cnn":
        return np.load(FOLDER / "pictures.npy")
    if name == "zoo":
        return "zoo"
    frame = pl.read_csv(FOLDER / "mixed.csv", infer_schema=False)
    return frame.filter(pl.col("kind") != "c") if name == "two_classes" else frame


def test_there_is_a_model_of_every_kind_of_calibration_and_preprocessing():
    assert len(MODELS) == 7


def load(name):
    with pytest.warns(PolylogitWarning, match="written by polylogit 0.1, without a digest"):
        return Classifier.load(FOLDER / f"{name}.safetensors")


@pytest.mark.parametrize("name", MODELS)
def test_an_old_model_predicts_the_same(name):
    classifier = load(name)
    expected = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    data = training_data(name)
    rows = len(expected["classes"])
    probabilities = classifier.predict_probabilities(data)[:rows]
    torch.testing.assert_close(probabilities, torch.tensor(expected["probabilities"]), rtol=0, atol=1e-6)
    assert classifier.predict(data)[:rows] == expected["classes"]


@pytest.mark.parametrize("name", MODELS)
def test_an_old_model_is_saved_again_without_a_change(name, tmp_path):
    classifier = load(name)
    classifier.save(tmp_path / "again.safetensors")
    again = Classifier.load(tmp_path / "again.safetensors")
    data = training_data(name)
    torch.testing.assert_close(
        again.predict_probabilities(data), classifier.predict_probabilities(data), rtol=0, atol=1e-6
    )
