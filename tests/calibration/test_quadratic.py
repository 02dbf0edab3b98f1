import pytest
import torch
from scipy.optimize import minimize

from polylogit.calibration import fit_temperature
from polylogit.calibration.quadratic import QuadraticMap, fit_quadratic
from polylogit.evaluation import ScoredRows


def learnt_from_smoothed_labels(rows, classes, smoothing=0.1, seed=0):
    """The log-probabilities that smoothed labels teach, and classes drawn from the true ones."""
    generator = torch.Generator().manual_seed(seed)
    truth = (3 * torch.randn(rows, classes, generator=generator, dtype=torch.float64)).softmax(1)
    targets = torch.multinomial(truth, 1, generator=generator)[:, 0]
    return ((1 - smoothing) * truth + smoothing / classes).log(), targets


def test_the_map_applies_to_log_probabilities_and_keeps_their_order():
    logits = torch.randn(50, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    curved = QuadraticMap(slope=0.5, curvature=0.2).apply(logits)
    scores = logits.log_softmax(1)
    torch.testing.assert_close(curved, 0.5 * scores - 0.2 * scores**2)
    assert torch.equal(curved.argsort(1), logits.argsort(1))
    torch.testing.assert_close(QuadraticMap(0.5, 0.2).apply(logits + 7), curved)


def test_the_map_is_scipys_minimum():
    logits, targets = learnt_from_smoothed_labels(3000, 8)
    temperature = fit_temperature(logits, targets).temperature
    found = fit_quadratic(ScoredRows.check(logits, targets), temperature)

    def loss(numbers):
        curved = QuadraticMap(*numbers).apply(logits) / temperature
        return float(torch.nn.functional.cross_entropy(curved, targets))

    best = minimize(loss, (1.0, 0.01), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12, "maxiter": 2000})
    assert loss((found.slope, found.curvature)) == pytest.approx(best.fun, abs=1e-9)
    assert (found.slope, found.curvature) == pytest.approx(tuple(best.x), rel=1e-3)


def test_frequent_confident_mistakes_get_no_map():
    """Where the tail is too thin the map would have to fall, and then predictions would change."""
    generator = torch.Generator().manual_seed(0)
    logits = 4 * torch.randn(3000, 5, generator=generator, dtype=torch.float64)
    targets = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    wrong = torch.rand(3000, generator=generator) < 0.1
    targets = torch.where(wrong, torch.randint(5, (3000,), generator=generator), targets)
    assert fit_quadratic(ScoredRows.check(logits, targets), fit_temperature(logits, targets).temperature) is None


def test_weights_are_repetitions():
    logits, targets = learnt_from_smoothed_labels(1500, 8)
    weights = torch.arange(1500) % 3
    weighted = fit_quadratic(ScoredRows.check(logits, targets, weights.double()), 0.8)
    repeated = fit_quadratic(
        ScoredRows.check(logits.repeat_interleave(weights, 0), targets.repeat_interleave(weights)), 0.8
    )
    assert (weighted.slope, weighted.curvature) == pytest.approx((repeated.slope, repeated.curvature), rel=1e-6)
