"""Prediction sets: their threshold, their coverage over many draws, and what is refused."""

import math

import pytest
import torch

from polylogit.calibration import ConformalScores, coverage_statement
from polylogit.errors import ModelFileError, RecipeError

DRAWS = 200


def scores_of(losses, targets=None, weights=None, source="held-out"):
    losses = torch.tensor(losses)
    targets = torch.zeros(len(losses), dtype=torch.int64) if targets is None else torch.tensor(targets)
    weights = None if weights is None else torch.tensor(weights)
    return ConformalScores.of_rows(losses, targets, 2, weights=weights, source=source)


def threshold(rule):
    return -math.log(rule.least_probability[0])


@pytest.mark.parametrize(("rows", "coverage"), [(9, 0.9), (10, 0.9), (39, 0.95), (100, 0.5), (19, 0.7)])
def test_the_threshold_is_the_smallest_that_the_rows_and_one_more_allow(rows, coverage):
    losses = torch.rand(rows, generator=torch.Generator().manual_seed(rows)).tolist()
    expected = sorted(losses)[math.ceil(round(coverage * (rows + 1), 9)) - 1]
    assert threshold(scores_of(losses).rule(coverage)) == pytest.approx(expected, abs=2e-5)


def test_weights_count_like_shares_and_their_scale_does_not_matter():
    losses = [0.1, 0.2, 0.3, 0.4]
    equal = scores_of(losses).rule(0.6)
    assert scores_of(losses, weights=[5.0] * 4).rule(0.6) == equal
    # 3 of 6 + 3 (the heaviest counts for the new row): 0.3 is reached at 5 of 9, 0.4 at 6 of 9
    weighted = scores_of(losses, weights=[3.0, 1.0, 1.0, 1.0])
    assert threshold(weighted.rule(0.55)) == pytest.approx(0.3, abs=2e-5)
    assert threshold(weighted.rule(0.6)) == pytest.approx(0.4, abs=2e-5)
    assert weighted.highest_coverage == pytest.approx(6 / 9)


def test_too_few_rows_are_an_error_that_says_what_is_possible():
    with pytest.raises(RecipeError, match=r"coverage 0\.95: 9 held-out rows allow at most 0\.9;"):
        scores_of([0.1] * 9).rule(0.95)
    with pytest.raises(RecipeError, match="expected a share above 0 and below 1"):
        scores_of([0.1] * 9).rule(1.0)


def test_a_class_with_too_few_rows_is_in_every_set():
    scores = scores_of([0.1] * 20 + [0.2] * 3, [0] * 20 + [1] * 3)
    rule = scores.rule(0.9, by_class=True)
    assert scores.too_few(0.9) == (1,)
    assert rule.least_probability[1] == 0
    assert rule.sets(torch.tensor([[9.0, 0.0]]), ("a", "b")) == [("a", "b")]


def test_no_set_is_empty_and_a_probability_on_the_threshold_is_inside():
    rule = scores_of([0.01] * 30).rule(0.9)
    assert rule.contains(torch.zeros(1, 2)).tolist() == [[True, False]]
    on_it = torch.tensor([[math.exp(-0.7), 1 - math.exp(-0.7)]]).log()
    assert scores_of([0.7] * 30).rule(0.9).contains(on_it).tolist() == [[True, True]]


def drawn(rows, generator, classes=4):
    """Rows whose probabilities are overconfident and biased: the guarantee does not need good ones."""
    logits = 2 * torch.randn(rows, classes, generator=generator)
    targets = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    return 2 * logits + torch.tensor([1.0, 0.0, 0.0, -1.0]), targets


def losses_of(logits, targets):
    return -logits.log_softmax(1).gather(1, targets[:, None])[:, 0]


