import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from polylogit.evaluation import ScoredRows, calibration_error, reliability_bins
from polylogit.evaluation.reliability import classwise_calibration_errors


@pytest.mark.parametrize("bins", [5, 15, 30])
@pytest.mark.parametrize("classes", [2, 10])
def test_calibration_error_equals_torchmetrics(draw, bins, classes):
    logits, targets = draw(2000, classes)
    expected = multiclass_calibration_error(logits.softmax(1), targets, classes, n_bins=bins, norm="l1")
    assert calibration_error(ScoredRows.check(logits, targets), bins) == pytest.approx(float(expected), abs=1e-6)


def test_classwise_errors_equal_a_loop_over_bins(draw, whole_weights):
    logits, targets = draw(500, 3)
    weights = whole_weights(500).double()
    found = classwise_calibration_errors(ScoredRows.check(logits, targets, weights))
    for k in range(3):
        claimed, true, share = logits.softmax(1)[:, k].numpy(), (targets == k).numpy(), weights.numpy()
        expected = 0.0
        for low in np.arange(15) / 15:
            inside = (claimed >= low) & (claimed < low + 1 / 15)
            gap = np.sum(share * inside * claimed) - np.sum(share * inside * true)
            expected += abs(gap) / share.sum()
        assert found[k] == pytest.approx(expected, abs=1e-12)


def test_certainty_falls_into_the_last_bin():
    bins = reliability_bins(ScoredRows.check(torch.tensor([[100.0, 0.0]]), torch.tensor([0])))
    assert bins.weight[-1] == 1.0
    assert bins.confidence[-1] == pytest.approx(1.0)
    assert bins.error == pytest.approx(0.0, abs=1e-12)
    assert bins.confidence[0] is None


def test_sure_and_always_wrong_is_an_error_of_one():
    rows = ScoredRows.check(torch.tensor([[100.0, 0.0]] * 4), torch.ones(4, dtype=torch.int64))
    assert calibration_error(rows) == pytest.approx(1.0)
