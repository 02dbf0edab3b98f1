import math

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.datasets import load_iris, load_wine
from sklearn.linear_model import LogisticRegression

from polylogit import SoftmaxRegression, SoftmaxRegressionCV
from polylogit.errors import DataError
from polylogit.solver import elastic_net
from polylogit.solver.lasso_quadratic import MatrixCurvature, OperatorCurvature, minimize_lasso_quadratic
from polylogit.solver.softmax_regression import fit_softmax_regression
from polylogit.system.csr_tensor import csr_tensor


@pytest.fixture(scope="module")
def wine():
    X, y = load_wine(return_X_y=True)
    return (X - X.mean(0)) / X.std(0), y


def fitted(X, y, *, C=math.inf, l1=5.0, tolerance=1e-9, **options):
    return fit_softmax_regression(
        torch.as_tensor(X), torch.as_tensor(y), classes=3, C=C, l1=l1, tolerance=tolerance, **options
    )


def gradient(X, y, fit):
    """The gradient of the summed losses by the weights, and by the intercepts."""
    rows = torch.as_tensor(X)
    weight, bias = fit.weight.clone().requires_grad_(), fit.bias.clone().requires_grad_()
    torch.nn.functional.cross_entropy(rows @ weight.T + bias, torch.as_tensor(y), reduction="sum").backward()
    return weight.grad, bias.grad


@pytest.mark.parametrize("C", [math.inf, 1.0, 0.01])
@pytest.mark.parametrize(
    ("scaled", "limit"), [(True, 2048), (False, 2048), (True, 0)], ids=["matrix", "matrix-unscaled", "products"]
)
def test_the_conditions_of_the_optimum_hold(wine, monkeypatch, C, scaled, limit):
    monkeypatch.setattr(elastic_net, "_MOST_IN_A_MATRIX", limit)
    X, y = wine if scaled else load_wine(return_X_y=True)
    fit = fitted(X, y, C=C)
    assert fit.converged, fit.message
    of_weights, of_intercepts = gradient(X, y, fit)
    of_weights = of_weights + (0 if math.isinf(C) else fit.weight / C)
    zero = fit.weight == 0
    slack = 5e-3 * (1 if scaled else X.std(0).max())
    assert 0 < int(zero.sum()) < zero.numel()
    assert float(of_weights[zero].abs().max()) <= 5 + slack
    torch.testing.assert_close(of_weights[~zero], -5 * fit.weight[~zero].sign(), atol=slack, rtol=0)
    assert float(of_intercepts.abs().max()) < 1e-3


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("l1_ratio", [0.3, 1.0])
def test_agrees_with_scikit_learn(wine, classes, l1_ratio):
    X, y = wine
    X, y = X[y < classes], y[y < classes]
    expected = LogisticRegression(C=0.2, l1_ratio=l1_ratio, solver="saga", tol=1e-8, max_iter=20_000).fit(X, y)
    model = SoftmaxRegression(C=0.2, l1_ratio=l1_ratio, tol=1e-10).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=1e-5)
    if l1_ratio < 1:  # else a number added to a column, as long as its median stays 0, changes nothing
        np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-5)
    assert abs(model.coef_).sum() <= abs(expected.coef_).sum() + 1e-6


@pytest.mark.parametrize("C", [math.inf, 0.1])
def test_the_gap_bounds_the_true_distance_at_every_iteration(wine, C):
    X, y = wine
    optimum = fitted(X, y, C=C, tolerance=1e-12).objective
    records = []
    fitted(X, y, C=C, on_iteration=records.append)
    assert len(records) > 3
    for record in records:
        assert -1e-12 <= record.objective / optimum - 1 <= record.optimality_gap + 1e-12
    assert records[-1].optimality_gap <= 1e-9


def test_a_strong_penalty_leaves_the_class_shares():
    X, y = load_iris(return_X_y=True)
    X, y = X[:120], y[:120]
    fit = fitted(X, y, l1=1e4)
    assert not fit.weight.any()
    torch.testing.assert_close(fit.bias.softmax(0), torch.tensor([50, 50, 20]).double() / 120, atol=1e-5, rtol=0)


