import math
from dataclasses import replace

import pytest
import torch
from torch.autograd.functional import hessian, jacobian

from polylogit.solver.intercepts import balance_intercepts
from polylogit.solver.newton_direction import newton_direction, step_length

OPTIONS = {"forcing": 0.0, "small_enough": 0.0, "most_products": 200}


def _summing_to_zero(rows):
    return rows - rows.mean(0)


def _settled(problem, weight, shares, **options):
    """The point with balanced intercepts, and its softmax."""
    logits = problem.design.logits(weight, torch.float64)
    return balance_intercepts(problem, weight, logits, problem.softmax(weight, logits), shares=shares, **options)


@pytest.fixture(params=[True, False], ids=["intercept", "no intercept"])
def intercept(request):
    return request.param


@pytest.fixture(params=[True, False], ids=["csr", "dense"])
def csr(request):
    return request.param


@pytest.fixture
def case(made_rows, made_problem, plain_objective, intercept, csr):
    """A problem, F written plainly, and a point."""
    X = made_rows(200, 4) * torch.tensor([1.0, 3.0, 0.3, 1.0]) + 1
    weights = torch.arange(200, dtype=torch.float64) % 3
    problem = made_problem(X=X, C=0.03, intercept=intercept, csr=csr, weights=weights)
    return problem, plain_objective(problem, X), _summing_to_zero(made_rows(3, problem.design.columns, seed=1))


def _direction(problem, plain, weight, **options):
    probabilities = torch.softmax(problem.design.logits(weight, torch.float64), 0)
    gradient = jacobian(plain, weight)
    return gradient, newton_direction(problem, probabilities, gradient, _summing_to_zero, **(OPTIONS | options))


