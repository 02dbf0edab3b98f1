"""Decisions by least expected cost and by the class shares in use."""

import itertools

import pytest
import torch

from polylogit.calibration import DecisionRule, evaluate_decisions
from polylogit.errors import RecipeError
from polylogit.evaluation import ScoredRows

NAMES = ("a", "b", "c")
COSTS = {"a": {"a": 0, "b": 5, "c": 1}, "b": {"a": 2, "b": -1, "c": 4}, "c": {"a": 1, "b": 3, "c": 0}}


def some_logits(rows=500, scale=2.0, seed=0):
    return scale * torch.randn(rows, 3, generator=torch.Generator().manual_seed(seed))


def test_no_other_decision_has_a_lower_expected_cost():
    logits = some_logits()
    rule = DecisionRule.by_name(NAMES, costs=COSTS)
    decided = rule.decide(logits)
    for row, p in zip(decided.tolist(), logits.double().softmax(1).tolist(), strict=True):
        expected = [sum(p[k] * COSTS[true][name] for k, true in enumerate(NAMES)) for name in NAMES]
        assert expected[row] == pytest.approx(min(expected))


def test_equal_costs_of_errors_choose_the_most_probable_class():
    logits = some_logits()
    equal = {true: {name: float(true != name) for name in NAMES} for true in NAMES}
    assert torch.equal(DecisionRule.by_name(NAMES, costs=equal).decide(logits), logits.argmax(1))
    same = DecisionRule.by_name(NAMES, prior={"a": 2, "b": 3, "c": 5}, trained=[0.2, 0.3, 0.5])
    assert torch.equal(same.decide(logits), logits.argmax(1))


def test_a_prior_gives_the_probabilities_of_the_population_that_it_describes():
    """Bayes' rule: rows drawn class by class with other shares have just these probabilities."""
    density = torch.rand(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    trained, used = torch.tensor([0.2, 0.3, 0.5]).double(), torch.tensor([0.7, 0.2, 0.1]).double()
    logits = (density * trained).log()
    rule = DecisionRule.by_name(NAMES, prior=dict(zip(NAMES, used.tolist(), strict=True)), trained=trained.tolist())
    expected = density * used / (density * used).sum(1, keepdim=True)
    torch.testing.assert_close(rule.log_probabilities(logits).exp(), expected)


def test_a_class_with_the_share_0_is_never_decided_for():
    rule = DecisionRule.by_name(NAMES, prior={"a": 0, "b": 1, "c": 1}, trained=[0.98, 0.01, 0.01])
    assert not (rule.decide(some_logits()) == 0).any()


def test_near_ties_are_those_that_rounding_could_exchange():
    rule = DecisionRule.by_name(NAMES[:2], costs={"a": {"a": 0, "b": 9}, "b": {"a": 1, "b": 0}})
    logits = torch.tensor([[0.1, 0.9], [0.3, 0.7]]).log()
    assert rule.near_ties(logits).tolist() == [True, False]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"costs": {"a": COSTS["a"], "b": COSTS["b"]}}, 'costs, true classes: the class "c" is missing'),
        ({"costs": COSTS | {"d": {}}}, 'costs, true classes: there is no class "d"'),
        ({"costs": COSTS | {"a": {"a": 0, "b": 1}}}, 'costs of the true class "a": the class "c" is missing'),
        ({"costs": COSTS | {"a": {"a": 0, "b": float("nan"), "c": 0}}}, "expected finite numbers"),
        ({"prior": {"a": 1, "b": 1}, "trained": [1 / 3] * 3}, 'prior: the class "c" is missing'),
        ({"prior": {"a": -1, "b": 1, "c": 1}, "trained": [1 / 3] * 3}, "expected shares of 0 or more"),
        ({"prior": dict.fromkeys(NAMES, 0), "trained": [1 / 3] * 3}, "not all 0"),
        ({"prior": dict.fromkeys(NAMES, 1)}, "does not know the class shares"),
    ],
)
def test_what_does_not_fit_is_named(given, message):
    with pytest.raises(RecipeError, match=message):
        DecisionRule.by_name(NAMES, **given)


def test_the_header_keeps_the_rule():
    for costs, prior in itertools.product((None, COSTS), (None, dict.fromkeys(NAMES, 1))):
        rule = DecisionRule.by_name(NAMES, costs=costs, prior=prior, trained=(0.2, 0.3, 0.5))
        assert DecisionRule.from_header(rule.as_header(), [0.2, 0.3, 0.5]) == rule


def test_the_mean_cost_under_a_prior_is_that_of_rows_with_these_shares():
    """Calibrated rows of one population, weighted to another, cost what fresh rows of that other one cost."""
    generator = torch.Generator().manual_seed(0)

    def drawn(shares, rows=40000):
        targets = torch.multinomial(torch.tensor(shares), rows, replacement=True, generator=generator)
        features = torch.randn(rows, generator=generator) + targets
        return torch.stack([-features.square() / 2, -(features - 1).square() / 2], 1) + logs, targets

    logs = torch.tensor([0.5, 0.5]).log()
    costs = {"a": {"a": 0, "b": 1}, "b": {"a": 6, "b": 0}}
    rule = DecisionRule.by_name(("a", "b"), costs=costs, prior={"a": 0.9, "b": 0.1}, trained=[0.5, 0.5])
    weighted = evaluate_decisions(rule, ScoredRows.check(*drawn([0.5, 0.5])), ("a", "b"))
    logits, targets = drawn([0.9, 0.1])
    matrix = torch.tensor(rule.costs)
    fresh = matrix[targets, rule.decide(logits)].double().mean()
    assert weighted.mean_cost == pytest.approx(float(fresh), abs=0.015)
    assert weighted.mean_cost < min(weighted.most_probable, weighted.constant_cost)
    assert weighted.saving_interval[0] > 0
    assert "its cost is lower" in weighted.sentence()
