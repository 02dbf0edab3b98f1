import pytest
import torch
from torch.autograd.functional import hvp, jacobian


@pytest.fixture(params=[True, False], ids=["intercept", "no intercept"])
def intercept(request):
    return request.param


@pytest.fixture(params=[0.1, 100.0, float("inf")])
def inverse_penalty(request):
    return request.param


@pytest.fixture(params=[True, False], ids=["csr", "dense"])
def case(request, made_rows, made_problem, plain_objective, intercept, inverse_penalty):  # noqa: PLR0917 - each is a fixture
    """A problem with uneven weights, some of them 0, and columns away from 0; F written plainly; a point."""
    X = made_rows(120, 5) + torch.arange(5)
    weights = torch.arange(120, dtype=torch.float64) % 4
    problem = made_problem(X=X, classes=4, C=inverse_penalty, intercept=intercept, csr=request.param, weights=weights)
    weight = made_rows(4, problem.design.columns, seed=1)
    return problem, plain_objective(problem, X), weight


def test_the_objective_is_torch_s_cross_entropy_and_the_penalty(case):
    problem, plain, weight = case
    objective = problem.objective(weight, problem.design.logits(weight, torch.float64))
    assert objective == pytest.approx(float(plain(weight)), rel=1e-13)


@pytest.mark.parametrize("precision", [torch.float64, torch.float32])
def test_one_pass_gives_probabilities_their_means_and_the_objective(case, precision):
    problem, plain, weight = case
    logits = problem.design.logits(weight, torch.float64).to(precision)
    logits[:, 0] += 500  # far from 0, but no other probabilities
    before, used = logits.clone(), torch.empty_like(logits)
    softmax = problem.softmax(weight, logits, out=used)
    assert torch.equal(logits, before)
    assert softmax.probabilities is used
    rounding = 1e-13 if precision == torch.float64 else 1e-5
    expected = torch.softmax(logits.double(), 0)
    torch.testing.assert_close(used.double(), expected, rtol=rounding, atol=rounding)
    torch.testing.assert_close(softmax.class_means, expected @ problem.omega, rtol=rounding, atol=0)
    assert softmax.objective == pytest.approx(float(plain(weight)), rel=rounding)


def test_the_residuals_pulled_back_are_autograd_s_gradient(case):
    problem, plain, weight = case
    probabilities = torch.softmax(problem.design.logits(weight, torch.float64), 0)
    gradient = problem.residual_sums(probabilities) + problem.penalty * weight
    expected = jacobian(plain, weight)
    torch.testing.assert_close(gradient, expected, rtol=1e-11, atol=1e-13)


def test_the_hessian_s_product_is_autograd_s(case, made_rows):
    problem, plain, weight = case
    direction = made_rows(*weight.shape, seed=2)
    probabilities = torch.softmax(problem.design.logits(weight, torch.float64), 0)
    product, logit_change = problem.hessian_product(probabilities, direction)
    torch.testing.assert_close(product, hvp(plain, weight, direction)[1], rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(logit_change, problem.design.logits(direction, torch.float64), rtol=0, atol=0)


def test_the_probabilities_survive_their_residuals_and_products(case, made_rows):
    problem, _, weight = case
    probabilities = torch.softmax(problem.design.logits(weight, torch.float64), 0)
    before = probabilities.clone()
    problem.residual_sums(probabilities)
    problem.hessian_product(probabilities, made_rows(*weight.shape, seed=2))
    assert torch.equal(probabilities, before)


def test_the_ridge_weighs_every_column_but_the_intercept_s(case):
    problem, _, weight = case
    far = weight.clone()
    far[:, -1] += 7
    objectives = [problem.objective(point, torch.zeros(4, 120, dtype=torch.float64)) for point in (weight, far)]
    expected = 0 if problem.design.intercept else problem.ridge / 2 * (far.square() - weight.square()).sum()
    assert objectives[1] - objectives[0] == pytest.approx(float(expected), abs=1e-12)


def test_blocks_hold_every_row_once_and_sum_to_the_whole(made_rows, made_problem, plain_objective):
    X = made_rows(2500, 3)
    problem = made_problem(X=X, classes=300)
    blocks = list(problem.blocks())
    assert len(blocks) > 1
    numbers = torch.arange(2500)
    assert torch.equal(torch.cat([numbers[block] for block in blocks]), numbers)
    weight = made_rows(300, 4, seed=1)
    objective = problem.objective(weight, problem.design.logits(weight, torch.float64))
    assert objective == pytest.approx(float(plain_objective(problem, X)(weight)), rel=1e-13)


def test_a_float32_product_is_the_float64_one_to_its_rounding(made_rows, made_problem):
    problem = made_problem(X=made_rows(300, 5), classes=4)
    weight, direction = made_rows(4, 6, seed=1), made_rows(4, 6, seed=2)
    exact = torch.softmax(problem.design.logits(weight, torch.float64), 0)
    narrow, logit_change = problem.hessian_product(exact.float(), direction)
    assert logit_change.dtype == torch.float32
    assert narrow.dtype == torch.float64
    wide, _ = problem.hessian_product(exact, direction)
    torch.testing.assert_close(narrow, wide, rtol=0, atol=1e-6)
