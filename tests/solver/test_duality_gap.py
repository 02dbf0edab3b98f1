import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_sample_weight

from polylogit.solver.duality_gap import gap_by_mixture, gap_by_newton, gap_by_step, relative_gap
from polylogit.solver.newton_direction import newton_direction

ROUNDING = 1e-13


@pytest.fixture(params=[True, False], ids=["intercept", "no intercept"])
def intercept(request):
    return request.param


@pytest.fixture(params=["even", "sample weights", "class weights"])
def made(request, made_rows, made_problem, plain_objective, intercept):
    """At a C: a problem, F written plainly, and where scikit-learn's Newton method puts the minimum."""
    X = made_rows(150, 4) * torch.tensor([1.0, 10.0, 0.1, 1.0]) + torch.arange(4)

    def at(C):
        problem = made_problem(X=X, C=C, intercept=intercept)
        weights = {
            "even": np.ones(150),
            "sample weights": np.arange(150) % 3,
            "class weights": compute_sample_weight("balanced", problem.targets.numpy()),
        }[request.param]
        problem = made_problem(X=X, C=C, intercept=intercept, weights=torch.tensor(weights, dtype=torch.float64))
        exact = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-12, max_iter=500, fit_intercept=intercept)
        if request.param == "class weights":
            exact.set_params(class_weight="balanced").fit(X.numpy(), problem.targets.numpy())
        else:
            exact.fit(X.numpy(), problem.targets.numpy(), sample_weight=weights)
        slopes, bias = torch.tensor(exact.coef_), torch.tensor(exact.intercept_)
        best = torch.cat([slopes, bias[:, None]], 1) if intercept else slopes
        return problem, plain_objective(problem, X), problem.design.to_centred(best - best.mean(0))

    return at


def _sums_by_class(problem):
    chosen = torch.zeros(problem.classes, problem.design.rows, dtype=torch.float64)
    chosen.scatter_(0, problem.targets[None], problem.omega[None])
    return problem.design.adjoint_product(chosen)


def _mixture(problem, weight):
    logits = problem.design.logits(weight, torch.float64)
    adjoint = problem.residual_sums(torch.softmax(logits, 0))
    return gap_by_mixture(problem, weight, problem.objective(weight, logits), adjoint, _sums_by_class(problem))


def _step(problem, weight, products=200):
    """The bound from Newton's step, and the step."""
    softmax = problem.softmax(weight, problem.design.logits(weight, torch.float64))
    gradient = problem.residual_sums(softmax.probabilities) + problem.penalty * weight
    options = {"forcing": 0.0, "small_enough": 1e-14, "most_products": products}
    direction = newton_direction(problem, softmax.probabilities, gradient, lambda rows: rows - rows.mean(0), **options)
    sums = _sums_by_class(problem)
    gap = gap_by_step(problem, weight, softmax, direction, sums_by_class=sums)
    return gap, direction


def _newton(problem, weight, products=200):
    return _newton_and_direction(problem, weight, products)[0]


def _newton_and_direction(problem, weight, products):
    logits = problem.design.logits(weight, torch.float64)
    probabilities = torch.softmax(logits, 0)
    gradient = problem.residual_sums(probabilities)
    direction = newton_direction(
        problem,
        probabilities,
        gradient,
        lambda rows: rows - rows.mean(0),
        forcing=0.0,
        small_enough=1e-14,
        most_products=products,
    )
    gap = gap_by_newton(problem, weight, problem.objective(weight, logits), probabilities, direction)
    return gap, direction


def _points(best, made_rows):
    """Points around zero and around the minimum, from near to far."""
    for seed in range(16):
        scale = 10.0 ** (seed % 8 - 5)
        start = best if seed % 2 else torch.zeros_like(best)
        yield seed, start + scale * made_rows(*best.shape, seed=seed)


