import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from polylogit import SoftmaxClassifier
from polylogit.errors import DataError

X, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)


@parametrize_with_checks(
    [SoftmaxClassifier(hidden=(16,), epochs=15, learning_rate=0.05, random_state=0)],
    expected_failed_checks=lambda estimator: {
        # As for scikit-learn's own estimators that step from batch to batch (SGDClassifier, Perceptron): which rows
        # share a step depends on how many there are. The check also asks for 1e-7, and float32 has no more digits.
        # That a weight is a repetition where a step sees all rows is tested below.
        "check_sample_weight_equivalence_on_dense_data": "rows that stand twice fall into other "
        "batches than one row of weight 2"
    },
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_it_learns_digits():
    digits, labels = load_digits(return_X_y=True)
    model = SoftmaxClassifier(random_state=0).fit(digits[:1400] / 16, labels[:1400])
    assert model.score(digits[1400:] / 16, labels[1400:]) > 0.9


def test_string_labels_come_back():
    names = np.array(["setosa", "versicolor", "virginica"])[Y]
    model = SoftmaxClassifier(random_state=0).fit(X, names)
    assert set(model.predict(X)) == set(names)
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X), rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tensors_are_taken_also_with_a_graph_behind_them(dtype):
    rows = torch.tensor(X, dtype=dtype, requires_grad=True)
    of_tensors = SoftmaxClassifier(random_state=0, epochs=1).fit(rows, torch.tensor(Y), torch.ones(len(Y)))
    of_arrays = SoftmaxClassifier(random_state=0, epochs=1).fit(rows.detach().float().numpy(), Y, np.ones(len(Y)))
    np.testing.assert_array_equal(of_tensors.predict_proba(rows), of_arrays.predict_proba(rows.detach().float()))


def test_the_random_state_decides():
    fits = [SoftmaxClassifier(random_state=seed, epochs=2).fit(X, Y).predict_proba(X) for seed in (0, 0, 1)]
    assert np.array_equal(fits[0], fits[1])
    assert not np.array_equal(fits[0], fits[2])


def test_partial_fit_goes_on_where_it_stood():
    model = SoftmaxClassifier(random_state=0, batch_size=16)
    losses = []
    for _ in range(6):
        model.partial_fit(X, Y, classes=[0, 1, 2])
        losses.append(model.loss_curve_[-1])
    assert losses[-1] < losses[0]
    assert model.n_iter_ == 6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: model.partial_fit(X, Y), "the first call must name all classes"),
        (lambda model: model.partial_fit(X, Y, classes=[0, 1]), "the label 2 is none of the classes"),
        (lambda model: model.fit(X, Y).partial_fit(X, Y, classes=[0, 1]), "cannot become"),
        (lambda model: model.fit(X, np.zeros(len(Y))), "got 1 class"),
        (
            lambda model: model.set_params(class_weight="balanced").partial_fit(X, Y, classes=[0, 1, 2]),
            "needs all labels at once",
        ),
    ],
)
def test_labels_that_do_not_fit_are_refused(call, message):
    with pytest.raises(DataError, match=message):
        call(SoftmaxClassifier(epochs=1))


def test_weights_change_the_fit_and_balanced_is_the_weight_of_each_class():
    rows = np.flatnonzero((Y > 0) | (np.arange(len(Y)) < 10))
    options = {"random_state": 0, "epochs": 2}
    plain = SoftmaxClassifier(**options).fit(X[rows], Y[rows]).predict_proba(X)
    balanced = SoftmaxClassifier(**options, class_weight="balanced").fit(X[rows], Y[rows]).predict_proba(X)
    counts = np.bincount(Y[rows])
    by_row = (len(rows) / (3 * counts))[Y[rows]]
    weighted = SoftmaxClassifier(**options).fit(X[rows], Y[rows], sample_weight=by_row).predict_proba(X)
    assert not np.allclose(plain, balanced)
    np.testing.assert_allclose(weighted, balanced, rtol=1e-5)


def test_where_a_step_sees_all_rows_a_weight_is_a_repetition():
    weights = np.random.default_rng(0).integers(0, 5, size=len(Y))
    options = {"random_state": 0, "epochs": 20, "batch_size": "all", "hidden": (16,)}
    weighted = SoftmaxClassifier(**options).fit(X, Y, sample_weight=weights)
    repeated = SoftmaxClassifier(**options).fit(X.repeat(weights, axis=0), Y.repeat(weights))
    shuffled = np.random.default_rng(1).permutation(len(Y))
    other_order = SoftmaxClassifier(**options).fit(X[shuffled], Y[shuffled], sample_weight=weights[shuffled])
    for model in (repeated, other_order):
        np.testing.assert_allclose(model.predict_proba(X), weighted.predict_proba(X), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(repeated.loss_curve_, weighted.loss_curve_, rtol=1e-5)


def test_partial_fit_takes_rows_of_some_classes_and_their_weights():
    model = SoftmaxClassifier(random_state=0, batch_size=10, class_weight={0: 1.0, 1: 1.0, 2: 4.0})
    for _ in range(40):
        for rows in (Y == 0, Y == 1, Y == 2):
            model.partial_fit(X[rows], Y[rows], classes=[0, 1, 2])
    assert model.n_iter_ == 120
    assert model.predict_proba(X).shape == (150, 3)
    plain = SoftmaxClassifier(random_state=0, batch_size="all").partial_fit(X, Y, classes=[0, 1, 2])
    halved = SoftmaxClassifier(random_state=0, batch_size="all")
    halved.partial_fit(X, Y, classes=[0, 1, 2], sample_weight=np.full(len(Y), 0.5))
    np.testing.assert_allclose(halved.predict_proba(X), plain.predict_proba(X), rtol=1e-4)


def test_it_can_be_cloned_searched_and_pickled():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), SoftmaxClassifier(epochs=3, random_state=0)),
        {"softmaxclassifier__hidden": [(4,), (16,)]},
        cv=2,
    ).fit(X, Y)
    again = pickle.loads(pickle.dumps(search.best_estimator_))  # noqa: S301 - our own bytes
    assert np.array_equal(again.predict_proba(X), search.best_estimator_.predict_proba(X))
    assert clone(search.best_estimator_).get_params()["softmaxclassifier__epochs"] == 3


@pytest.mark.parametrize(
    "change",
    [
        {"hidden": (8,)},
        {"activation": "tanh"},
        {"dropout": 0.5},
        {"epochs": 3},
        {"batch_size": 50},
        {"learning_rate": 0.02},
        {"weight_decay": 0.5},
        {"label_smoothing": 0.2},
        {"class_weight": {0: 3.0, 1: 1.0, 2: 1.0}},
    ],
    ids=str,
)
def test_every_parameter_matters(change):
    options = {"random_state": 0, "epochs": 2}
    before = SoftmaxClassifier(**options).fit(X, Y).predict_proba(X)
    after = SoftmaxClassifier(**{**options, **change}).fit(X, Y).predict_proba(X)
    assert not np.array_equal(before, after)
