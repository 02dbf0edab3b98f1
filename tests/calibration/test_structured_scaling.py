import pytest
import torch
from scipy.optimize import minimize

from polylogit.calibration.structured_scaling import StructuredScaling, fit_structured_scaling
from polylogit.evaluation import ScoredRows


def biased(rows, classes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(rows, classes, generator=generator, dtype=torch.float64)
    truth = logits * torch.linspace(0.7, 1.3, classes) + torch.linspace(-1, 1, classes)
    return logits, torch.multinomial(truth.softmax(1), 1, generator=generator)[:, 0]


@pytest.mark.parametrize(("classes", "matrix"), [(2, False), (4, False), (3, True)])
def test_the_scaling_is_scipys_minimum(classes, matrix):
    logits, targets = biased(400, classes)
    fit = fit_structured_scaling(ScoredRows.check(logits, targets), matrix=matrix)
    size = classes * classes if matrix else classes

    def parts(parameters):
        values = torch.as_tensor(parameters)
        change = values[:size].reshape(classes, classes) if matrix else values[:size].diag()
        return change, values[size:]

    def objective(parameters):
        change, bias = parts(parameters)
        scores = logits.log_softmax(1)
        losses = torch.nn.functional.cross_entropy(scores + scores @ change.T + bias, targets, reduction="sum")
        diagonal = change.diagonal().square().sum()
        others = change.square().sum() - diagonal
        return float(losses + classes * (diagonal + bias.square().sum()) + classes * (classes - 1) * others)

    best = minimize(objective, [0.0] * (size + classes), method="BFGS", options={"gtol": 1e-5})
    change, bias = parts(best.x)
    assert list(fit.scale) == pytest.approx((1 + change.diagonal()).tolist(), abs=1e-4)
    assert list(fit.bias) == pytest.approx(bias.tolist(), abs=1e-4)
    if matrix:
        expected = change - change.diagonal().diag()
        torch.testing.assert_close(torch.tensor(fit.off_diagonal).double(), expected, atol=1e-4, rtol=0)
    else:
        assert fit.off_diagonal is None


def test_two_classes_are_beta_calibration():
    logits = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    first, second = logits.log_softmax(1).T
    mapped = StructuredScaling((1.3, 0.8), (0.1, 0.4)).apply(logits)
    torch.testing.assert_close(mapped[:, 1] - mapped[:, 0], 0.8 * second - 1.3 * first + 0.3, atol=1e-6, rtol=0)


def test_a_shift_of_all_logits_of_a_row_changes_nothing():
    logits, targets = biased(300, 3)
    shifted = logits + torch.randn(300, 1, generator=torch.Generator().manual_seed(1))
    fits = [fit_structured_scaling(ScoredRows.check(z, targets), matrix=True) for z in (logits, shifted)]
    torch.testing.assert_close(fits[0].apply(logits).softmax(1), fits[1].apply(shifted).softmax(1))


def test_a_start_gives_the_same_scaling():
    rows = ScoredRows.check(*biased(500, 3))
    cold = fit_structured_scaling(rows, matrix=True)
    other = fit_structured_scaling(ScoredRows.check(*biased(500, 3, seed=1)), matrix=True)
    warm = fit_structured_scaling(rows, matrix=True, start=other)
    assert warm.scale == pytest.approx(cold.scale, abs=1e-5)
    assert warm.bias == pytest.approx(cold.bias, abs=1e-5)


def test_the_matrix_form_has_the_product_of_the_matrix_for_any_number_of_rows():
    logits, targets = biased(300, 4)
    fit = fit_structured_scaling(ScoredRows.check(logits, targets), matrix=True)
    matrix = torch.tensor(fit.scale).double().diag() + torch.tensor(fit.off_diagonal).double()
    expected = logits.log_softmax(1) @ matrix.T + torch.tensor(fit.bias).double()
    torch.testing.assert_close(fit.apply(logits), expected, atol=1e-6, rtol=1e-6)
    assert torch.equal(fit.apply(logits.float())[:1], fit.apply(logits[:1].float()))


def test_weights_count_by_their_ratio():
    """The unit of the weights does not matter, and rows of weight zero do not count."""
    logits, targets = biased(2000, 3)
    whole = fit_structured_scaling(ScoredRows.check(logits, targets), matrix=False)
    heavy = fit_structured_scaling(ScoredRows.check(logits, targets, torch.full((2000,), 5.0)), matrix=False)
    assert [*heavy.scale, *heavy.bias] == pytest.approx([*whole.scale, *whole.bias], rel=1e-9)
    half = (torch.arange(2000) % 2).double()
    assert fit_structured_scaling(ScoredRows.check(logits, targets, half), matrix=False) == fit_structured_scaling(
        ScoredRows.check(logits[1::2], targets[1::2]), matrix=False
    )
    favoured = fit_structured_scaling(ScoredRows.check(logits, targets, 1.0 + 3.0 * (targets == 0)), matrix=False)
    assert favoured.bias[0] - favoured.bias[1] > whole.bias[0] - whole.bias[1] + 0.4


def test_few_rows_stay_near_the_identity():
    few = fit_structured_scaling(ScoredRows.check(*biased(20, 4)), matrix=False)
    many = fit_structured_scaling(ScoredRows.check(*biased(2000, 4)), matrix=False)
    assert max(map(abs, few.bias)) < 0.6 * max(map(abs, many.bias))
