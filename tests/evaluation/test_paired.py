"""Paired differences against formulas, against scipy, and by simulation."""

import math
from math import comb

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, ttest_1samp

from polylogit.errors import ScoreError
from polylogit.evaluation.metrics import brier_score, log_loss
from polylogit.evaluation.paired import METRICS, bootstrap_differences, corrected_resampled, mcnemar
from polylogit.evaluation.rows import ScoredRows


def pair(rows=300, seed=0, noise=0.6, weights=None):
    """The same rows with the scores of a model and of a noisier one."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(rows, 3, generator=generator)
    targets = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    other = logits + noise * torch.randn(rows, 3, generator=generator)
    return ScoredRows.check(logits, targets, weights), ScoredRows.check(other, targets, weights)


def test_the_metrics_are_those_of_the_evaluation():
    first, second = pair()
    loss, accuracy, brier = bootstrap_differences(first, second, resamples=50)
    assert (loss.first, loss.second) == pytest.approx((log_loss(first), log_loss(second)))
    assert (accuracy.first, accuracy.second) == pytest.approx((first.mean(first.hits), second.mean(second.hits)))
    assert (brier.first, brier.second) == pytest.approx((brier_score(first), brier_score(second)))
    assert tuple(each.metric for each in (loss, accuracy, brier)) == METRICS


def test_the_interval_is_about_that_of_the_paired_t_test():
    first, second = pair(rows=1000)
    loss, *_ = bootstrap_differences(first, second)
    differences = first.log_probabilities.gather(1, first.targets[:, None]) - second.log_probabilities.gather(
        1, first.targets[:, None]
    )
    low, high = ttest_1samp(differences[:, 0].numpy(), 0).confidence_interval(0.95)
    assert (loss.low, loss.high) == pytest.approx((low, high), abs=0.15 * (high - low))


def test_the_interval_covers_the_true_difference():
    truth, *_ = bootstrap_differences(*pair(rows=200_000, seed=10_000), resamples=1)
    covered = 0
    for seed in range(120):
        loss, *_ = bootstrap_differences(*pair(rows=150, seed=seed), resamples=200)
        covered += loss.low <= truth.difference <= loss.high
    assert 0.88 <= covered / 120 <= 0.99


def test_the_same_scores_differ_by_nothing():
    first, _ = pair()
    for each in bootstrap_differences(first, first, resamples=50):
        assert (each.difference, each.low, each.high, each.decided) == (0, 0, 0, False)


def test_rows_of_a_group_are_no_further_evidence():
    first, second = pair(rows=100)

    def copies(rows):
        return ScoredRows.check(rows.logits.repeat(4, 1), rows.targets.repeat(4))

    loss, *_ = bootstrap_differences(first, second)
    alone, *_ = bootstrap_differences(copies(first), copies(second))
    together, *_ = bootstrap_differences(copies(first), copies(second), groups=torch.arange(100).repeat(4))
    assert together.high - together.low == pytest.approx(loss.high - loss.low, rel=0.1)
    assert alone.high - alone.low == pytest.approx((loss.high - loss.low) / 2, rel=0.1)


def test_a_weight_counts_like_a_group_of_copies():
    times = torch.arange(100) % 3 + 1
    first, second = pair(rows=100)
    weighted = bootstrap_differences(*pair(rows=100, weights=times.double()))
    index = torch.arange(100).repeat_interleave(times)
    repeated = bootstrap_differences(
        *(ScoredRows.check(rows.logits[index], rows.targets[index]) for rows in (first, second)), groups=index
    )
    for one, other in zip(weighted, repeated, strict=True):
        assert (one.difference, one.low, one.high) == pytest.approx((other.difference, other.low, other.high))


def test_other_rows_are_an_error():
    first, _ = pair(seed=0)
    _, second = pair(seed=1)
    with pytest.raises(ScoreError, match="same rows"):
        bootstrap_differences(first, second)


@pytest.mark.parametrize(("only_first", "only_second"), [(8, 0), (10, 3), (5, 5), (0, 0), (1, 2)])
def test_mcnemar_is_the_exact_binomial_test(only_first, only_second):
    targets = torch.zeros(only_first + only_second + 20, dtype=torch.int64)
    right, wrong = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    first = torch.stack([right] * only_first + [wrong] * only_second + [right] * 20)
    second = torch.stack([wrong] * only_first + [right] * only_second + [right] * 20)
    test = mcnemar(ScoredRows.check(first, targets), ScoredRows.check(second, targets))
    assert (test.only_first, test.only_second) == (only_first, only_second)
    rows = only_first + only_second
    if not rows:
        assert (test.exact_p, test.mid_p) == (1, 1)
        return
    assert test.exact_p == pytest.approx(binomtest(only_first, rows).pvalue)
    point = comb(rows, min(only_first, only_second)) / 2**rows
    assert test.mid_p == pytest.approx(1 - point / 2 if only_first == only_second else test.exact_p - point)


def test_the_corrected_t_test_follows_its_formula():
    differences = np.random.default_rng(0).normal(0.01, 0.02, size=10)
    found = corrected_resampled(differences.tolist(), test_share=0.25)
    plain = ttest_1samp(differences, 0)
    low, high = plain.confidence_interval(0.95)
    widening = math.sqrt((1 / 10 + 0.25) / (1 / 10))
    assert found.difference == pytest.approx(differences.mean())
    assert found.high - found.low == pytest.approx(widening * (high - low))
    assert found.p > plain.pvalue
    uncorrected = corrected_resampled(differences.tolist(), test_share=0.0)
    assert uncorrected.p == pytest.approx(plain.pvalue)


def test_equal_differences_have_no_spread():
    assert corrected_resampled([0.0, 0.0], 0.5).p == 1
    assert corrected_resampled([0.5, 0.5], 0.5).p == 0
    with pytest.raises(ScoreError, match="at least two folds"):
        corrected_resampled([0.1], 0.5)
