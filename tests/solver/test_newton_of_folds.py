"""Newton's method on all folds at once: its optima, its certificate, and problems that it must give back."""

import pytest
import torch

from polylogit.solver.newton_of_folds import NewtonOfFolds
from polylogit.solver.softmax_regression import fit_softmax_regression


def drawn(rows=60, columns=4, classes=3, folds=3, seed=0):
    """Rows of all folds, their classes, and the weights of the folds."""
    draw = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, columns, generator=draw, dtype=torch.float64)
    targets = (features[:, :classes] + torch.randn(rows, classes, generator=draw)).argmax(1)
    weights = torch.rand(folds, rows, generator=draw, dtype=torch.float64) + 0.1
    weights[torch.arange(rows) % folds == torch.arange(folds)[:, None]] = 0
    return features, targets, weights


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_every_fold_reaches_its_optimum_along_the_path(classes, fit_intercept, offset):
    features, targets, weights = drawn(classes=classes)
    features = features * torch.tensor([1e-3, 1.0, 1.0, 1e3]) + offset * fit_intercept
    newton = NewtonOfFolds(features, targets, weights, classes=classes, fit_intercept=fit_intercept, tolerance=1e-7)
    for C in (1e-3, 0.03, 1.0, 30.0, 1e3):
        fits = newton.fit(C)
        assert bool((fits.gap <= 1e-7).all())
        torch.testing.assert_close(fits.bias.sum(1), torch.zeros(3, dtype=torch.float64), atol=1e-6, rtol=0)
        for fold, some in enumerate(weights):
            rows = torch.nonzero(some)[:, 0]
            alone = fit_softmax_regression(
                features[rows],
                targets[rows],
                classes=classes,
                C=C,
                fit_intercept=fit_intercept,
                sample_weight=some[rows],
                tolerance=1e-9,
            )
            assert abs(float(fits.objective[fold]) / alone.objective - 1) < 2e-7


@pytest.mark.parametrize("C", [1e-2, 1.0, 1e3])
def test_the_gap_bounds_the_distance_after_every_step(C):
    features, targets, weights = drawn(seed=1)
    optimum = NewtonOfFolds(features, targets, weights, classes=3, tolerance=1e-12).fit(C).objective
    seen = []
    for steps in range(1, 6):
        newton = NewtonOfFolds(features, targets, weights, classes=3, tolerance=1e-12, max_iterations=steps)
        fits = newton.fit(C)
        assert bool((fits.iterations <= steps).all())
        assert bool((fits.objective - optimum <= fits.gap * optimum + 1e-14).all())
        seen.append(float(fits.gap.max()))
    assert seen[-1] < 1e-3
    assert seen[-1] < seen[0]


def test_folds_that_have_converged_wait_for_the_others():
    features, targets, weights = drawn()
    weights[0] *= 1e-6  # nearly all penalty: one step will do
    fits = NewtonOfFolds(features, targets, weights, classes=3).fit(1.0)
    assert int(fits.iterations[0]) < int(fits.iterations[1])
    assert bool((fits.gap <= 1e-4).all())


@pytest.mark.parametrize("value", [1e155, 1e300])
def test_a_problem_that_overflows_is_given_back(value):
    features, targets, weights = drawn()
    features[3, 1] = value
    fits = NewtonOfFolds(features, targets, weights, classes=3).fit(1.0)
    assert not bool((fits.gap <= 1e-4).all())


def test_separable_classes_end_with_a_gap_that_says_so_or_converge():
    features = torch.tensor([[-1.0], [-0.5], [0.5], [1.0]], dtype=torch.float64)
    newton = NewtonOfFolds(features, torch.tensor([0, 0, 1, 1]), torch.ones(2, 4), classes=2, max_iterations=60)
    for C in (1.0, 1e6, 1e12):
        fits = newton.fit(C)
        assert bool(torch.isfinite(fits.weight).all())
        assert bool((fits.objective >= 0).all())


def test_only_small_problems_are_taken():
    assert NewtonOfFolds.is_applicable(500, 31, 2)
    assert not NewtonOfFolds.is_applicable(500, 31, 10)
    assert not NewtonOfFolds.is_applicable(10**6, 31, 2)
