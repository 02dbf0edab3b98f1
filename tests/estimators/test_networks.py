"""`SoftmaxClassifier`: fits, predictions, weights and parameters."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from scipy.special import softmax
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from polylogit import SoftmaxClassifier
from polylogit.errors import DataError, RecipeError

X, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)


@parametrize_with_checks(
    [SoftmaxClassifier(hidden=(16,), epochs=15, learning_rate=0.05, random_state=0)],
    expected_failed_checks=lambda estimator: {
        # As for scikit-learn's own estimators that step from batch to batch (SGDClassifier, Perceptron): which rows
        # share a step depends on how many there are. The check also asks for 1e-7, and float32 has no more digits.
        # That a weight is a repetition where a step sees all rows is tested below.
        f"check_sample_weight_equivalence_on_{kind}_data": "a row that appears twice is in other batches than one of "
        "weight 2"
        for kind in ("dense", "sparse")
    },
)
@pytest.mark.filterwarnings("ignore:X is not scaled:UserWarning")
def test_scikit_learn_checks(estimator, check):
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
def test_labels_outside_the_classes_are_an_error(call, message):
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


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_sparse_rows_give_the_model_of_dense_ones(make):
    options = {"random_state": 0, "epochs": 3, "early_stopping": True}
    rows = np.where(np.abs(X) > 0.5, X, 0.0)
    dense, of_sparse = SoftmaxClassifier(**options).fit(rows, Y), SoftmaxClassifier(**options).fit(make(rows), Y)
    np.testing.assert_allclose(of_sparse.predict_proba(make(rows)), dense.predict_proba(rows), atol=1e-6)
    np.testing.assert_allclose(of_sparse.loss_curve_, dense.loss_curve_, rtol=1e-5)


def test_a_wide_sparse_matrix_is_never_dense_as_a_whole():
    rows = sparse.random_array((2000, 200_000), density=1e-4, rng=np.random.default_rng(0), format="csr")
    model = SoftmaxClassifier(hidden=(), epochs=1, batch_size=50, random_state=0).fit(rows, np.arange(2000) % 2)
    assert model.predict_proba(rows[:3]).shape == (3, 2)  # as a whole it would be 1.6 GB


@pytest.mark.parametrize("classes", [2, 3])
def test_the_decision_function_is_the_logits(classes):
    rows, labels = X[classes > Y], Y[classes > Y]
    model = SoftmaxClassifier(epochs=2, random_state=0).fit(rows, labels)
    logits, probabilities = model.decision_function(rows), model.predict_proba(rows)
    if classes == 2:
        assert logits.shape == (100,)
        np.testing.assert_allclose(1 / (1 + np.exp(-logits)), probabilities[:, 1], rtol=1e-4)
    else:
        np.testing.assert_allclose(softmax(logits, axis=1), probabilities, rtol=1e-4)
    np.testing.assert_array_equal(model.predict(rows), probabilities.argmax(1))


def test_early_stopping_keeps_the_best_epoch():
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(200, 20)), rng.integers(0, 2, 200)
    model = SoftmaxClassifier(early_stopping=True, n_iter_no_change=3, validation_fraction=0.25, random_state=0)
    model.fit(rows, labels)
    best = int(np.argmin(model.validation_loss_curve_))
    assert model.n_iter_ == len(model.validation_loss_curve_) == best + 1 + 3
    assert len(model.loss_curve_) == model.n_iter_
    assert SoftmaxClassifier(epochs=2, random_state=0).fit(rows, labels).validation_loss_curve_ == []


def test_early_stopping_with_too_few_rows_is_an_error():
    with pytest.raises(DataError, match=r"validation_fraction=0.1 of 4 rows is 0. At least 1 row must be held out"):
        SoftmaxClassifier(early_stopping=True).fit(X[48:52], Y[48:52])
    with pytest.raises(DataError, match="early_stopping=True needs all rows at once"):
        SoftmaxClassifier(early_stopping=True).partial_fit(X, Y, classes=[0, 1, 2])


def test_weights_of_rows_that_are_held_out_count_in_the_validation_loss():
    options = {"early_stopping": True, "validation_fraction": 0.5, "epochs": 2, "random_state": 0}
    weights = np.linspace(0.1, 3, len(Y))
    weighted = SoftmaxClassifier(**options).fit(X, Y, sample_weight=weights)
    assert weighted.validation_loss_curve_[0] != SoftmaxClassifier(**options).fit(X, Y).validation_loss_curve_[0]


def test_a_warm_start_continues_the_last_fit():
    model = SoftmaxClassifier(epochs=5, warm_start=True, random_state=0).fit(X, Y)
    after_one = model.loss_curve_[-1]
    model.fit(X, Y)
    assert (model.n_iter_, len(model.loss_curve_)) == (10, 10)
    assert model.loss_curve_[5] < 2 * after_one
    assert model.set_params(hidden=(8,)).fit(X, Y).n_iter_ == 5
    assert model.set_params(warm_start=False).fit(X, Y).n_iter_ == 5


def test_verbose_reports_each_epoch(capsys):
    SoftmaxClassifier(epochs=2, verbose=1, early_stopping=True, random_state=0).fit(X, Y)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["epoch 1", "epoch 2"]
    assert "validation loss" in lines[1]


@pytest.mark.parametrize("hidden", [100, (100,), [100], np.array([100])])
def test_hidden_layers_are_a_number_or_several(hidden):
    model = SoftmaxClassifier(hidden=hidden, epochs=1, random_state=0).fit(X, Y)
    assert [tuple(weight.shape) for weight in model.network_.parameters()] == [(100, 4), (100,), (3, 100), (3,)]


@pytest.mark.parametrize("hidden", [(2.5,), (8, 0), (True,), ("8",), (-3,)])
def test_widths_that_are_no_counts_are_an_error(hidden):
    with pytest.raises(RecipeError, match="hidden: expected whole numbers of at least 1, got"):
        SoftmaxClassifier(hidden=hidden).fit(X, Y)


@pytest.mark.parametrize(
    ("rows", "name"), [(X * [1, 1e3, 1, 1], "column 1"), (pd.DataFrame(X * 1e-3, columns=list("abcd")), 'column "a"')]
)
def test_columns_that_are_not_scaled_give_a_warning(rows, name):
    with pytest.warns(UserWarning, match=f"X is not scaled: {name} has a root mean square of .* StandardScaler"):
        SoftmaxClassifier(epochs=1).fit(rows, Y)


def test_a_batch_larger_than_the_data_is_reduced():
    with pytest.warns(UserWarning, match="batch_size=500 is reduced to the number of rows, 150"):
        SoftmaxClassifier(epochs=1, batch_size=500).fit(X, Y)


def test_big_endian_numbers_give_the_same_model():
    swapped = SoftmaxClassifier(epochs=1, random_state=0).fit(X.astype(">f8"), Y.astype(">i8"), np.ones(150, ">f4"))
    plain = SoftmaxClassifier(epochs=1, random_state=0).fit(X, Y, np.ones(150))
    np.testing.assert_array_equal(swapped.predict_proba(X.astype(">f4")), plain.predict_proba(X.astype("f4")))


def test_the_first_fit_imports_no_compiler():
    code = (
        "import sys, numpy, polylogit\n"
        "polylogit.SoftmaxClassifier(epochs=1).fit(numpy.eye(4), [0, 1, 0, 1])\n"
        "assert 'torch._dynamo' not in sys.modules, 'seconds are lost in the first fit of a process'\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
