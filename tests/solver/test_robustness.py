"""Data that make other solvers fail: every one is fitted to its certified tolerance."""

import math

import pytest
import torch

from polylogit.errors import DataError
from polylogit.solver.softmax_regression import fit_softmax_regression
from polylogit.system.csr_tensor import csr_tensor

ROWS, COLUMNS = 600, 12
GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(ROWS, COLUMNS, generator=GENERATOR)
Y = (X[:, :4] + torch.randn(ROWS, 4, generator=GENERATOR)).argmax(1)
SCALES = torch.logspace(-3, 4, COLUMNS)


def objective(fit, features, targets, C, weights=None):
    """F in float64, from its definition."""
    weights = torch.ones(len(targets)).double() if weights is None else weights.double()
    logits = features.double() @ fit.weight.T + fit.bias
    losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    total = weights.sum()
    return float((weights @ losses + fit.weight.square().sum() / (2 * C)) / total)


HARD = {
    "scales from 1e-3 to 1e4": (X * SCALES, Y),
    "offsets of a thousand spreads": (X * SCALES + 1e3 * SCALES, Y),
    "float32 beside 1e5": (X + 1e5, Y),
    "constant columns": (torch.cat([X, torch.full((ROWS, 2), 7.0), torch.zeros(ROWS, 1)], 1), Y),
    "duplicate columns": (torch.cat([X, X], 1), Y),
    "more columns than rows": (torch.randn(60, 900, generator=GENERATOR), torch.arange(60) % 4),
    "one row in a class": (X, torch.where(torch.arange(ROWS) < 3, torch.arange(ROWS) + 1, 0)),
    "bytes": ((X * 20 + 100).clamp(0, 255).to(torch.uint8), Y),
    "half precision": (X.half(), Y),
    "64-bit whole numbers": ((X * 4).long(), Y),
    "one column": (X[:, :1], Y),
}


@pytest.mark.parametrize("C", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("name", HARD)
def test_hard_data_are_fitted_to_the_tolerance(name, C):
    features, targets = HARD[name]
    fit = fit_softmax_regression(features, targets, classes=4, C=C)
    assert fit.converged, fit.message
    assert fit.optimality_gap <= 1e-4
    assert fit.objective == pytest.approx(objective(fit, features, targets, C), rel=1e-5)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_weights_of_any_size(scale):
    weights = torch.rand(ROWS, generator=torch.Generator().manual_seed(1)).double() * scale
    weights[::3] = 0
    C = 1 / scale
    fit = fit_softmax_regression(X, Y, classes=4, C=C, sample_weight=weights)
    assert fit.converged
    assert fit.objective == pytest.approx(objective(fit, X, Y, C, weights), rel=1e-6)


def test_without_a_penalty_the_bound_holds_and_the_gradient_vanishes():
    fit = fit_softmax_regression(X, Y, classes=4, C=math.inf, tolerance=1e-8)
    assert fit.converged
    residuals = torch.softmax(X.double() @ fit.weight.T + fit.bias, 1)
    residuals[torch.arange(ROWS), Y] -= 1
    torch.testing.assert_close(residuals.T @ X.double() / ROWS, torch.zeros(4, COLUMNS).double(), atol=1e-4, rtol=0)


def test_separable_classes_without_a_penalty_stop_and_say_so():
    fit = fit_softmax_regression(
        torch.tensor([[0.0], [1.0], [2.0], [3.0]]), torch.tensor([0, 0, 1, 1]), classes=2, C=math.inf
    )
    assert not fit.converged
    assert "separable" in fit.message


def test_an_absent_class_is_never_likely_and_costs_nothing():
    with_it = fit_softmax_regression(X, Y, classes=6, tolerance=1e-8)
    without = fit_softmax_regression(X, Y, classes=4, tolerance=1e-8)
    assert with_it.converged
    assert with_it.objective == pytest.approx(without.objective, rel=1e-7)
    probabilities = torch.softmax(X.double() @ with_it.weight.T + with_it.bias, 1)
    assert float(probabilities[:, 4:].max()) < 1e-6


def test_one_class_alone_needs_no_step():
    fit = fit_softmax_regression(X, torch.zeros(ROWS, dtype=torch.int64), classes=2)
    assert fit.converged
    assert fit.objective == 0


def test_two_hundred_classes():
    targets = torch.arange(ROWS) % 200
    fit = fit_softmax_regression(X, targets, classes=200)
    assert fit.converged


def test_sparse_rows_give_the_answer_of_dense_ones():
    thin = torch.where(X.abs() > 1, X, 0.0)
    kept = thin != 0
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), kept.sum(1).cumsum(0)])
    matrix = csr_tensor(starts, kept.nonzero()[:, 1], thin[kept], (ROWS, COLUMNS))
    dense = fit_softmax_regression(thin, Y, classes=4, tolerance=1e-11)
    sparse = fit_softmax_regression(matrix, Y, classes=4, tolerance=1e-11)
    torch.testing.assert_close(sparse.weight, dense.weight, atol=1e-4, rtol=0)


def test_float32_products_reach_the_optimum_of_float64():
    generator = torch.Generator().manual_seed(2)
    rows = torch.randn(20_000, 40, generator=generator)
    targets = (rows[:, :6] * 2 + torch.randn(20_000, 6, generator=generator)).argmax(1)
    loose = fit_softmax_regression(rows, targets, classes=6)
    tight = fit_softmax_regression(rows.double(), targets, classes=6, tolerance=1e-9)
    assert tight.converged
    assert 0 <= objective(loose, rows, targets, 1.0) / tight.objective - 1 <= 1e-4


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_value_that_is_no_number_is_named(bad):
    rows = X.clone()
    rows[17, 3] = bad
    with pytest.raises(DataError, match="row 17, column 3"):
        fit_softmax_regression(rows, Y, classes=4)