@pytest.mark.parametrize("C", [0.01, 1.0, 1000.0])
def test_with_a_penalty_the_minimum_lies_within_the_gap_of_any_point(made, made_rows, C):
    problem, plain, best = made(C)
    minimum = float(plain(best))
    for _, weight in _points(best, made_rows):
        objective = float(plain(weight))
        gap = _mixture(problem, weight)
        assert objective - gap - ROUNDING <= minimum <= objective + ROUNDING
        assert relative_gap(objective, gap) >= (objective - minimum) / minimum - ROUNDING


@pytest.mark.parametrize("C", [0.01, 1.0, 1000.0])
def test_with_a_penalty_the_gap_closes_at_the_minimum(made, C):
    problem, _, best = made(C)
    assert abs(_mixture(problem, best)) <= 1e-10


@pytest.mark.parametrize("C", [0.01, 1.0, 1000.0])
def test_with_a_penalty_the_minimum_lies_within_the_step_s_gap_of_any_point(made, made_rows, C):
    problem, plain, best = made(C)
    minimum = float(plain(best))
    for seed, point in _points(best, made_rows):
        weight = point - point.mean(0)
        gap, _ = _step(problem, weight, products=seed)
        assert math.isfinite(gap)
        assert float(plain(weight)) - gap - ROUNDING <= minimum


@pytest.mark.parametrize("C", [0.01, 1.0, 1000.0])
def test_what_a_whole_step_proves_of_its_end_is_of_third_order(made, made_rows, C):
    problem, plain, best = made(C)
    away = made_rows(*best.shape)
    away = (away - away.mean(0)) / (problem.design.logits(away, torch.float64).abs().max())
    left = []
    for scale in (1e-2, 1e-3):
        gap, direction = _step(problem, best + scale * away)
        left.append(gap - float(plain(best + scale * away) - plain(best + scale * away + direction.step)))
    assert 0 <= left[0] < 1e-5
    assert -ROUNDING <= left[1] < left[0] / 500 + ROUNDING


def test_a_step_that_would_leave_the_distributions_is_cut_to_them(made, made_rows):
    problem, plain, best = made(1.0)
    weight = best + 3 * made_rows(*best.shape)
    weight = weight - weight.mean(0)
    gap, direction = _step(problem, weight)
    p = torch.softmax(problem.design.logits(weight, torch.float64), 0)
    logit_change = problem.design.logits(direction.step, torch.float64)
    assert bool((p + p * logit_change - p * (p * logit_change).sum(0) < 0).any())
    assert math.isfinite(gap)
    assert float(plain(best)) >= float(plain(weight)) - gap


def test_the_step_s_gap_is_that_of_newton_s_distributions_with_level_intercepts(made, made_rows):
    problem, plain, best = made(1.0)
    away = made_rows(*best.shape)
    weight = best + 0.01 * (away - away.mean(0))
    gap, direction = _step(problem, weight, products=2)
    p = torch.softmax(problem.design.logits(weight, torch.float64), 0)
    logit_change = problem.design.logits(direction.step, torch.float64)

    def distributions(c):
        return p + p * (logit_change + c[:, None]) - p * (p * (logit_change + c[:, None])).sum(0)

    c = torch.zeros(3, dtype=torch.float64)
    if problem.design.intercept:
        excess = _excess(problem, distributions(c))[:, -1]
        second = ((p * problem.omega).sum(1).diag() - (p * problem.omega) @ p.T).numpy()
        c = -torch.tensor(np.linalg.pinv(second) @ excess.numpy())
    q = distributions(c)
    assert bool((q > 0).all())
    slopes = problem.design.columns - problem.design.intercept
    lower = problem.omega @ torch.special.entr(q).sum(0)
    lower -= _excess(problem, q)[:, :slopes].square().sum() / (2 * problem.ridge)
    assert gap == pytest.approx(float(plain(weight) - lower), rel=1e-8)


def _excess(problem, distributions):
    """sum_n omega_n (q_n - y_n) x_n', written plainly."""
    columns = problem.design.dense_rows(torch.arange(problem.design.rows), torch.float64)
    chosen = torch.nn.functional.one_hot(problem.targets, problem.classes).double().T
    return ((distributions - chosen) * problem.omega) @ columns


