import pytest
import torch

from polylogit.evaluation import ScoredRows, smooth_calibration


def drawn(rows, sharpness, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 1.5 * torch.randn(rows, 3, generator=generator)
    targets = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    return ScoredRows.check(sharpness * logits, targets)


def test_calibrated_probabilities_stay_below_the_limit_on_95_percent_of_the_draws():
    exceeded = sum(smooth_calibration(drawn(100, 1.0, seed)).miscalibrated for seed in range(60))
    assert exceeded <= 9  # 3 expected; more than 9 has a probability of 0.0004


@pytest.mark.parametrize(("sharpness", "direction"), [(2.5, "overconfident"), (0.4, "underconfident")])
def test_the_direction_of_miscalibration_is_named(sharpness, direction):
    found = smooth_calibration(drawn(1000, sharpness))
    assert found.miscalibrated
    assert direction in found.verdict()
    low, high = found.interval
    assert low <= found.error <= high
    assert low > 0.05


def test_a_constant_probability_has_the_error_of_its_mean():
    """Two classes at 0.9, right in 60 % of the rows: every residual is on one point, and the error is 0.3."""
    logits = torch.tensor([[0.9, 0.1]]).log().repeat(1000, 1)
    targets = (torch.arange(1000) >= 600).long()
    found = smooth_calibration(ScoredRows.check(logits, targets))
    assert found.error == pytest.approx(0.3, abs=1e-9)
    assert found.overconfidence == pytest.approx(0.3, abs=1e-6)


def test_errors_of_near_probabilities_cancel_and_those_of_far_ones_do_not():
    near = torch.tensor([0.80, 0.82]).repeat(500)
    far = torch.tensor([0.55, 0.95]).repeat(500)
    right = torch.tensor([True, True, True, False] * 2 + [True, False]).repeat(100)  # 0.7 of all rows
    errors = []
    for top in (near, far):
        hits = right if top is near else torch.arange(1000) % 2 == 0  # far: 0.55 always right, 0.95 never
        logits = torch.stack([top, 1 - top], 1).log()
        errors.append(smooth_calibration(ScoredRows.check(logits, (~hits).long())).error)
    assert errors[0] == pytest.approx(0.11, abs=0.01)
    assert errors[1] > 0.3


def test_weights_count_as_repetition(whole_weights):
    rows = drawn(300, 2.0)
    weights = whole_weights(300)
    weighted = smooth_calibration(ScoredRows.check(rows.logits, rows.targets, weights.double()))
    repeated = smooth_calibration(
        ScoredRows.check(rows.logits.repeat_interleave(weights, 0), rows.targets.repeat_interleave(weights))
    )
    assert weighted.error == pytest.approx(repeated.error, abs=1e-9)
