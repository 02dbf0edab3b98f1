import torch

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
    assert "With 3 rows even perfect probabilities" in words.calibration_sentence(evaluation([0, 1, 1], [0, 1, 2]))


def test_no_advice_where_no_threshold_helps():
    assert words.threshold_advice(evaluation([0, 1, 2], [0, 1, 2])) == ""


def test_advice_is_the_threshold_that_helps_most():
    logits = torch.tensor([[2.0, 0, 0]] * 4 + [[0.2, 0, 0]] * 4)
    advice = words.threshold_advice(evaluate_logits(logits, torch.tensor([0] * 4 + [1] * 4), ["cat", "dog", "owl"]))
    assert advice == "With --abstain-below 0.5 the model answers 50% of the rows, with an accuracy of 100%."


def test_confusions_come_by_size():
    found = words.most_confused(evaluation([1, 1, 0, 2, 2], [0, 0, 1, 1, 2]))
    assert found == [("cat", "dog", 2, 1.0), ("dog", "cat", 1, 0.5), ("dog", "owl", 1, 0.5)]
