import math

import pytest
import torch
from torch.autograd.functional import hessian

from polylogit.solver.newton_direction import newton_direction
from polylogit.solver.preconditioner import CurvaturePreconditioner


def _at(problem, weight, seed=0):
    softmax = problem.softmax(weight, problem.design.logits(weight, torch.float64))
    return softmax.probabilities, CurvaturePreconditioner(problem, softmax, torch.Generator().manual_seed(seed))


def _matrix(precondition, shape):
    """What it does to each unit matrix, as one square matrix."""
    units = torch.eye(math.prod(shape), dtype=torch.float64)
    return torch.stack([precondition(unit.view(shape)).flatten() for unit in units], 1)


def _summing_to_zero(classes, columns):
    """The projection on matrices whose columns sum to zero over the classes."""
    eye = torch.eye(classes, dtype=torch.float64)
    return torch.kron((eye - 1 / classes).contiguous(), torch.eye(columns, dtype=torch.float64))


# The start, where all classes are alike; a point where they differ; sparse rows with more columns than either allows.
CASES = {
    "shared block": {"rows": 300, "columns": 4, "scale": 0.0},
    "block a class": {"rows": 300, "columns": 4, "scale": 3.0},
    "rows drawn": {"rows": 6000, "columns": 4, "scale": 3.0},
    "one block for cost": {"rows": 4, "columns": 60, "scale": 3.0},
    "diagonals": {"rows": 6, "columns": 1100, "scale": 3.0},
}


@pytest.fixture(params=[True, False], ids=["csr", "dense"])
def csr(request):
    return request.param


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("name", list(CASES)[:4])
def test_it_is_symmetric_and_positive_definite_among_what_sums_to_zero(made_rows, made_problem, name, intercept, csr):
    case = CASES[name]
    X = made_rows(case["rows"], case["columns"]) * torch.logspace(-3, 3, case["columns"], dtype=torch.float64)
    problem = made_problem(X=X, intercept=intercept, csr=csr)
    shape = (3, problem.design.columns)
    _, precondition = _at(problem, case["scale"] * made_rows(*shape, seed=1) / X.std())
    matrix = _matrix(precondition, shape)
    project = _summing_to_zero(*shape)
    # In units of its own diagonal: the columns span six orders of magnitude.
    scale = matrix.diagonal().rsqrt()
    scaled = matrix * scale[:, None] * scale
    torch.testing.assert_close(scaled, scaled.T, rtol=0, atol=1e-9)
    torch.testing.assert_close(project @ matrix, matrix, rtol=1e-9, atol=1e-9 * float(matrix.abs().max()))
    positive = torch.linalg.eigvalsh((scaled + scaled.T) / 2) > 1e-9
    assert int(positive.sum()) == 2 * shape[1]


