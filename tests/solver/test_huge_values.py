"""Values so large that sums overflow, or that a penalty is lost beside them: an error or a stop reason."""

import math

import pytest
import torch

from polylogit.errors import DataError
from polylogit.solver.softmax_regression import fit_softmax_regression
from polylogit.system.csr_tensor import csr_tensor

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(200, 5, generator=GENERATOR, dtype=torch.float64)
Y = torch.arange(200) % 3
SEPARABLE = (X[:, 0] > 0).long()


@pytest.mark.parametrize("value", [1e101, -1e155, 1e200, -1.7e308])
@pytest.mark.parametrize("columns", [5, 90])
def test_a_huge_value_is_named_by_row_and_column(value, columns):
    rows = X.repeat(1, columns // 5)
    rows[17, 3] = value
    with pytest.raises(DataError, match=r"row 17, column 3: .*got -?1\.?\d*e\+"):
        fit_softmax_regression(rows, Y, classes=3)


def test_a_huge_value_in_sparse_rows_is_named():
    rows = csr_tensor(
        torch.tensor([0, 0, 2, 3]),
        torch.tensor([0, 4, 2]),
        torch.tensor([1.0, -1e200, 1.0], dtype=torch.float64),
        (3, 5),
    )
    with pytest.raises(DataError, match="row 1, column 4"):
        fit_softmax_regression(rows, torch.tensor([0, 1, 0]), classes=2)


def test_a_huge_value_in_more_columns_than_rows_is_named():
    rows = torch.ones(4, 40, dtype=torch.float64)
    rows[2, 39] = 1e155
    with pytest.raises(DataError, match="row 2, column 39"):
        fit_softmax_regression(rows, torch.tensor([0, 1, 0, 1]), classes=2)


@pytest.mark.parametrize("scale", [1e15, 1e30, 1e60, 1e99])
def test_a_penalty_lost_to_rounding_is_the_reason_given(scale):
    fit = fit_softmax_regression(X * scale, Y, classes=3, max_iterations=30)
    assert fit.stop_reason == "weak_penalty"
    assert not fit.converged
    assert "column" in fit.message
    assert math.isfinite(fit.objective)


@pytest.mark.parametrize("scale", [1e20, 1e30, 1e37])
def test_large_values_in_float32_end_with_a_finite_objective(scale):
    rows = torch.randn(3000, 300, generator=torch.Generator().manual_seed(0)) * scale / 6
    fit = fit_softmax_regression(rows, torch.arange(3000) % 3, classes=3, max_iterations=5)
    assert math.isfinite(fit.objective)
    assert fit.stop_reason in {"weak_penalty", "separable"}


@pytest.mark.parametrize("C", [1e25, 1e30])
def test_separable_classes_with_a_weak_penalty_are_the_reason_given(C):
    fit = fit_softmax_regression(X, SEPARABLE, classes=2, C=C, max_iterations=20)
    assert fit.stop_reason == "separable"
    assert "weak" in fit.message


def test_the_limit_of_iterations_is_a_reason_of_its_own():
    fit = fit_softmax_regression(X, Y, classes=3, max_iterations=1, tolerance=1e-12)
    assert fit.stop_reason == "iterations"
    assert not fit.converged


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("which", [0, 1])
def test_a_start_that_is_not_finite_is_named(bad, which):
    initial = (torch.zeros(3, 5), torch.zeros(3))
    initial[which][2] = bad
    with pytest.raises(DataError, match=r"initial (weights|intercepts), entry \[2"):
        fit_softmax_regression(X, Y, classes=3, initial=initial)


def test_a_start_of_another_shape_is_named():
    with pytest.raises(DataError, match=r"initial weights: expected shape \(3, 5\), got \(3, 4\)"):
        fit_softmax_regression(X, Y, classes=3, initial=(torch.zeros(3, 4), torch.zeros(3)))
