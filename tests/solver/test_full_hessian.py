import pytest
import torch

from polylogit.solver.full_hessian import WholeDescent


def test_pays_only_for_few_numbers_and_with_a_penalty(made_problem):
    assert WholeDescent.pays(made_problem())
    assert not WholeDescent.pays(made_problem(columns=100))
    assert not WholeDescent.pays(made_problem(rows=100_000, columns=20))
    assert not WholeDescent.pays(made_problem(C=float("inf")))


def test_the_bound_holds_at_every_point_and_the_optimum_is_that_of_conjugate_gradients(made_problem, descended):
    problem = made_problem()
    optimum = descended(problem, tolerance=1e-13)[0].objective
    descent = WholeDescent(problem, tolerance=1e-12)
    descent.place(torch.zeros(3, 7, dtype=torch.float64))
    descent.measure()
    while not descent.verdict():
        assert descent.objective - optimum <= descent.absolute_gap + 1e-14
        descent.step()
        descent.measure()
    assert descent.verdict() == "the tolerance"
    assert descent.objective == pytest.approx(optimum, rel=1e-12)


def test_newtons_step_solves_newtons_equation(made_problem):
    problem = made_problem()
    descent = WholeDescent(problem, tolerance=1e-12)
    descent.place(torch.randn(3, 7, dtype=torch.float64))
    descent.measure()
    shares = torch.softmax(problem.design.logits(descent.weight, torch.float64), 0)
    pulled = problem.pulled_residuals(shares)
    gradient = pulled + problem.penalty * descent.weight
    curved, _ = problem.hessian_product(shares, descent._step)
    torch.testing.assert_close(curved, -(gradient - gradient.mean(0)), atol=1e-12, rtol=1e-9)


def test_a_step_too_far_is_halved(made_problem):
    problem = made_problem(C=1e6)
    descent = WholeDescent(problem, tolerance=1e-9)
    descent.place(20 * torch.randn(3, 7, dtype=torch.float64))
    descent.measure()
    before = descent.objective
    descent.step()
    assert descent.objective < before
