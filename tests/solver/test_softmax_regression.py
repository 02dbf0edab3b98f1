import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris, load_wine
from sklearn.linear_model import LogisticRegression

from polylogit.errors import DataError
from polylogit.solver.softmax_regression import IterationRecord, fit_softmax_regression


def reference(X, y, C=1.0, sample_weight=None):
    model = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-13, max_iter=1000)
    return model.fit(X, y, sample_weight=sample_weight)


@pytest.mark.parametrize("load", [load_iris, load_wine])
@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
def test_agrees_with_scikit_learn(load, C):
    X, y = load(return_X_y=True)
    X = (X - X.mean(0)) / X.std(0)
    expected = reference(X, y, C)
    fit = fit_softmax_regression(torch.tensor(X), torch.tensor(y), classes=3, C=C, tolerance=1e-12)
    assert fit.converged
    np.testing.assert_allclose(fit.weight, expected.coef_, atol=1e-5)
    # scikit-learn leaves the sum of the free intercepts, which changes no probability, where its solver put it.
    np.testing.assert_allclose(fit.bias, expected.intercept_ - expected.intercept_.mean(), atol=1e-5)


def test_the_gap_bounds_the_true_distance_at_every_iteration():
    X, y = load_iris(return_X_y=True)
    rows, targets = torch.tensor(X), torch.tensor(y)
    optimum = fit_softmax_regression(rows, targets, classes=3, tolerance=1e-13).objective
    records: list[IterationRecord] = []
    fit_softmax_regression(rows, targets, classes=3, tolerance=1e-9, on_iteration=records.append)
    assert len(records) > 2
    for record in records:
        assert record.objective / optimum - 1 <= record.optimality_gap + 1e-12


def test_a_weight_is_a_repetition():
    X, y = load_iris(return_X_y=True)
    times = np.arange(len(y)) % 4
    weighted = fit_softmax_regression(
        torch.tensor(X), torch.tensor(y), classes=3, sample_weight=torch.tensor(times), tolerance=1e-12
    )
    repeated = fit_softmax_regression(
        torch.tensor(X.repeat(times, 0)), torch.tensor(y.repeat(times)), classes=3, tolerance=1e-12
    )
    torch.testing.assert_close(weighted.weight, repeated.weight, atol=1e-5, rtol=1e-5)
    assert weighted.objective == pytest.approx(repeated.objective, rel=1e-11)


def test_the_same_input_gives_the_same_bits():
    X, y = load_wine(return_X_y=True)
    one, two = (fit_softmax_regression(torch.tensor(X), torch.tensor(y), classes=3) for _ in range(2))
    assert torch.equal(one.weight, two.weight)
    assert torch.equal(one.bias, two.bias)


def test_an_interrupt_returns_the_best_point_so_far():
    X, y = load_wine(return_X_y=True)

    def interrupt(record):
        if record.iteration == 2:
            raise KeyboardInterrupt

    fit = fit_softmax_regression(torch.tensor(X), torch.tensor(y), classes=3, on_iteration=interrupt)
    assert not fit.converged
    assert "stopped by an interrupt" in fit.message
    assert fit.objective < np.log(3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"targets": torch.tensor([0, 1, 5])}, "class indices 0 to 1"),
        ({"targets": torch.tensor([0, 1])}, "for each of 3 rows"),
        ({"C": 0.0}, "positive number"),
        ({"tolerance": -1.0}, "tolerance: expected a number of at least 0, got -1.0"),
        ({"max_iterations": -1}, "max_iterations: expected a number of at least 0, got -1"),
        ({"sample_weight": torch.tensor([1.0, -1.0, 1.0])}, "weight >= 0"),
        ({"sample_weight": torch.zeros(3)}, "not all of them 0"),
    ],
)
def test_says_what_is_wrong_with_the_input(change, words):
    options = {"features": torch.eye(3), "targets": torch.tensor([0, 1, 1]), "classes": 2} | change
    with pytest.raises(DataError, match=words):
        fit_softmax_regression(**options)
