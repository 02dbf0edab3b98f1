"""From estimators to classifiers and model files, and back."""

import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from polylogit import Classifier, DataError, SoftmaxClassifier, SoftmaxRegression, SoftmaxRegressionCV
from polylogit.estimators.conversion import to_classifier
from polylogit.estimators.fitted_classifier import FittedClassifier
from polylogit.recipes.recipe import recipe_from_entries
from polylogit.run import evaluate, predict

IRIS, SPECIES = load_iris(return_X_y=True, as_frame=True)
LOADERS = [load_wine, load_breast_cancer]
MAKERS = {
    "linear": SoftmaxRegression,
    "no-penalty": lambda: SoftmaxRegression(C=np.inf, max_iter=5),
    "path": lambda: SoftmaxRegressionCV(Cs=[0.1, 1.0], cv=2),
    "mean-of-folds": lambda: SoftmaxRegressionCV(Cs=[0.1, 1.0], cv=2, refit=False),
    "network": lambda: SoftmaxClassifier(hidden=(8,), epochs=2, random_state=0),
    "scaled-linear": lambda: make_pipeline(StandardScaler(), SoftmaxRegression()),
    "centred-linear": lambda: make_pipeline(StandardScaler(with_std=False), SoftmaxRegression()),
    "divided-network": lambda: make_pipeline(StandardScaler(with_mean=False), SoftmaxClassifier(epochs=2)),
    "scaled-network": lambda: make_pipeline("passthrough", StandardScaler(), SoftmaxClassifier(epochs=2)),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.filterwarnings("ignore")
def test_a_saved_classifier_predicts_the_same_probabilities(make, load, tmp_path):
    X, y = load(return_X_y=True, as_frame=True)
    model = make().fit(X, y)
    to_classifier(model).save(tmp_path / "m.safetensors")
    classifier = Classifier.load(tmp_path / "m.safetensors")
    np.testing.assert_allclose(classifier.predict_probabilities(X), model.predict_proba(X), atol=3e-6)
    assert classifier.class_names == tuple(str(label) for label in model.classes_)
    recipe_from_entries(classifier.recipe)


def test_offsets_far_from_zero_keep_their_digits():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3)) * [1e-3, 1.0, 1e4] + [5.0, 2000.0, 1e9]
    y = (X[:, 1] + rng.normal(size=400) > 2000).astype(int)
    model = SoftmaxRegression(C=100.0).fit(X, y)
    np.testing.assert_allclose(model.to_classifier().predict_probabilities(X), model.predict_proba(X), atol=1e-6)


def test_the_command_lines_functions_read_it(tmp_path):
    names = np.array(["setosa", "versicolor", "virginica"])[SPECIES]
    model = SoftmaxRegression().fit(IRIS, names)
    model.to_classifier(target="species").save(tmp_path / "iris.safetensors")
    table = tmp_path / "iris.csv"
    IRIS.assign(species=names).to_csv(table, index=False)
    evaluation = evaluate(tmp_path / "iris.safetensors", str(table))
    assert evaluation.test.accuracy == pytest.approx(model.score(IRIS, names))
    predicted = predict(tmp_path / "iris.safetensors", str(table))
    assert predicted.frame["class"].to_list() == model.predict(IRIS).tolist()


@pytest.mark.parametrize(
    ("options", "names"),
    [({}, ["x0", "x1", "x2", "x3"]), ({"feature_names": list("abcd")}, list("abcd"))],
)
def test_columns_have_the_names_asked_for(options, names):
    model = SoftmaxRegression().fit(IRIS.to_numpy(), SPECIES)
    classifier = model.to_classifier(**options)
    assert [column.name for column in classifier.preprocessing.columns] == names
    frame = pl.DataFrame(IRIS.to_numpy(), schema=names)
    np.testing.assert_allclose(classifier.predict_probabilities(frame), model.predict_proba(IRIS.to_numpy()), atol=1e-6)


@pytest.mark.parametrize(
    ("convert", "error", "message"),
    [
        (lambda: SoftmaxRegression().to_classifier(), NotFittedError, "not fitted yet"),
        (
            lambda: SoftmaxRegression().fit(IRIS, SPECIES).to_classifier(["a", "b"]),
            DataError,
            "feature_names: expected 4 different names, one for each column, got 2",
        ),
        (
            lambda: SoftmaxRegression().fit(IRIS, SPECIES).to_classifier(["a", "b", "c", "a"]),
            DataError,
            "expected 4 different names",
        ),
        (
            lambda: to_classifier(make_pipeline(PCA(2), SoftmaxRegression()).fit(IRIS, SPECIES)),
            DataError,
            "got PCA and SoftmaxRegression. Use polylogit train",
        ),
        (lambda: to_classifier(StandardScaler().fit(IRIS)), DataError, "got StandardScaler"),
    ],
)
def test_what_cannot_be_converted_is_named(convert, error, message):
    with pytest.raises(error, match=message):
        convert()


