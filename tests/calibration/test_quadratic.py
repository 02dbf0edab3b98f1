import pytest
import torch
from scipy.optimize import minimize

from polylogit.calibration import fit_temperature
from polylogit.calibration.quadratic import Curve, fit_curve, with_curve
from polylogit.evaluation import ScoredRows


def taught_by_smoothed_labels(rows, classes, smoothing=0.1, seed=0):
    """The log-probabilities that smoothed labels teach, and classes drawn from the honest ones."""
    generator = torch.Generator().manual_seed(seed)
    truth = (3 * torch.randn(rows, classes, generator=generator, dtype=torch.float64)).softmax(1)
    targets = torch.multinomial(truth, 1, generator=generator)[:, 0]
    return ((1 - smoothing) * truth + smoothing / classes).log(), targets


def test_log_probabilities_go_through_the_curve_and_keep_their_order():
    logits = torch.randn(50, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    curved = with_curve(logits, Curve(slope=0.5, curvature=0.2))
    scores = logits.log_softmax(1)
    torch.testing.assert_close(curved, 0.5 * scores - 0.2 * scores**2)
    assert torch.equal(curved.argsort(1), logits.argsort(1))
    torch.testing.assert_close(with_curve(logits + 7, Curve(0.5, 0.2)), curved)
    assert with_curve(logits, None) is logits


def test_the_curve_is_scipys_minimum():
    logits, targets = taught_by_smoothed_labels(3000, 8)
    temperature = fit_temperature(logits, targets).temperature
    found = fit_curve(ScoredRows.check(logits, targets), temperature).curve

    def loss(numbers):
        curved = with_curve(logits, Curve(*numbers)) / temperature
        return float(torch.nn.functional.cross_entropy(curved, targets))

    best = minimize(loss, (1.0, 0.01), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12, "maxiter": 2000})
    assert loss((found.slope, found.curvature)) == pytest.approx(best.fun, abs=1e-9)
    assert (found.slope, found.curvature) == pytest.approx(tuple(best.x), rel=1e-3)


def test_the_gain_is_the_fall_of_the_log_loss():
    logits, targets = taught_by_smoothed_labels(3000, 8)
    temperature = fit_temperature(logits, targets).temperature
    fit = fit_curve(ScoredRows.check(logits, targets), temperature)
    alone, curved = (
        torch.nn.functional.cross_entropy(scores / temperature, targets, reduction="none")
        for scores in (logits, with_curve(logits, fit.curve))
    )
    assert fit.gain == pytest.approx(float((alone - curved).mean()))
    assert fit.gain_error == pytest.approx(float((alone - curved).std(correction=0)) / 3000**0.5)
    assert fit.gain > 2 * fit.gain_error


@pytest.mark.parametrize("seed", range(3))
def test_honest_logits_get_no_curve(draw, seed):
    logits, targets = draw(2000, 6, seed=seed)
    temperature = fit_temperature(logits, targets).temperature
    assert fit_curve(ScoredRows.check(logits, targets), temperature).curve is None


def test_probable_mistakes_get_no_curve():
    """Where the tail is too thin a curve would have to turn back, and then answers would change."""
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(3000, 5, generator=generator, dtype=torch.float64)
    targets = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    wrong = torch.rand(3000, generator=generator) < 0.1
    targets = torch.where(wrong, torch.randint(5, (3000,), generator=generator), targets)
    fit = fit_curve(ScoredRows.check(logits, targets), fit_temperature(logits, targets).temperature)
    assert fit.gain > 2 * fit.gain_error
    assert fit.curve is None


def test_few_rows_get_none():
    logits, targets = taught_by_smoothed_labels(60, 8)
    assert fit_curve(ScoredRows.check(logits, targets), 0.8).curve is None


def test_weights_are_repetitions():
    logits, targets = taught_by_smoothed_labels(1500, 8)
    weights = torch.arange(1500) % 3
    weighted = fit_curve(ScoredRows.check(logits, targets, weights.double()), 0.8).curve
    repeated = fit_curve(
        ScoredRows.check(logits.repeat_interleave(weights, 0), targets.repeat_interleave(weights)), 0.8
    ).curve
    assert (weighted.slope, weighted.curvature) == pytest.approx((repeated.slope, repeated.curvature), rel=1e-6)