@pytest.mark.parametrize("by_class", [False, True])
def test_the_coverage_of_200_draws_is_the_wanted_one(by_class):
    """The mean over draws is within four standard errors of the range that theory gives, 0.8 to 0.8 + 1 / (M + 1)."""
    generator, shares = torch.Generator().manual_seed(0), []
    new, targets = drawn(2000, generator)
    for _ in range(DRAWS):
        logits, known = drawn(120, generator)
        scores = ConformalScores.of_rows(losses_of(logits, known), known, 4, source="held-out")
        hits = scores.rule(0.8, by_class=by_class).contains(new).gather(1, targets[:, None])[:, 0].double()
        shares.append([hits[targets == k].mean() for k in range(4)] if by_class else [hits.mean()])
    found = torch.tensor(shares)
    error = found.std(dim=0) / math.sqrt(DRAWS) + math.sqrt(0.16 / 2000)
    slack = 1 / 15 if by_class else 1 / 121
    assert (found.mean(dim=0) >= 0.8 - 4 * error).all()
    assert (found.mean(dim=0) <= 0.8 + slack + 4 * error).all()


def test_weights_carry_the_coverage_to_rows_that_are_as_the_weights_say():
    """Rows of the last class are rare among the held-out rows and common among the new ones."""
    generator, shares, plain = torch.Generator().manual_seed(0), [], []
    new, targets = drawn(8000, generator)
    new, targets = new[targets == 3], targets[targets == 3]
    for _ in range(DRAWS):
        logits, known = drawn(300, generator)
        weights = torch.where(known == 3, 1.0, 1e-3)
        losses = losses_of(logits, known)
        for into, given in ((shares, weights), (plain, None)):
            rule = ConformalScores.of_rows(losses, known, 4, weights=given, source="held-out").rule(0.8)
            into.append(rule.contains(new).gather(1, targets[:, None])[:, 0].double().mean())
    assert sum(shares) / DRAWS > 0.79
    assert sum(plain) / DRAWS < 0.75


def test_the_spread_is_that_of_the_coverage_over_draws():
    generator, shares = torch.Generator().manual_seed(1), []
    new, targets = drawn(5000, generator)
    for _ in range(DRAWS):
        logits, known = drawn(120, generator)
        scores = ConformalScores.of_rows(losses_of(logits, known), known, 4, source="held-out")
        shares.append(float(scores.rule(0.8).contains(new).gather(1, targets[:, None]).double().mean()))
    low, high = scores.spread(0.8)
    assert sum(low <= share <= high for share in shares) >= 0.9 * DRAWS


def test_a_model_file_keeps_the_scores():
    scores = scores_of([0.5, 0.1, 0.3], [0, 1, 0], weights=[1.0, 2.0, 3.0], source="cross-fitted")
    again = ConformalScores.from_state(scores.as_header(), scores.tensors())
    assert again.rule(0.4) == scores.rule(0.4)
    assert (again.rows, again.source, again.grouped) == ((2, 1), "cross-fitted", False)
    for name, tensor, message in (
        ("scores", torch.zeros(2), "expected 3 values"),
        ("scores", torch.tensor([-1.0, 0.0, 0.0]), "above 0"),
        ("weights", torch.zeros(3, dtype=torch.float64), "above 0"),
        ("more", torch.zeros(3), "belong to no part"),
    ):
        with pytest.raises(ModelFileError, match=message):
            ConformalScores.from_state(scores.as_header(), scores.tensors() | {name: tensor})


@pytest.mark.parametrize(
    ("source", "grouped", "words"),
    [
        ("held-out", False, "at least 90 sets"),
        ("held-out", True, "held out together"),
        ("validation", False, "its calibration was"),
        ("cross-fitted", False, "a model fitted without it"),
    ],
)
def test_the_statement_promises_no_more_than_holds(source, grouped, words):
    zeros = torch.zeros(30, dtype=torch.int64)
    scores = ConformalScores.of_rows(torch.ones(30), zeros, 2, source=source, grouped=grouped)
    statement = coverage_statement(scores, 0.9)
    assert words in statement
    assert ("at least" in statement) == (source == "held-out" and not grouped)
