import json
import math

import pytest
import torch
from sklearn import metrics as sklearn_metrics
from torchmetrics.functional.classification import multiclass_confusion_matrix

from polylogit.errors import ScoreError
from polylogit.evaluation import evaluate_logits


def names(classes):
    return [f"class {k}" for k in range(classes)]


def test_as_json_is_plain_and_has_no_nan(draw):
    evaluation = evaluate_logits(*draw(20, 30), names(30))  # most classes are absent: undefined figures everywhere
    text = json.dumps(evaluation.as_json(), allow_nan=False)
    assert json.loads(text)["per_class"][0]["class"] == "class 0"


@pytest.mark.parametrize(("rows", "classes"), [(1, 2), (1, 10), (5, 1000), (30, 20), (200, 2), (3, 1)])
def test_any_number_of_rows_and_classes(draw, rows, classes):
    logits, targets = draw(rows, classes)
    evaluation = evaluate_logits(logits, targets, names(classes))
    assert evaluation.rows == rows
    assert sum(map(sum, evaluation.confusion)) == rows
    assert evaluation.accuracy_interval[0] <= evaluation.accuracy <= evaluation.accuracy_interval[1]
    absent = sorted(set(range(classes)) - set(targets.tolist()))
    assert all(evaluation.per_class[k].recall is None for k in absent)
    assert all(evaluation.per_class[k].roc_auc is None for k in absent)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("rows", "classes"), [(500, 6), (60, 25)])
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_class_figures_equal_scikit_learn(draw, whole_weights, rows, classes, weighted):
    logits, targets = draw(rows, classes)
    weights = whole_weights(rows).double() if weighted else None
    evaluation = evaluate_logits(logits, targets, names(classes), sample_weight=weights)
    counted = slice(None) if weights is None else weights > 0
    true, predicted = targets[counted], logits.argmax(1)[counted]
    share = None if weights is None else weights[counted]
    columns = sklearn_metrics.precision_recall_fscore_support(
        true, predicted, labels=range(classes), sample_weight=share, zero_division=math.nan
    )
    for figures, expected in zip(evaluation.per_class, zip(*columns, strict=True), strict=True):
        found = (figures.precision, figures.recall, figures.f1, figures.support)
        assert found == tuple(None if math.isnan(value) else pytest.approx(value) for value in expected)
    for average in ("macro", "weighted"):
        expected = sklearn_metrics.precision_recall_fscore_support(
            true, predicted, average=average, sample_weight=share, zero_division=0
        )
        averages = getattr(evaluation, average)
        assert (averages.precision, averages.recall, averages.f1) == pytest.approx(expected[:3])
    expected = sklearn_metrics.balanced_accuracy_score(true, predicted, sample_weight=share)
    assert evaluation.balanced_accuracy == pytest.approx(expected)


def test_macro_ranking_figures_equal_scikit_learn(draw):
    logits, targets = draw(500, 6)
    probabilities, evaluation = logits.softmax(1), evaluate_logits(logits, targets, names(6))
    for average in ("macro", "weighted"):
        expected = sklearn_metrics.roc_auc_score(targets, probabilities, multi_class="ovr", average=average)
        assert getattr(evaluation, average).roc_auc == pytest.approx(expected)
        expected = sklearn_metrics.average_precision_score(targets, probabilities, average=average)
        assert getattr(evaluation, average).average_precision == pytest.approx(expected)


def test_confusion_equals_torchmetrics_in_whole_numbers(draw):
    logits, targets = draw(500, 6)
    confusion = evaluate_logits(logits, targets, names(6)).confusion
    assert torch.equal(torch.tensor(confusion), multiclass_confusion_matrix(logits, targets, num_classes=6))


def test_weights_equal_repetition_in_every_figure(draw, whole_weights):
    logits, targets = draw(300, 5)
    weights = whole_weights(300)
    repeated = evaluate_logits(logits.repeat_interleave(weights, 0), targets.repeat_interleave(weights), names(5))
    weighted = evaluate_logits(logits, targets, names(5), sample_weight=weights.double())
    left, right = repeated.as_json(), weighted.as_json()
    for key in ("rows", "accuracy_interval"):  # these depend on the number of rows, which weights do not change
        left.pop(key), right.pop(key)
    for key in ("interval", "limit_if_calibrated"):
        left["smooth_calibration"].pop(key), right["smooth_calibration"].pop(key)
    assert numbers(left) == pytest.approx(numbers(right), rel=1e-9)


def numbers(plain):
    if isinstance(plain, dict):
        plain = list(plain.values())
    if isinstance(plain, list):
        return [number for part in plain for number in numbers(part)]
    return [plain] if isinstance(plain, int | float) else []


def test_baselines_are_those_of_a_constant_answer(draw):
    logits, targets = draw(400, 3)
    baselines = evaluate_logits(logits, targets, names(3)).baselines
    shares = torch.bincount(targets, minlength=3) / 400
    constant = evaluate_logits(shares.log().expand(400, 3), targets, names(3))
    assert baselines.majority_class == f"class {int(shares.argmax())}"
    assert baselines.majority_accuracy == pytest.approx(constant.accuracy)
    assert baselines.frequency_log_loss == pytest.approx(constant.log_loss)
    assert baselines.frequency_brier_score == pytest.approx(constant.brier_score)


def test_class_names_must_fit(draw):
    with pytest.raises(ScoreError, match="3 classes, but 2 class names"):
        evaluate_logits(*draw(5, 3), names(2))


def test_log_loss_of_a_sure_mistake_is_not_clipped():
    evaluation = evaluate_logits(torch.tensor([[2000.0, 0.0]]), torch.tensor([1]), ["a", "b"])
    assert evaluation.log_loss == pytest.approx(2000.0)
    assert math.isfinite(evaluation.brier_score)
