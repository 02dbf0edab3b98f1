"""What a calibration did to labelled rows, and the folds behind the choice of one."""

import pytest
import torch

from polylogit.calibration import calibration_effect, fit_calibration
from polylogit.calibration.calibration_effect import loss_parts
from polylogit.evaluation import ScoredRows, consistency_intervals, reliability_bins
from polylogit.evaluation.metrics import brier_score, log_loss


def drawn(rows, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 1.5 * torch.randn(rows, classes, generator=generator)
    return logits, torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]


def test_the_figures_are_the_losses_and_the_verdict_follows_from_the_interval():
    logits, targets = drawn(1500)
    before, after = ScoredRows.check(2 * logits, targets), ScoredRows.check(logits, targets)
    effect = calibration_effect(before, after)
    assert (effect.log_loss.before, effect.log_loss.after) == pytest.approx((log_loss(before), log_loss(after)))
    assert effect.brier_score.after == pytest.approx(brier_score(after))
    assert effect.log_loss.verdict == "lowered"
    assert calibration_effect(after, before).log_loss.verdict == "raised"
    assert calibration_effect(after, after).log_loss.verdict == "not measurably changed"
    assert "calibration has lowered the log loss" in effect.sentence()
    assert effect.as_json()["log_loss"]["verdict"] == "lowered"
    assert isinstance(effect.as_json()["log_loss"]["change_interval"], list)


def test_the_interval_of_the_change_covers_the_true_change():
    true = None
    covered = 0
    for seed in range(20):
        logits, targets = drawn(300, seed=seed + 1)
        change = calibration_effect(ScoredRows.check(1.3 * logits, targets), ScoredRows.check(logits, targets)).log_loss
        if true is None:
            many, kinds = drawn(200_000)
            true = log_loss(ScoredRows.check(many, kinds)) - log_loss(ScoredRows.check(1.3 * many, kinds))
        covered += change.change_interval[0] <= true <= change.change_interval[1]
    assert covered >= 16


def test_the_parts_find_what_calibration_can_gain():
    logits, targets = drawn(2000)
    true = log_loss(ScoredRows.check(logits, targets))
    parts = loss_parts(ScoredRows.check(3 * logits, targets))
    assert parts.refinement == pytest.approx(true, abs=0.01)
    assert parts.calibration == pytest.approx(log_loss(ScoredRows.check(3 * logits, targets)) - true, abs=0.01)
    none = loss_parts(ScoredRows.check(logits, targets))
    assert none.calibration < 2 * none.calibration_error + 0.001
    assert loss_parts(ScoredRows.check(logits[:40], targets[:40])) is None
    weights = torch.full((2000,), 2.0)
    assert loss_parts(ScoredRows.check(3 * logits, targets, weights)).refinement == pytest.approx(parts.refinement)


def test_chance_in_the_class_frequencies_is_not_taken_for_a_bias():
    """With folds drawn class by class, six of eight such draws of calibrated logits got a bias for each class."""
    for seed in range(2):
        logits, targets = drawn(500, classes=40, seed=seed)
        assert fit_calibration(logits, targets, method="vector").method == "none"


def test_points_of_calibrated_probabilities_are_within_their_intervals():
    inside = total = 0
    for seed in range(20):
        logits, targets = drawn(600, seed=seed)
        rows = ScoredRows.check(logits, targets)
        for frequency, interval in zip(reliability_bins(rows).frequency, consistency_intervals(rows), strict=True):
            assert (frequency is None) == (interval is None)
            if interval is not None:
                total += 1
                inside += interval[0] <= frequency <= interval[1]
    assert 0.9 <= inside / total <= 1
    overconfident = ScoredRows.check(4 * logits, targets)
    pairs = zip(reliability_bins(overconfident).frequency, consistency_intervals(overconfident), strict=True)
    assert sum(f < interval[0] for f, interval in pairs if interval is not None) >= 5
