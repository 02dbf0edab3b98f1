import pytest
import torch

from polylogit.calibration import Calibration, CalibrationFit, QuadraticMap
from polylogit.evaluation import evaluate_logits
from polylogit.report import words


def evaluation(predicted, targets, names=("cat", "dog", "owl"), sharpness=4.0):
    return evaluate_logits(sharpness * torch.eye(len(names))[predicted], torch.tensor(targets), names)


@pytest.mark.parametrize(
    ("share", "told"),
    [(0.0, "0%"), (1.0, "100%"), (0.5, "50%"), (0.8914, "89.1%"), (0.9999, ">99.9%"), (1e-6, "<0.1%"), (None, "–")],
)
def test_percent(share, told):
    assert words.percent(share) == told


def test_a_classifier_that_learned_nothing_is_told_so():
    assert "learned nothing" in words.headline(evaluation([0, 0, 0], [0, 1, 2]))
    assert "learned nothing" not in words.headline(evaluation([0, 1, 0], [0, 1, 2]))


def test_the_hardest_class_and_what_it_is_taken_for():
    told = words.weakness(evaluation([0, 1, 1, 1, 2], [0, 1, 2, 2, 2]))
    assert "“owl” hardest: it recognises 33.3% of 3" in told
    assert "“dog” (2)" in told
    assert words.weakness(evaluation([0, 1, 2], [0, 1, 2])) == "No class was mistaken for another."


def test_few_rows_are_told_to_tell_little():
    assert "even perfect probabilities" in words.belief(evaluation([0, 1, 1], [0, 1, 2]))


def test_no_advice_where_no_threshold_helps():
    assert words.threshold_advice(evaluation([0, 1, 2], [0, 1, 2])) == ""


def test_advice_is_the_threshold_that_helps_most():
    logits = torch.tensor([[2.0, 0, 0]] * 4 + [[0.2, 0, 0]] * 4)
    told = words.threshold_advice(evaluate_logits(logits, torch.tensor([0] * 4 + [1] * 4), ["cat", "dog", "owl"]))
    assert (
        told
        == "Answering only where it is at least 50% sure, it answers 50% of the rows and is right on 100% of those."
    )


def test_the_calibration_is_described_with_its_evidence():
    fitted = CalibrationFit(Calibration(temperature=1.5), 600, 0.5, 0.4, 0.03)
    described = words.calibration_in_full(fitted.calibration, fitted)
    assert "overconfident" in described
    assert "600 rows" in described
    stayed = CalibrationFit(Calibration(), 20, 0.5, 0.5, reason="20 rows were held out; 50 are needed")
    assert "not calibrated: 20 rows were held out; 50 are needed." in words.calibration_in_full(Calibration(), stayed)
    assert "not calibrated" in words.calibration_in_full(Calibration(), None)
    assert "temperature 1.500" in words.calibration_in_full(Calibration(temperature=1.5), None)
    curved = Calibration(QuadraticMap(0.25, 0.2), 0.6)
    assert "become 0.25 s - 0.20 s²" in words.calibration_in_full(curved, None)


def test_confusions_come_by_size():
    found = words.most_confused(evaluation([1, 1, 0, 2, 2], [0, 0, 1, 1, 2]))
    assert found == [("cat", "dog", 2, 1.0), ("dog", "cat", 1, 0.5), ("dog", "owl", 1, 0.5)]
