"""Costs and class shares in exports."""

import io
import json

import pytest
import torch
from tests.export.conftest import CALIBRATIONS, classifier_of

from polylogit.calibration.decision_rule import DecisionRule
from polylogit.errors import ExportError
from polylogit.export import export_model, parity
from polylogit.export.check_rows import check_rows

pytest.importorskip("duckdb")
pytest.importorskip("onnxruntime")
pytest.importorskip("sqlglot")

COSTS = ((0.0, 1.0, 2.0), (9.0, 0.0, 7.0), (1.0, 3.0, -1.0))
PRIOR, TRAINED = (0.7, 0.2, 0.1), (0.2, 0.3, 0.5)
RULES = {
    "costs": DecisionRule(costs=COSTS),
    "prior": DecisionRule(prior=PRIOR, trained=TRAINED),
    "both": DecisionRule(COSTS, PRIOR, TRAINED),
    "impossible class": DecisionRule(COSTS, (0.0, 0.4, 0.6), TRAINED),
    "one possible class": DecisionRule(COSTS, (0.0, 0.0, 1.0), TRAINED),
    "no cost": DecisionRule(((0.0,) * 3,) * 3),
}


def with_rule(encoder, rule, calibration="temperature", **options):
    classifier = classifier_of(encoder, calibration=CALIBRATIONS[calibration], **options)
    object.__setattr__(classifier, "decision", rule)
    trained_on = classifier.trained_on.model_copy(update={"class_shares": list(TRAINED)})
    object.__setattr__(classifier, "trained_on", trained_on)
    return classifier


@pytest.mark.parametrize("to", ["onnx", "sql", "torch"])
@pytest.mark.parametrize("rule", RULES)
def test_the_class_is_that_of_the_rule_and_the_probabilities_are_untouched(to, rule, mixed_encoder, saved):
    result = export_model(saved(with_rule(mixed_encoder, RULES[rule])), to)
    assert result.left_out == ""
    assert result.largest_difference < 1e-5
    assert all(each.rows > 200 for each in result.parity)


@pytest.mark.parametrize("to", ["onnx", "sql", "torch"])
def test_the_rule_follows_a_calibration_that_mixes(to, mixed_encoder, saved):
    assert export_model(saved(with_rule(mixed_encoder, RULES["both"], "mixing")), to).largest_difference < 1e-5


def test_the_check_rows_distinguish_a_rule_from_the_most_probable_class(mixed_encoder, saved, monkeypatch):
    classifier = with_rule(mixed_encoder, RULES["costs"])
    logits = classifier.logits_counting(check_rows(classifier))[0]
    assert (RULES["costs"].decide(logits) != logits.argmax(dim=1)).sum() > 20
    wrong = DecisionRule(costs=tuple(zip(*COSTS, strict=True)))
    answers = parity.expected_answers
    monkeypatch.setattr(parity, "expected_answers", lambda _, rows: answers(with_rule(mixed_encoder, wrong), rows))
    with pytest.raises(ExportError, match="the export predicts"):
        export_model(saved(classifier), "sql")


def test_a_program_gives_the_index_of_the_class_and_says_so(mixed_encoder, saved):
    classifier = with_rule(mixed_encoder, RULES["both"])
    export = export_model(saved(classifier), "torch")
    files = {"polylogit.json": ""}
    program = torch.export.load(io.BytesIO(export.path.read_bytes()), extra_files=files).module()
    rows = mixed_encoder.encode(check_rows(classifier))
    probabilities, chosen = program(rows)
    logits = classifier.logits_of_inputs(rows)
    assert json.loads(files["polylogit.json"])["outputs"] == ["probabilities", "class_index"]
    assert torch.equal(chosen, RULES["both"].decide(logits))
    assert torch.allclose(probabilities, logits.softmax(dim=1), atol=1e-6)