def test_the_diagonals_serve_many_sparse_columns(made_rows, made_problem, plain_objective):
    X = made_rows(6, 1100)
    problem = made_problem(X=X, csr=True)
    weight = 0.03 * made_rows(3, 1101, seed=1)
    probabilities, precondition = _at(problem, weight)
    columns = torch.cat([X, X.new_ones(6, 1)], 1)
    curvature = probabilities * (1 - probabilities) / 6
    diagonals = torch.stack([(h[:, None] * columns**2).sum(0) for h in curvature]) + problem.penalty
    rows = made_rows(3, 1101, seed=2)
    expected = (rows - rows.mean(0)) / diagonals
    torch.testing.assert_close(precondition(rows), expected - expected.mean(0), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("intercept", [True, False])
def test_with_few_rows_each_block_is_the_hessian_s_own(made_rows, made_problem, plain_objective, intercept, csr):
    X = made_rows(300, 4)
    problem = made_problem(X=X, intercept=intercept, csr=csr, weights=torch.arange(300, dtype=torch.float64) % 3)
    shape = (3, problem.design.columns)
    weight = 3 * made_rows(*shape, seed=1)
    _, precondition = _at(problem, weight)
    whole = hessian(plain_objective(problem, X), weight)
    rows = made_rows(*shape, seed=2)
    centred = rows - rows.mean(0)
    solved = torch.stack([torch.linalg.solve(whole[k, :, k], centred[k]) for k in range(3)])
    torch.testing.assert_close(precondition(rows), solved - solved.mean(0), rtol=1e-6, atol=1e-6)


def test_where_all_rows_are_alike_and_classes_are_not_it_is_the_hessian_s_inverse(
    made_rows, made_problem, plain_objective
):
    X = made_rows(300, 4)
    problem = made_problem(X=X, C=1e12)
    weight = torch.zeros(3, 5, dtype=torch.float64)
    weight[:, -1] = torch.tensor([2.0, 0.0, -2.0])
    _, precondition = _at(problem, weight)
    whole = hessian(plain_objective(problem, X), weight)
    rows = made_rows(3, 5, seed=2)
    centred = rows - rows.mean(0)
    product = (whole.view(15, 15) @ precondition(rows).flatten()).view(3, 5)
    torch.testing.assert_close(product, centred, rtol=1e-6, atol=1e-6)


def test_drawn_rows_stand_for_all_without_a_leaning(made_rows, made_problem, plain_objective):
    X = made_rows(6000, 2)
    problem = made_problem(X=X, intercept=False)
    weight = 3 * made_rows(3, 2, seed=1)
    whole = hessian(plain_objective(problem, X), weight)
    # Only what sums to zero passes: with R = (r, -r, 0) the answer's first row less its third is B_0^-1 r.
    unit = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    answers = []
    for seed in range(60):
        _, precondition = _at(problem, weight, seed)
        answer = precondition(unit)
        answers.append(answer[0] - answer[2])
    drawn = torch.stack(answers)
    exact = torch.linalg.solve(whole[0, :, 0], unit[0])
    error = drawn.std(0) / len(drawn) ** 0.5
    assert bool((drawn.std(0) > 0).all())
    # An inverse of an unbiased estimate leans by its variance: some 1/1024 of it.
    assert bool(((drawn.mean(0) - exact).abs() < 4 * error + 2e-3 * exact.abs().max()).all())


def test_a_seed_gives_the_same_bits_and_another_seed_others(made_rows, made_problem):
    problem = made_problem(X=made_rows(6000, 4))
    weight, rows = 3 * made_rows(3, 5, seed=1), made_rows(3, 5, seed=2)
    one, same, other = (_at(problem, weight, seed)[1](rows) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_float32_probabilities_give_nearly_the_same(made_rows, made_problem):
    problem = made_problem(X=made_rows(300, 4))
    weight, rows = 3 * made_rows(3, 5, seed=1), made_rows(3, 5, seed=2)
    _, wide = _at(problem, weight)
    softmax = problem.softmax(weight, problem.design.logits(weight, torch.float32))
    narrow = CurvaturePreconditioner(problem, softmax, torch.Generator().manual_seed(0))
    torch.testing.assert_close(narrow(rows), wide(rows), rtol=0, atol=1e-4 * float(wide(rows).abs().max()))
    assert narrow(rows).dtype == torch.float64


@pytest.mark.parametrize("C", [10.0, math.inf])
def test_columns_that_repeat_one_another_leave_it_finite(made_rows, made_problem, csr, C):
    X = made_rows(300, 4).repeat(1, 2)
    X[:, 0] = 0
    problem = made_problem(X=X, C=C, csr=csr)
    _, precondition = _at(problem, made_rows(3, 9, seed=1))
    rows = made_rows(3, 9, seed=2)
    assert bool(torch.isfinite(precondition(rows)).all())
    assert float(((rows - rows.mean(0)) * precondition(rows)).sum()) > 0


def _products(problem, weight, precondition, probabilities):
    """Hessian products to a millionth of the gradient."""
    gradient = problem.residual_sums(probabilities) + problem.penalty * weight
    options = {"forcing": 0.0, "small_enough": 1e-6 * float(gradient.norm()), "most_products": 2000}
    return newton_direction(problem, probabilities, gradient, precondition, **options).products


@pytest.mark.parametrize("rows", [300, 6000])
def test_conjugate_gradients_need_a_fifth_of_the_products(made_rows, made_problem, csr, rows):
    scales = torch.logspace(-1, 1, 30, dtype=torch.float64)
    problem = made_problem(X=made_rows(rows, 30) * scales, C=100.0, csr=csr)
    weight = made_rows(3, 31, seed=1)
    weight[:, :-1] /= 3 * scales
    weight = weight - weight.mean(0)
    probabilities, precondition = _at(problem, weight)
    plain = _products(problem, weight, lambda rows: rows - rows.mean(0), probabilities)
    assert 0 < 5 * _products(problem, weight, precondition, probabilities) <= plain


@pytest.mark.parametrize("C", [1e-4, 1e-2, 1.0, 100.0])
def test_uneven_classes_at_the_start_need_few_products_whatever_the_penalty(made_rows, made_problem, C):
    problem = made_problem(X=made_rows(600, 4), C=C)
    weight = torch.zeros(3, 5, dtype=torch.float64)
    weight[:, -1] = torch.tensor([2.0, 0.0, -2.0])
    probabilities, precondition = _at(problem, weight)
    assert _products(problem, weight, precondition, probabilities) <= 9
