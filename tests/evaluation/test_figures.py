import json
import math

import pytest
import torch

from polylogit.errors import ScoreError
from polylogit.evaluation import evaluate_logits


def draw(rows, classes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(rows, classes, generator=generator)
    targets = torch.multinomial((0.7 * logits).softmax(1), 1, generator=generator)[:, 0]
    return logits, targets, [f"class {k}" for k in range(classes)]


def test_as_json_is_plain_and_has_no_nan():
    logits, targets, names = draw(20, 30)  # most classes are absent: undefined figures everywhere
    text = json.dumps(evaluate_logits(logits, targets, names).as_json(), allow_nan=False)
    assert json.loads(text)["per_class"][0]["class"] == "class 0"


@pytest.mark.parametrize(("rows", "classes"), [(1, 2), (1, 10), (5, 1000), (200, 2), (3, 1)])
def test_any_number_of_rows_and_classes(rows, classes):
    logits, targets, names = draw(rows, classes)
    evaluation = evaluate_logits(logits, targets, names)
    assert evaluation.rows == rows
    assert sum(map(sum, evaluation.confusion)) == rows
    assert evaluation.accuracy_interval[0] <= evaluation.accuracy <= evaluation.accuracy_interval[1]
    absent = sorted(set(range(classes)) - set(targets.tolist()))
    assert all(evaluation.per_class[k].recall is None for k in absent)
    assert all(evaluation.per_class[k].roc_auc is None for k in absent)


def test_class_names_must_fit():
    logits, targets, names = draw(5, 3)
    with pytest.raises(ScoreError, match="3 classes, but 2 class names"):
        evaluate_logits(logits, targets, names[:2])


def test_log_loss_of_a_sure_mistake_is_not_clipped():
    evaluation = evaluate_logits(torch.tensor([[2000.0, 0.0]]), torch.tensor([1]), ["a", "b"])
    assert evaluation.log_loss == pytest.approx(2000.0)
    assert math.isfinite(evaluation.brier_score)
