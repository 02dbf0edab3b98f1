"""More classes than 32: shared factors of intercepts, and preconditioners computed for all classes at once."""

import pytest
import torch

from polylogit.solver.intercepts import balance_intercepts
from polylogit.solver.preconditioner import CurvaturePreconditioner
from polylogit.solver.softmax_regression import fit_softmax_regression

CLASSES = 40


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_intercepts_make_mean_probabilities_the_class_shares(made_problem, precision):
    problem = made_problem(rows=4000, classes=CLASSES)
    shares = torch.zeros(CLASSES, dtype=torch.float64).index_add_(0, problem.targets, problem.omega)
    generator = torch.Generator().manual_seed(1)
    logits = (2 * torch.randn(CLASSES, 4000, generator=generator, dtype=torch.float64)).to(precision)
    weight, before = torch.ones(CLASSES, problem.design.columns, dtype=torch.float64), logits.clone()
    start = problem.softmax(weight, logits)
    balanced, softmax = balance_intercepts(problem, weight, logits, start, shares=shares, tolerance=1e-9)
    mean = torch.softmax(logits.double(), 0) @ problem.omega
    rounding = 1e-9 if precision == torch.float64 else 1e-5
    assert float((mean / shares - 1).abs().max()) < rounding
    torch.testing.assert_close(softmax.class_means, mean, rtol=rounding, atol=0)
    assert softmax.objective == pytest.approx(problem.objective(balanced, logits), rel=rounding)
    added = balanced - weight
    assert abs(float(added.mean())) < 1e-12
    assert not bool(added[:, :-1].any())
    torch.testing.assert_close(
        logits, before + added[:, -1:].to(precision), rtol=0, atol=100 * torch.finfo(precision).eps
    )


@pytest.mark.parametrize("columns", [6, 90])
def test_with_all_rows_the_preconditioner_inverts_each_diagonal_block(made_problem, columns):
    problem = made_problem(rows=3000, columns=columns, classes=CLASSES)
    weight = torch.randn(CLASSES, columns + 1, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    softmax = problem.softmax(weight, problem.design.logits(weight, torch.float64))
    probabilities = softmax.probabilities
    precondition = CurvaturePreconditioner(problem, softmax, torch.Generator().manual_seed(0))
    rows = problem.design.dense_rows(torch.arange(3000), torch.float64)
    right = torch.randn(CLASSES, columns + 1, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    expected = torch.zeros_like(right)
    for k in range(CLASSES):
        heights = problem.omega * probabilities[k] * (1 - probabilities[k])
        block = (rows.T * heights) @ rows + problem.penalty.diag()
        expected[k] = torch.linalg.solve(block, right[k] - right.mean(0))
    # The preconditioner adds 1e-10 to unit diagonals, which blocks with a condition number of 1e5 turn into 1e-5.
    torch.testing.assert_close(precondition(right), expected - expected.mean(0), rtol=1e-5, atol=1e-9)


def test_the_optimum_with_many_classes_is_that_of_a_tight_fit():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(3000, 8, generator=generator)
    targets = (rows @ torch.randn(8, 60, generator=generator) + torch.randn(3000, 60, generator=generator)).argmax(1)
    loose = fit_softmax_regression(rows, targets, classes=60)
    tight = fit_softmax_regression(rows.double(), targets, classes=60, tolerance=1e-9)
    assert loose.converged
    assert tight.converged
    assert 0 <= loose.objective / tight.objective - 1 + 1e-6 <= 1e-4 + 1e-6
