import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn_metrics
from torchmetrics.functional.classification import multiclass_auroc, multiclass_average_precision

from polylogit.evaluation import ScoredRows
from polylogit.evaluation.ranking import ranking_figures


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_ranking_figures_equal_scikit_learn(draw, whole_weights, weighted, tied):
    logits, targets = draw(400, 5)
    logits = logits.round() if tied else logits
    weights = whole_weights(400).double() if weighted else torch.ones(400).double()
    rows = ScoredRows.check(logits, targets, weights)  # rows of weight zero are gone
    targets, probabilities, weights = rows.targets, rows.probabilities.numpy(), rows.weights
    for k, (area, precision) in enumerate(ranking_figures(rows)):
        own = (targets == k).numpy()
        assert area == pytest.approx(pairwise_area(own, probabilities[:, k], weights.numpy()), rel=1e-9)
        expected = sklearn_metrics.roc_auc_score(own, probabilities[:, k], sample_weight=weights)
        assert area == pytest.approx(expected, rel=1e-9)
        expected = sklearn_metrics.average_precision_score(own, probabilities[:, k], sample_weight=weights)
        assert precision == pytest.approx(expected, rel=1e-9)


def pairwise_area(own, scores, weights):
    """ROC AUC by its meaning: how often an example of the class outscores one that is not; ties count half."""
    above = (scores[own][:, None] > scores[~own]) + 0.5 * (scores[own][:, None] == scores[~own])
    pairs = weights[own][:, None] * weights[~own]
    return float(np.sum(above * pairs) / np.sum(pairs))


def test_ranking_figures_equal_torchmetrics(draw):
    logits, targets = draw(300, 4)
    areas, precisions = zip(*ranking_figures(ScoredRows.check(logits, targets)), strict=True)
    assert areas == pytest.approx(multiclass_auroc(logits, targets, num_classes=4, average=None).tolist(), abs=1e-6)
    peer = multiclass_average_precision(logits, targets, num_classes=4, average=None)
    assert precisions == pytest.approx(peer.tolist(), abs=1e-6)


def test_a_constant_answer_ranks_nothing():
    targets = torch.tensor([0, 0, 0, 1])
    (area, precision), _ = ranking_figures(ScoredRows.check(torch.zeros(4, 2), targets))
    assert (area, precision) == (0.5, 0.75)
