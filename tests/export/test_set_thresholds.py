"""Prediction sets and decisions in exports."""

import json

import pytest
import torch
from tests.export.conftest import classifier_of

from polylogit.calibration.decision_rule import DecisionRule
from polylogit.calibration.prediction_sets import ConformalScores
from polylogit.export import export_model
from polylogit.export.set_thresholds import set_thresholds

pytest.importorskip("duckdb")
pytest.importorskip("sqlglot")


def with_rule(encoder):
    classifier = classifier_of(encoder, names=("a", "b", "c"))
    scores = ConformalScores.of_rows(torch.linspace(0.1, 2, 12), torch.arange(12) % 3, 3, source="held-out")
    rule = DecisionRule(costs=((0.0, 1.0, 1.0), (9.0, 0.0, 9.0), (1.0, 1.0, 0.0)))
    object.__setattr__(classifier, "conformal", scores)
    object.__setattr__(classifier, "decision", rule)
    return classifier


def test_the_metadata_have_thresholds_and_say_what_is_left_out(mixed_encoder, saved):
    classifier = with_rule(mixed_encoder)
    path = saved(classifier)
    assert export_model(path, "sql").left_out == ""
    result = export_model(path, "sql", without_decision=True)
    about = json.loads(result.path.read_text(encoding="utf-8").splitlines()[0].removeprefix("-- polylogit "))
    sets = about["prediction_sets"]
    assert (sets["source"], sets["rows"], list(sets["least_probability"])) == ("held-out", 12, ["0.8", "0.9"])
    expected = classifier.prediction_set_rule(0.9).least_probability
    assert sets["least_probability"]["0.9"] == dict(zip("abc", expected, strict=True))
    assert result.left_out == about["left_out"]
    assert about["decision"]["costs"][1] == [9.0, 0.0, 9.0]


def test_a_model_without_scores_has_no_thresholds(mixed_encoder):
    assert set_thresholds(classifier_of(mixed_encoder)) is None
