import pytest
import torch
from scipy.stats import binomtest
from sklearn import metrics as sklearn_metrics
from torchmetrics.functional.classification import multiclass_accuracy

from polylogit.evaluation import ScoredRows
from polylogit.evaluation.metrics import accuracy_interval, brier_score, log_loss, top_k_accuracy


def test_log_loss_equals_scikit_learn(draw, whole_weights):
    logits, targets = draw(300, 4)
    weights = whole_weights(300).double()
    expected = sklearn_metrics.log_loss(targets, logits.softmax(1), labels=range(4), sample_weight=weights)
    assert log_loss(ScoredRows.check(logits, targets, weights)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 9])
def test_brier_score_equals_scikit_learn(draw, whole_weights, classes):
    pytest.importorskip("sklearn", minversion="1.7", reason="scikit-learn has the score of several classes from 1.7 on")
    logits, targets = draw(300, classes)
    weights = whole_weights(300).double()
    expected = sklearn_metrics.brier_score_loss(
        targets, logits.softmax(1), labels=range(classes), sample_weight=weights, scale_by_half=False
    )
    assert brier_score(ScoredRows.check(logits, targets, weights)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_top_k_accuracy_equals_scikit_learn_and_torchmetrics(draw, k):
    logits, targets = draw(300, 7)
    found = top_k_accuracy(ScoredRows.check(logits, targets), k)
    assert found == pytest.approx(sklearn_metrics.top_k_accuracy_score(targets, logits, k=k, labels=range(7)))
    peer = multiclass_accuracy(logits, targets, num_classes=7, average="micro", top_k=k)
    assert found == pytest.approx(float(peer), abs=1e-6)


def test_of_equal_logits_the_earlier_counts_as_larger():
    rows = ScoredRows.check(torch.zeros(3, 3), torch.arange(3))
    assert [top_k_accuracy(rows, k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])
    assert rows.mean(rows.hits) == top_k_accuracy(rows, 1)


@pytest.mark.parametrize(("right", "rows"), [(0, 5), (5, 5), (9, 10), (4321, 5000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_accuracy_interval_equals_scipy(right, rows, confidence):
    expected = binomtest(right, rows).proportion_ci(confidence, method="wilson")
    found = accuracy_interval(right / rows, rows, confidence)
    assert found == pytest.approx((expected.low, expected.high), abs=1e-12)
