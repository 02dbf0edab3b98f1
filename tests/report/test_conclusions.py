"""Conclusions follow from all metrics, and each has its documented code."""

import re
from pathlib import Path

import pytest
import torch

from polylogit.calibration import Calibration, CalibrationFit
from polylogit.evaluation import evaluate_logits, summarise_logits
from polylogit.report.conclusions import CODES, conclusions

CHECKS = Path(__file__).parents[2] / "docs" / "checks.md"


def codes(logits, targets, fit=None, uncalibrated=None, **options):
    names = [f"class {k}" for k in range(logits.shape[1])]
    return [each.code for each in conclusions(evaluate_logits(logits, targets, names), uncalibrated, fit, **options)]


@pytest.fixture
def imbalanced():
    """One row in twenty of the second class, ranked well but never predicted."""
    targets = (torch.arange(1000) % 20 == 0).long()
    scores = torch.where(targets == 1, -1.5, -4.0) + 0.3 * torch.randn(1000, generator=torch.Generator().manual_seed(0))
    return torch.stack([torch.zeros(1000), scores], dim=1), targets


def test_a_useful_ranking_is_not_called_nothing(imbalanced):
    assert codes(*imbalanced) == ["PL011", "PL020"]


def test_a_constant_answer_has_learned_nothing():
    targets = torch.arange(300) % 3
    assert codes(torch.zeros(300, 3), targets) == ["PL010", "PL020"]


def test_confident_errors_spoil_the_probabilities():
    targets = torch.arange(300) % 3
    predicted = torch.where(torch.arange(300) % 4 == 0, (targets + 1) % 3, targets)
    assert codes(50.0 * torch.nn.functional.one_hot(predicted, 3), targets) == ["PL012"]


def test_a_good_classifier_gets_no_warning():
    targets = torch.arange(300) % 3
    predicted = torch.where(torch.arange(300) % 10 == 0, (targets + 1) % 3, targets)
    assert codes(3.0 * torch.nn.functional.one_hot(predicted, 3), targets) == []


def test_few_rows_and_missing_classes_are_notes():
    logits, targets = 4.0 * torch.eye(3)[[0, 1, 0, 1]], torch.tensor([0, 1, 0, 1])
    assert codes(logits, targets) == ["PL021", "PL001"]
    assert codes(logits, targets, cross_validated=True) == ["PL021"]


@pytest.mark.parametrize(
    ("temperature", "error", "expected"), [(0.996, 0.08, ["PL031"]), (1.5, 0.08, []), (1.1, 0.01, [])]
)
def test_a_temperature_within_its_error_is_not_needed(temperature, error, expected):
    targets = torch.arange(300) % 3
    predicted = torch.where(torch.arange(300) % 10 == 0, (targets + 1) % 3, targets)
    fit = CalibrationFit(Calibration(temperature=temperature), 600, 0.5, 0.5, relative_error=error)
    assert codes(3.0 * torch.nn.functional.one_hot(predicted, 3), targets, fit) == expected


def test_a_harmful_calibration_is_named():
    targets = torch.arange(300) % 3
    predicted = torch.where(torch.arange(300) % 10 == 0, (targets + 1) % 3, targets)
    before = 3.0 * torch.nn.functional.one_hot(predicted, 3)
    fit = CalibrationFit(Calibration(temperature=4.0), 600, 0.5, 0.5, relative_error=0.1)
    assert codes(before / 4, targets, fit, summarise_logits(before, targets)) == ["PL032"]


def test_every_code_is_documented_and_no_other():
    text = CHECKS.read_text(encoding="utf-8")
    documented = re.findall(r"^### (PL\d{3}) (.+)$", text, flags=re.MULTILINE)
    assert dict(documented) == CODES