def test_with_a_penalty_the_gap_is_that_of_the_mixture(made, made_rows):
    problem, plain, best = made(1.0)
    weight = best + 0.1 * made_rows(*best.shape)
    p = torch.softmax(problem.design.logits(weight, torch.float64), 0)
    shares = torch.zeros(3, dtype=torch.float64).index_add_(0, problem.targets, problem.omega)
    mean = p @ problem.omega
    theta = float((1 - shares / mean).max()) if problem.design.intercept else 0.0
    constant = (shares - (1 - theta) * mean) / theta if theta else shares
    excess = _excess(problem, (1 - theta) * p + theta * constant[:, None])
    slopes = excess.shape[1] - problem.design.intercept
    torch.testing.assert_close(excess[:, slopes:], torch.zeros_like(excess[:, slopes:]), rtol=0, atol=1e-13)
    entropy = (1 - theta) * problem.omega @ torch.special.entr(p).sum(0) + theta * torch.special.entr(constant).sum()
    lower = entropy - excess[:, :slopes].square().sum() / (2 * problem.ridge)
    assert _mixture(problem, weight) == pytest.approx(float(plain(weight) - lower), rel=1e-9)


def test_a_class_without_rows_still_has_a_bound(made_rows, made_problem, plain_objective, minimised):
    X = made_rows(150, 4)
    among_present = made_problem(X=X, classes=2)
    minimum = minimised(among_present, tolerance=1e-12)[0].objective
    problem = made_problem(X=X, classes=3)
    problem.targets.copy_(among_present.targets)
    for seed in range(10):
        weight = made_rows(3, 5, seed=seed)
        assert float(plain_objective(problem, X)(weight)) - _mixture(problem, weight) <= minimum + ROUNDING


def test_without_a_penalty_the_minimum_lies_within_the_gap_of_any_point(made, made_rows):
    problem, plain, best = made(math.inf)
    minimum = float(plain(best))
    finite = 0
    for seed in range(40):
        scale = 10.0 ** (seed % 8 - 6)
        start = best if seed % 2 else torch.zeros_like(best)
        weight = start + scale * made_rows(*best.shape, seed=seed)
        objective = float(plain(weight))
        gap = _newton(problem, weight, products=1 + seed)
        finite += math.isfinite(gap)
        assert objective - gap - ROUNDING <= minimum <= objective + ROUNDING
    assert finite >= 10


def test_without_a_penalty_the_gap_is_that_of_newton_s_distributions_up_to_ten_norms(made, made_rows):
    problem, plain, best = made(math.inf)
    weight = best + 0.01 * made_rows(*best.shape)
    gap, direction = _newton_and_direction(problem, weight, products=3)
    p = torch.softmax(problem.design.logits(weight, torch.float64), 0)
    logit_change = problem.design.logits(direction.step, torch.float64)
    q = p + p * logit_change - p * (p * logit_change).sum(0)
    assert bool((q >= 0).all())
    lower = problem.omega @ torch.special.entr(q).sum(0)
    lower -= _excess(problem, q).norm() * 10 * (1 + weight.norm())
    assert gap == pytest.approx(float(plain(weight) - lower), rel=1e-9)


def test_without_a_penalty_the_gap_closes_at_the_minimum(made):
    problem, _, best = made(math.inf)
    assert abs(_newton(problem, best)) <= 1e-10


def test_a_step_that_leaves_the_distributions_bounds_nothing(made_rows, made_problem):
    problem = made_problem(X=made_rows(150, 4), C=math.inf)
    assert _newton(problem, 30 * made_rows(3, 5, seed=1)) == math.inf


@pytest.mark.parametrize(
    ("objective", "gap", "expected"),
    [
        (1.0, 0.5, 1.0),
        (2.0, 0.0, 0.0),
        (2.0, -1e-17, 0.0),
        (1.0, 1.0, math.inf),
        (1.0, 3.0, math.inf),
        (1.0, math.inf, math.inf),
        (1.0, math.nan, math.inf),
    ],
)
def test_the_relative_gap_is_to_the_bound_and_infinite_where_that_is_none(objective, gap, expected):
    assert relative_gap(objective, gap) == expected
