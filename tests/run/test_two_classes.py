"""`training.C` of a recipe means scikit-learn's objective for two classes as well."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from polylogit import Classifier, SoftmaxRegression
from polylogit.errors import PolylogitWarning
from polylogit.model_header import FORMAT_VERSION, read_header
from polylogit.recipes import read_recipe, recipe_from_entries
from polylogit.run import train
from polylogit.run.labelled_rows import LabelledRows
from polylogit.run.linear_fit import fit_linear

FIXTURES = Path(__file__).parents[1] / "fixtures" / "models_0_1"


@pytest.mark.parametrize("load", [load_breast_cancer, load_iris])
@pytest.mark.parametrize("C", [0.01, 1.0])
@pytest.mark.parametrize("class_weight", ["none", "balanced"])
def test_recipe_estimator_and_scikit_learn_have_the_same_optimum(load, C, class_weight):
    X, y = load(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    recipe = recipe_from_entries({"training": {"C": C, "class_weight": class_weight, "tolerance": 1e-13}})
    rows = LabelledRows(torch.from_numpy(X), torch.from_numpy(y))
    fit = fit_linear(rows, torch.arange(len(rows)), int(y.max()) + 1, recipe, on_iteration=None)
    weight = fit.weight.numpy()
    if len(weight) == 2:
        weight = weight[1:] - weight[:1]
    options = {"C": C, "class_weight": None if class_weight == "none" else class_weight}
    ours = SoftmaxRegression(**options, tol=1e-13).fit(X, y)
    theirs = LogisticRegression(**options, solver="newton-cholesky", tol=1e-12, max_iter=500).fit(X, y)
    np.testing.assert_allclose(weight, ours.coef_, atol=1e-6)
    np.testing.assert_allclose(weight, theirs.coef_, atol=1e-6)


def test_the_recipe_of_a_model_file_of_format_version_1_repeats_its_run(tmp_path):
    old = FIXTURES / "two_classes.safetensors"
    table = tmp_path / "two.csv"
    mixed = pl.read_csv(FIXTURES / "mixed.csv", infer_schema=False)
    two = mixed.filter(pl.col("kind") != "c")
    two.write_csv(table)
    again = train(str(table), recipe_from_entries(read_recipe(old)), out=tmp_path / "again.safetensors").classifier
    with pytest.warns(PolylogitWarning, match="without a digest"):
        expected = Classifier.load(old).uncalibrated.predict_probabilities(two)
    torch.testing.assert_close(again.uncalibrated.predict_probabilities(two), expected, rtol=0, atol=1e-6)


def test_a_model_file_of_format_version_1_is_written_again_with_the_same_meaning(tmp_path):
    old = FIXTURES / "two_classes.safetensors"
    with pytest.warns(PolylogitWarning, match="without a digest"):
        Classifier.load(old).save(tmp_path / "again.safetensors")
    again = read_header(tmp_path / "again.safetensors")
    assert again.format_version == FORMAT_VERSION
    assert again.recipe == read_header(old).recipe
    assert again.recipe["training"]["C"] == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["zoo", "mixed_linear", "mixed_mlp"])
def test_recipes_of_more_classes_and_of_networks_are_read_as_they_are(name):
    content = (FIXTURES / f"{name}.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    written = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["polylogit"])
    assert written["format_version"] == 1
    expected = written["recipe"]
    expected["data"]["duplicate_rows"] = "independent"  # as tables were split before copies were kept together
    assert read_header(FIXTURES / f"{name}.safetensors").recipe == expected
