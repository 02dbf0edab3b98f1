import torch

from polylogit.calibration import Calibration, CalibrationFit, CandidateScore, QuadraticMap
from polylogit.evaluation import evaluate_logits
from polylogit.report import words


def evaluation(predicted, targets, names=("cat", "dog", "owl"), sharpness=4.0):
    return evaluate_logits(sharpness * torch.eye(len(names))[predicted], torch.tensor(targets), names)


def test_the_headline_has_the_majority_baseline_beside_it():
    sentence = words.headline(evaluation([0, 1, 0], [0, 1, 2]))
    assert sentence.startswith("Accuracy 66.7% on 3 test rows (95% interval ")
    assert "always predicting “cat” would reach 33.3%" in sentence
    assert "on 1 test picture (" in words.headline(evaluation([0], [0]), "picture")


def test_the_hardest_class_and_what_it_is_predicted_as():
    sentence = words.hardest_class(evaluation([0, 1, 1, 1, 2], [0, 1, 2, 2, 2]))
    assert "“owl”: recall 33.3% of 3 rows, most often predicted as “dog” (2)" in sentence
    assert words.hardest_class(evaluation([0, 1, 2], [0, 1, 2])) == "No class was mistaken for another."


def test_few_rows_cannot_measure_the_calibration():
    sentence = words.calibration_sentence(evaluation([0, 1, 1], [0, 1, 2], sharpness=1.0))
    assert "show no miscalibration" in sentence


def test_no_advice_where_no_threshold_helps():
    assert words.threshold_advice(evaluation([0, 1, 2], [0, 1, 2])) == ""


def test_advice_is_the_threshold_that_helps_most():
    logits = torch.tensor([[2.0, 0, 0]] * 4 + [[0.2, 0, 0]] * 4)
    advice = words.threshold_advice(evaluate_logits(logits, torch.tensor([0] * 4 + [1] * 4), ["cat", "dog", "owl"]))
    assert advice == "With --abstain-below 0.5 the model answers 50% of the rows, with an accuracy of 100%."


def test_the_calibration_is_described_with_its_evidence():
    score = CandidateScore("temperature", 0.1, 0.02)
    fitted = CalibrationFit(Calibration(temperature=1.5), 600, 0.5, 0.4, "temperature", (score,))
    described = words.calibration_in_full(fitted.calibration, fitted)
    assert "600 rows" in described
    assert "lowers the log loss by 0.1000 nats (standard error 0.0200)" in described
    stayed = CalibrationFit(Calibration(), 20, 0.5, 0.5, reason="20 rows were held out; 50 are needed")
    assert "not calibrated: 20 rows were held out; 50 are needed." in words.calibration_in_full(Calibration(), stayed)
    assert "not calibrated" in words.calibration_in_full(Calibration(), None)
    assert "temperature 1.500" in words.calibration_in_full(Calibration(temperature=1.5), None)
    curved = Calibration(QuadraticMap(0.25, 0.2), 0.6)
    assert "become 0.25 s - 0.20 s²" in words.calibration_in_full(curved, None)


def test_confusions_come_by_size():
    found = words.most_confused(evaluation([1, 1, 0, 2, 2], [0, 0, 1, 1, 2]))
    assert found == [("cat", "dog", 2, 1.0), ("dog", "cat", 1, 0.5), ("dog", "owl", 1, 0.5)]
