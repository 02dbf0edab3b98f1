import pytest
import torch

from polylogit.solver.full_hessian import FullHessianNewton


def test_applies_only_to_few_numbers_and_with_a_penalty(made_problem):
    assert FullHessianNewton.is_applicable(made_problem())
    assert not FullHessianNewton.is_applicable(made_problem(columns=100))
    assert not FullHessianNewton.is_applicable(made_problem(rows=100_000, columns=20))
    assert not FullHessianNewton.is_applicable(made_problem(C=float("inf")))


def test_the_bound_holds_at_every_point_and_the_optimum_is_that_of_conjugate_gradients(made_problem, minimised):
    problem = made_problem()
    optimum = minimised(problem, tolerance=1e-13)[0].objective
    solver = FullHessianNewton(problem, tolerance=1e-12)
    solver.set_point(torch.zeros(3, 7, dtype=torch.float64))
    solver.evaluate()
    while solver.stop_reason() is None:
        assert solver.objective - optimum <= solver.absolute_gap + 1e-14
        solver.step()
        solver.evaluate()
    assert solver.stop_reason() == "tolerance"
    assert solver.objective == pytest.approx(optimum, rel=1e-12)


def test_newtons_step_solves_newtons_equation(made_problem):
    problem = made_problem()
    solver = FullHessianNewton(problem, tolerance=1e-12)
    solver.set_point(torch.randn(3, 7, dtype=torch.float64))
    solver.evaluate()
    shares = torch.softmax(problem.design.logits(solver.weight, torch.float64), 0)
    adjoint = problem.residual_sums(shares)
    gradient = adjoint + problem.penalty * solver.weight
    product, _ = problem.hessian_product(shares, solver._step)
    torch.testing.assert_close(product, -(gradient - gradient.mean(0)), atol=1e-12, rtol=1e-9)


def test_a_step_too_far_is_halved(made_problem):
    problem = made_problem(C=1e6)
    solver = FullHessianNewton(problem, tolerance=1e-9)
    solver.set_point(20 * torch.randn(3, 7, dtype=torch.float64))
    solver.evaluate()
    before = solver.objective
    solver.step()
    assert solver.objective < before
