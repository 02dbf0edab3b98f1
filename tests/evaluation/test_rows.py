import pytest
import torch

from polylogit.errors import ScoreError
from polylogit.evaluation import ScoredRows

LOGITS = torch.zeros(3, 2)
TARGETS = torch.tensor([0, 1, 1])


@pytest.mark.parametrize(
    ("logits", "targets", "weights", "message"),
    [
        (torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), None, "nothing to evaluate"),
        (torch.tensor([[0.0, float("nan")]]), torch.tensor([0]), None, r"logits\[0, 1\] is nan"),
        (LOGITS, torch.tensor([0, 1, -1]), None, r"targets\[2\]: expected a class index from 0 to 1, got -1"),
        (LOGITS, torch.tensor([0, 2, 1]), None, r"targets\[1\]: expected a class index from 0 to 1, got 2"),
        (LOGITS, TARGETS, torch.tensor([1.0, -1.0, 1.0]), r"sample_weight\[1\] is -1.0"),
        (LOGITS, TARGETS, torch.tensor([1.0, 1.0, float("inf")]), r"sample_weight\[2\] is inf"),
        (LOGITS, TARGETS, torch.zeros(3), "all 3 weights are zero"),
    ],
)
def test_faults_are_named(logits, targets, weights, message):
    with pytest.raises(ScoreError, match=message):
        ScoredRows.check(logits, targets, weights)


def test_rows_of_weight_zero_are_left_out():
    rows = ScoredRows.check(torch.eye(3), torch.arange(3), torch.tensor([1.0, 0.0, 2.0]))
    assert rows.targets.tolist() == [0, 2]


def test_half_precision_logits_are_evaluated_in_double():
    rows = ScoredRows.check(torch.eye(2, dtype=torch.bfloat16), torch.arange(2))
    assert rows.probabilities.dtype == torch.float64


def test_effective_rows_of_equal_weights_are_the_rows():
    rows = ScoredRows.check(LOGITS, TARGETS, torch.full((3,), 0.25))
    assert rows.effective_rows == pytest.approx(3.0)