def test_sparse_rows_and_float32_have_the_same_optimum(wine):
    X, y = wine
    X = np.where(np.abs(X) > 1, X, 0.0)
    dense = fitted(X, y, C=1.0)
    stored = sparse.csr_array(X)
    rows = csr_tensor(*(torch.as_tensor(part) for part in (stored.indptr, stored.indices, stored.data)), stored.shape)
    found = fitted(rows, y, C=1.0)
    torch.testing.assert_close(found.weight, dense.weight, atol=1e-5, rtol=0)
    narrow = fitted(X.astype(np.float32), y, C=1.0, tolerance=1e-4)
    assert narrow.objective == pytest.approx(dense.objective, rel=2e-4)


def test_a_weight_is_a_repetition(wine):
    X, y = wine
    times = np.arange(len(y)) % 3
    weighted = fitted(X, y, C=1.0, sample_weight=torch.tensor(times))
    repeated = fitted(X.repeat(times, 0), y.repeat(times), C=1.0)
    torch.testing.assert_close(weighted.weight, repeated.weight, atol=1e-5, rtol=0)


def test_few_columns_are_looked_at_among_many():
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(60, 3000, generator=generator, dtype=torch.float64)
    y = (X[:, 0] > 0).long() + (X[:, 1] > 0.5).long()
    fit = fit_softmax_regression(X, y, classes=3, C=math.inf, l1=4.0, tolerance=1e-6)
    assert fit.converged
    used = torch.nonzero(fit.weight.any(0))[:, 0].tolist()
    assert {0, 1} <= set(used)
    assert len(used) < 60


def test_a_start_near_the_optimum_saves_iterations(wine):
    X, y = wine
    fit = fitted(X, y, C=1.0)
    again = fitted(X, y, C=1.0, initial=(fit.weight, fit.bias), tolerance=1e-6)
    assert again.iterations == 0
    torch.testing.assert_close(again.weight, fit.weight)


def test_a_class_without_rows_gets_no_weights(wine):
    X, y = wine
    fit = fit_softmax_regression(torch.as_tensor(X), torch.as_tensor(y), classes=4, l1=5.0)
    assert not fit.weight[3].any()
    assert fit.bias[3] < fit.bias[:3].min() - 20


def test_an_interrupt_returns_the_best_point_so_far(wine):
    X, y = wine

    def interrupt(record):
        if record.iteration == 2:
            raise KeyboardInterrupt

    fit = fitted(X, y, on_iteration=interrupt)
    assert fit.stop_reason == "interrupted"
    assert fit.weight.any()


@pytest.mark.parametrize("bad", [-1.0, math.inf, math.nan])
def test_a_strength_out_of_range_is_refused(wine, bad):
    with pytest.raises(DataError, match="l1: expected a finite number"):
        fitted(*wine, l1=bad)


def test_the_quadratic_minimum_fulfils_its_conditions_either_way():
    generator = torch.Generator().manual_seed(1)
    factor = torch.randn(40, 30, generator=generator, dtype=torch.float64)
    matrix = factor.T @ factor / 40
    towards = 2 * torch.randn(30, generator=generator, dtype=torch.float64)
    start = torch.zeros(30, dtype=torch.float64)
    thresholds = torch.ones(30, dtype=torch.float64)
    thresholds[-1] = 0
    by_matrix = MatrixCurvature(matrix)
    by_products = OperatorCurvature(matrix.mv, matrix.diagonal())
    points = [
        minimize_lasso_quadratic(curvature, -towards, start, thresholds, reduction=1e-9)
        for curvature in (by_matrix, by_products)
    ]
    torch.testing.assert_close(*points, atol=1e-6, rtol=0)
    slope, zero = matrix @ points[0] - towards, points[0] == 0
    assert 0 < int(zero.sum()) < 29
    assert bool((slope.abs() <= thresholds + 1e-6)[zero].all())
    torch.testing.assert_close(slope[~zero], -(thresholds * points[0].sign())[~zero], atol=1e-6, rtol=0)


def test_the_path_chooses_among_penalties(wine):
    X, y = wine
    model = SoftmaxRegressionCV(Cs=[0.001, 0.1, 1.0], l1_ratio=1.0, cv=3).fit(X, y)
    assert model.C_ > 0.001
    assert 0 < np.count_nonzero(model.coef_) < model.coef_.size
    assert float(model.optimality_gaps_.max()) <= 1e-4
