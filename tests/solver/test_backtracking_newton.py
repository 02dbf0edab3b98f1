import math

import pytest
import torch

from polylogit.solver.backtracking_newton import backtracking_length, cholesky_with_damping, minimize_newton


class LogSumExp:
    """log sum exp of some lines, plus a ridge that makes the minimum unique."""

    def __init__(self, ridge=1e-3, scale=1.0):
        generator = torch.Generator().manual_seed(0)
        self.lines = scale * torch.randn(40, 5, generator=generator, dtype=torch.float64)
        self.ridge = ridge

    def value(self, point):
        return float(torch.logsumexp(self.lines @ point, 0) + 0.5 * self.ridge * point.square().sum())

    def derivatives(self, point):
        p = torch.softmax(self.lines @ point, 0)
        mean = p @ self.lines
        hessian = (self.lines.T * p) @ self.lines - mean.outer(mean) + self.ridge * torch.eye(5, dtype=torch.float64)
        return mean + self.ridge * point, hessian


@pytest.mark.parametrize("far", [0.0, 1.0, 50.0])
def test_the_gradient_vanishes_at_the_minimum_from_anywhere(far):
    function = LogSumExp()
    found = minimize_newton(function, torch.full((5,), far, dtype=torch.float64), tolerance=1e-14)
    gradient, _ = function.derivatives(found.point)
    assert found.converged
    assert float(gradient.abs().max()) < 1e-6
    assert found.value == function.value(found.point)


def test_the_limit_of_iterations_is_reported_with_the_best_point():
    function = LogSumExp(scale=30.0)
    start = torch.full((5,), 50.0, dtype=torch.float64)
    found = minimize_newton(function, start, max_iterations=1)
    assert (found.stop_reason, found.iterations) == ("iterations", 1)
    assert found.value < function.value(start)


@pytest.mark.parametrize("scale", [1e155, 1e200, math.inf])
def test_derivatives_that_overflow_end_the_minimisation(scale):
    found = minimize_newton(LogSumExp(scale=scale), torch.ones(5, dtype=torch.float64))
    assert found.stop_reason == "rounding"
    torch.testing.assert_close(found.point, torch.ones(5, dtype=torch.float64))


def test_a_step_that_never_decreases_has_length_zero():
    assert backtracking_length(lambda length: 1 + length, 1.0, -1.0) == (0.0, 1.0)
    assert backtracking_length(lambda length: math.nan, 1.0, -1.0) == (0.0, 1.0)


def test_a_singular_matrix_is_damped_no_more_than_rounding_needs():
    factor = cholesky_with_damping(torch.ones(3, 3, dtype=torch.float64))
    torch.testing.assert_close(factor @ factor.T, torch.ones(3, 3, dtype=torch.float64), atol=1e-9, rtol=0)


@pytest.mark.parametrize("matrix", [[[math.nan]], [[math.inf]], [[-1.0]], [[0.0]], [[1.0, 9.0], [9.0, 1.0]]])
def test_what_has_no_factor_near_by_gives_none_or_a_finite_factor(matrix):
    factor = cholesky_with_damping(torch.tensor(matrix, dtype=torch.float64))
    assert factor is None or bool(torch.isfinite(factor).all())
