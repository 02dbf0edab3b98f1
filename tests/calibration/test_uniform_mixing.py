import pytest
import torch
from scipy.optimize import minimize

from polylogit.calibration import fit_temperature
from polylogit.calibration.uniform_mixing import fit_uniform_share, mix_with_uniform
from polylogit.evaluation import ScoredRows


def sometimes_wrong(rows, classes, share, seed=0):
    """Calibrated logits, except for a share of rows whose class is independent of them."""
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(rows, classes, generator=generator, dtype=torch.float64)
    targets = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    chance = torch.randint(classes, (rows,), generator=generator)
    return logits, torch.where(torch.rand(rows, generator=generator) < share, chance, targets)


def test_probabilities_are_mixed_with_equal_ones_and_keep_their_order():
    logits = torch.randn(50, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mixed = mix_with_uniform(logits, 0.1)
    torch.testing.assert_close(mixed.softmax(1), 0.9 * logits.softmax(1) + 0.1 / 6)
    assert torch.equal(mixed.argsort(1), logits.argsort(1))
    assert mix_with_uniform(logits, 0.0) is logits


def test_uniform_share_and_temperature_are_scipys_minimum():
    logits, targets = sometimes_wrong(1500, 4, 0.05)
    rows = ScoredRows.check(1.5 * logits, targets)
    temperature, uniform = fit_uniform_share(rows, fit_temperature(1.5 * logits, targets).temperature)

    def loss(parameters):
        sharpness, share = parameters
        probabilities = (1 - share) * (1.5 * logits * sharpness).softmax(1) + share / 4
        return float(-probabilities.gather(1, targets[:, None]).log().mean())

    best = minimize(loss, (0.6, 0.03), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-12})
    assert loss((1 / temperature, uniform)) == pytest.approx(best.fun, abs=1e-7)
    assert uniform == pytest.approx(best.x[1], abs=5e-4)
    assert uniform == pytest.approx(0.05, abs=0.02)


def test_no_share_where_none_helps():
    """Underconfident logits: every row's class is its largest logit, so that no uniform share lowers the log loss."""
    logits = torch.randn(400, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert fit_uniform_share(ScoredRows.check(logits, logits.argmax(1)), 0.1) == (0.1, 0.0)


def test_weights_count_as_repetition(whole_weights):
    logits, targets = sometimes_wrong(800, 3, 0.1)
    weights = whole_weights(800)
    weighted = fit_uniform_share(ScoredRows.check(logits, targets, weights.double()), 1.2)
    repeated = fit_uniform_share(
        ScoredRows.check(logits.repeat_interleave(weights, 0), targets.repeat_interleave(weights)), 1.2
    )
    assert weighted == pytest.approx(repeated, rel=1e-5)