def test_a_later_fit_leaves_the_classifier_as_it_is():
    model = SoftmaxClassifier(epochs=1, random_state=0, warm_start=True).fit(IRIS, SPECIES)
    classifier = model.to_classifier()
    before = classifier.predict_probabilities(IRIS)
    model.fit(IRIS, SPECIES)
    assert torch.equal(classifier.predict_probabilities(IRIS), before)


def test_there_and_back():
    model = SoftmaxRegression().fit(IRIS, SPECIES)
    back = model.to_classifier().to_estimator(classes=[0, 1, 2])
    assert isinstance(back, FittedClassifier)
    np.testing.assert_array_equal(back.predict(IRIS), model.predict(IRIS))
    np.testing.assert_allclose(back.predict_log_proba(IRIS), model.predict_log_proba(IRIS), atol=1e-5)
    np.testing.assert_allclose(back.predict_proba(IRIS).sum(1), 1, rtol=1e-6)
    assert back.score(IRIS, SPECIES) == model.score(IRIS, SPECIES)
    assert back.n_features_in_ == 4
    assert back.feature_names_in_.tolist() == IRIS.columns.tolist()
    two = SPECIES < 2
    binary = SoftmaxRegression().fit(IRIS[two], SPECIES[two])
    logits = binary.to_classifier().to_estimator().decision_function(IRIS)
    np.testing.assert_allclose(logits, binary.decision_function(IRIS), atol=1e-4)


def test_tools_of_scikit_learn_take_a_trained_classifier():
    first = SoftmaxRegression().fit(IRIS, SPECIES).to_classifier().to_estimator(classes=[0, 1, 2])
    importance = permutation_importance(first, IRIS, SPECIES, n_repeats=2, random_state=0)
    assert importance.importances_mean.argmax() in {2, 3}
    voting = VotingClassifier([("a", first), ("b", SoftmaxRegression(C=10.0))], voting="soft").fit(IRIS, SPECIES)
    assert voting.score(IRIS, SPECIES) > 0.9
    calibrated = CalibratedClassifierCV(first, cv=3).fit(IRIS, SPECIES)
    assert calibrated.score(IRIS, SPECIES) > 0.9
    assert pickle.loads(pickle.dumps(first)).score(IRIS, SPECIES) == first.score(IRIS, SPECIES)  # noqa: S301 - ours


def test_labels_of_another_kind_are_an_error_not_an_accuracy_of_zero():
    estimator = SoftmaxRegression().fit(IRIS, SPECIES).to_classifier().to_estimator()
    assert estimator.classes_.tolist() == ["0", "1", "2"]
    with pytest.raises(DataError, match=r"none of the labels is among the classes \['0', '1', '2'\]; the first is 0"):
        estimator.score(IRIS, SPECIES)
    with pytest.raises(DataError, match="classes: expected 3 different labels"):
        estimator.set_params(classes=[0, 1]).predict(IRIS)


ROUND_TRIPS = [
    SoftmaxRegression(),
    SoftmaxRegression(device=torch.device("cpu")),
    SoftmaxRegressionCV(Cs=[1.0], cv=2),
    SoftmaxClassifier(hidden=(8,), epochs=2, random_state=0),
]


@pytest.mark.parametrize("model", ROUND_TRIPS, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("way", ["joblib", "joblib-mmap", "pickle", "skops"])
def test_saved_estimators_predict_and_continue(model, way, tmp_path):
    model = model.fit(IRIS, SPECIES)
    path = tmp_path / "model"
    if way == "skops":
        skops = pytest.importorskip("skops.io")
        if isinstance(model.get_params().get("device"), torch.device):
            pytest.skip("skops stores no torch.device")
        skops.dump(model, path)
        untrusted = skops.get_untrusted_types(file=path)
        assert all(name.startswith("polylogit.estimators.") for name in untrusted), untrusted
        again = skops.load(path, trusted=untrusted)
    elif way == "pickle":
        again = pickle.loads(pickle.dumps(model))  # noqa: S301 - our own bytes
    else:
        joblib.dump(model, path)
        again = joblib.load(path, mmap_mode="r" if way == "joblib-mmap" else None)
    np.testing.assert_array_equal(again.predict_proba(IRIS), model.predict_proba(IRIS))
    assert again.feature_names_in_.tolist() == IRIS.columns.tolist()
    assert isinstance(again.to_classifier(), Classifier)
    if hasattr(again, "partial_fit"):
        again.partial_fit(IRIS, SPECIES)
    assert (again.fit(pd.DataFrame(IRIS), SPECIES).predict(IRIS) == SPECIES).mean() > 0.3
