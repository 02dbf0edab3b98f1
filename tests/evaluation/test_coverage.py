import pytest
import torch

from polylogit.evaluation import ScoredRows, answered_above, coverage_curve


def test_the_curve_and_the_advice_are_the_same_figures(draw, whole_weights):
    logits, targets = draw(400, 4)
    rows = ScoredRows.check(logits, targets, whole_weights(400).double())
    curve = coverage_curve(rows)
    places = range(0, len(curve.threshold), 37)
    advice = answered_above(rows, tuple(curve.threshold[place] for place in places))
    for place, answered in zip(places, advice, strict=True):
        assert answered.coverage == pytest.approx(curve.coverage[place])
        assert answered.accuracy == pytest.approx(curve.accuracy[place])


def test_answering_everything_is_the_accuracy(draw):
    rows = ScoredRows.check(*draw(200, 3))
    curve = coverage_curve(rows)
    assert curve.coverage[-1] == pytest.approx(1.0)
    assert curve.accuracy[-1] == pytest.approx(rows.mean(rows.hits))


def test_equal_probabilities_enter_together():
    curve = coverage_curve(ScoredRows.check(torch.eye(2).repeat(3, 1), torch.tensor([0, 1, 0, 0, 0, 1])))
    assert len(curve.threshold) == 1
    assert curve.accuracy == pytest.approx((5 / 6,))


def test_nothing_answered_has_no_accuracy():
    rows = ScoredRows.check(torch.zeros(2, 2), torch.tensor([0, 1]))
    assert answered_above(rows, (0.9,))[0].accuracy is None