def test_solved_to_the_end_it_is_newton_s_step(case):
    problem, plain, weight = case
    gradient, direction = _direction(problem, plain, weight, small_enough=1e-13)
    size = weight.numel()
    whole = hessian(plain, weight).reshape(size, size)
    # The same number in every class changes nothing: of all solutions, the one that sums to zero.
    expected = torch.linalg.pinv(whole, rtol=1e-10, hermitian=True) @ -gradient.flatten()
    torch.testing.assert_close(direction.step.flatten(), expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("products", [1, 2, 5])
def test_cut_short_it_descends_and_reports_what_is_left(case, products):
    problem, plain, weight = case
    gradient, direction = _direction(problem, plain, weight, most_products=products)
    assert direction.products == products
    assert float((gradient * direction.step).sum()) < 0
    torch.testing.assert_close(direction.step.sum(0), torch.zeros_like(direction.step[0]), rtol=0, atol=1e-12)
    torch.testing.assert_close(direction.logit_change, problem.design.logits(direction.step, torch.float64))
    size = weight.numel()
    whole = hessian(plain, weight).reshape(size, size)
    left = -gradient - (whole @ direction.step.flatten()).view_as(weight)
    torch.testing.assert_close(direction.residual, left, rtol=1e-9, atol=1e-12)
    # Newton's model of F falls with every product.
    model = (gradient * direction.step).sum() - 0.5 * ((gradient + left) * direction.step).sum()
    shorter = _direction(problem, plain, weight, most_products=products - 1)[1].step.flatten()
    assert float(model) < float(gradient.flatten() @ shorter + 0.5 * shorter @ whole @ shorter)


def test_a_number_added_to_every_class_s_gradient_changes_nothing(case):
    problem, plain, weight = case
    gradient, direction = _direction(problem, plain, weight, most_products=3)
    probabilities = torch.softmax(problem.design.logits(weight, torch.float64), 0)
    raised = newton_direction(problem, probabilities, gradient + 1, _summing_to_zero, **OPTIONS | {"most_products": 3})
    torch.testing.assert_close(raised.step, direction.step, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(raised.residual, direction.residual, rtol=1e-9, atol=1e-12)


def test_it_stops_at_either_size_of_residual(case):
    problem, plain, weight = case
    gradient, by_forcing = _direction(problem, plain, weight, forcing=0.1)
    assert float(by_forcing.residual.norm()) <= 0.1 * float(gradient.norm())
    _, shorter = _direction(problem, plain, weight, most_products=by_forcing.products - 1)
    assert float(shorter.residual.norm()) > 0.1 * float(gradient.norm())
    size = 0.05 * float(gradient.norm())
    _, by_size = _direction(problem, plain, weight, small_enough=size)
    assert float(by_size.residual.norm()) <= size
    _, shorter = _direction(problem, plain, weight, most_products=by_size.products - 1)
    assert float(shorter.residual.norm()) > size


def test_a_step_that_could_be_the_last_is_solved_to_the_size_of_residual(case):
    problem, plain, weight = case
    gradient, loose = _direction(problem, plain, weight, forcing=0.1)
    size = 1e-3 * float(gradient.norm())
    options = {"forcing": 0.1, "small_enough": size}
    _, far = _direction(problem, plain, weight, closing=0.5 * loose.decrease, **options)
    assert far.products == loose.products
    _, near = _direction(problem, plain, weight, closing=10 * loose.decrease, **options)
    slopes = problem.design.columns - problem.design.intercept
    assert float(near.residual[:, :slopes].norm()) <= size < float(far.residual[:, :slopes].norm())


def test_the_promised_decrease_is_that_of_the_second_order_model(case):
    problem, plain, weight = case
    gradient, direction = _direction(problem, plain, weight, most_products=3)
    model = (gradient * direction.step).sum() - 0.5 * ((gradient + direction.residual) * direction.step).sum()
    assert direction.decrease == pytest.approx(-float(model), rel=1e-9)


def test_without_a_gradient_there_is_no_step(case):
    problem, _, weight = case
    probabilities = torch.softmax(problem.design.logits(weight, torch.float64), 0)
    direction = newton_direction(problem, probabilities, torch.zeros_like(weight), _summing_to_zero, **OPTIONS)
    assert direction.products == 0
    assert not bool(direction.step.any())
    assert step_length(problem, weight, weight.new_zeros(3, 200), torch.zeros_like(weight), direction) == 0


def test_columns_that_repeat_one_another_end_it_without_a_penalty(made_rows, made_problem, plain_objective):
    X = made_rows(200, 3).repeat(1, 2)
    problem = made_problem(X=X, C=math.inf)
    weight = torch.zeros(3, 7, dtype=torch.float64)
    gradient, direction = _direction(problem, plain_objective(problem, X), weight)
    assert direction.products < OPTIONS["most_products"]
    assert float(direction.step.norm()) < 1e3
    assert float(direction.residual.norm()) < 1e-9 * float(gradient.norm())


def test_a_search_along_which_the_hessian_has_nothing_ends_it(made_rows, made_problem):
    X = made_rows(200, 3)
    X[:, 0] = 1e-5 * X[:, 1]
    problem = made_problem(X=X, C=math.inf, intercept=False)
    gradient = torch.zeros(3, 3, dtype=torch.float64)
    gradient[:, 0] = torch.tensor([1.0, -1.0, 0.0])
    probabilities = torch.full((3, 200), 1 / 3, dtype=torch.float64)
    direction = newton_direction(problem, probabilities, gradient, _summing_to_zero, **OPTIONS)
    # Its curvature is some 1e-11: a step along it would be 1e11 long.
    assert direction.products == 1
    assert not bool(direction.step.any())
    assert direction.decrease == 0
    torch.testing.assert_close(direction.residual, -gradient)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_length_takes_nine_tenths_of_the_slope_off(case, scale):
    problem, plain, weight = case
    gradient, direction = _direction(problem, plain, weight, most_products=3)
    direction = replace(direction, step=scale * direction.step, logit_change=scale * direction.logit_change)
    logits = problem.design.logits(weight, torch.float64)
    length = step_length(problem, weight, logits, gradient, direction)

    def slope(at):
        return float((jacobian(plain, weight + at * direction.step) * direction.step).sum())

    assert length > 0
    assert abs(slope(length)) <= 0.1 * abs(slope(0)) * (1 + 1e-9)
    assert float(plain(weight + length * direction.step)) < float(plain(weight))


def test_a_direction_that_climbs_has_no_length(case):
    problem, plain, weight = case
    gradient, direction = _direction(problem, plain, weight, most_products=3)
    climbing = replace(direction, step=-direction.step, logit_change=-direction.logit_change)
    logits = problem.design.logits(weight, torch.float64)
    assert step_length(problem, weight, logits, gradient, climbing) == 0


def test_where_the_slope_is_rounding_the_step_is_taken_whole(made_rows, made_problem, plain_objective, minimised):
    X = made_rows(200, 4)
    problem = made_problem(X=X)
    weight, plain = minimised(problem, tolerance=1e-14)[0].weight, plain_objective(problem, X)
    for _ in range(2):
        weight = weight + _direction(problem, plain, weight)[1].step
    gradient, direction = _direction(problem, plain, weight)
    assert float((gradient * direction.step).sum()) < 0
    assert step_length(problem, weight, problem.design.logits(weight, torch.float64), gradient, direction) == 1


@pytest.mark.parametrize(("far", "rounds"), [(0.0, 8), (1.0, 8), (8.0, 50)])
def test_settled_intercepts_give_each_class_its_share(  # noqa: PLR0917 - fixtures
    made_rows, made_problem, plain_objective, csr, far, rounds
):
    X = made_rows(200, 4)
    problem = made_problem(X=X, csr=csr, weights=torch.arange(200, dtype=torch.float64) % 3)
    weight = made_rows(3, 5, seed=1)
    weight[:, -1] = far * torch.tensor([1.0, 0.0, -1.0])
    shares = torch.zeros(3, dtype=torch.float64).index_add_(0, problem.targets, problem.omega)
    before = weight.clone()
    settled, softmax = _settled(problem, weight, shares, tolerance=1e-12, most_rounds=rounds)
    assert torch.equal(weight, before)
    assert torch.equal(settled[:, :-1], weight[:, :-1])
    assert float((settled - weight).sum()) == pytest.approx(0, abs=1e-12)
    mean = torch.softmax(problem.design.logits(settled, torch.float64), 0) @ problem.omega
    torch.testing.assert_close(mean, shares, rtol=2e-12, atol=0)
    torch.testing.assert_close(softmax.class_means, mean, rtol=1e-12, atol=0)
    plain = plain_objective(problem, X)
    torch.testing.assert_close(jacobian(plain, settled)[:, -1], torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-12)
    assert float(plain(settled)) <= float(plain(weight)) + 1e-15


def test_every_round_of_settling_descends_and_settled_ones_stay(made_rows, made_problem, plain_objective):
    X = made_rows(200, 4)
    problem = made_problem(X=X)
    weight = made_rows(3, 5, seed=1)
    weight[:, -1] = torch.tensor([6.0, 0.0, -6.0])
    shares = torch.zeros(3, dtype=torch.float64).index_add_(0, problem.targets, problem.omega)
    objectives = []
    for rounds in range(6):
        settled, softmax = _settled(problem, weight, shares, tolerance=1e-12, most_rounds=rounds)
        objectives.append(float(plain_objective(problem, X)(settled)))
        assert softmax.objective == pytest.approx(objectives[-1], rel=1e-13)
    assert objectives == sorted(objectives, reverse=True)
    assert objectives[-1] < objectives[0]
    settled, _ = _settled(problem, weight, shares, tolerance=1e-12, most_rounds=50)
    assert torch.equal(_settled(problem, settled, shares, tolerance=1e-9)[0], settled)
