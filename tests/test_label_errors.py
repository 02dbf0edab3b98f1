"""Wrong labels that were planted are found, and clean labels are left alone."""

import pytest
import torch

from polylogit import find_label_errors
from polylogit.errors import ScoreError


def drawn(rows=600, classes=4, separation=5.0, flipped=0, seed=0):
    """Logits of a good model, labels of which some are flipped, and which these are."""
    generator = torch.Generator().manual_seed(seed)
    true = torch.arange(rows) % classes
    logits = torch.randn(rows, classes, generator=generator)
    logits[torch.arange(rows), true] += separation
    wrong = torch.randperm(rows, generator=generator)[:flipped]
    labels = true.clone()
    labels[wrong] = (true[wrong] + 1 + torch.randint(classes - 1, (flipped,), generator=generator)) % classes
    return logits, labels, set(wrong.tolist())


def test_planted_errors_are_the_suspects():
    logits, labels, wrong = drawn(flipped=30)
    found = find_label_errors(logits, labels)
    suspects = [suspect.row for suspect in found.suspects]
    assert len(set(suspects) & wrong) >= 28
    assert len(suspects) <= 33
    assert len(set(found.ranking[:30].tolist()) & wrong) >= 28
    assert found.rows == 600
    assert not found.overlapping


def test_the_suggested_class_is_the_most_probable_and_the_order_is_that_of_self_confidence():
    logits, labels, _ = drawn(flipped=30, separation=4.0)
    found = find_label_errors(logits, labels)
    predicted = logits.argmax(1)
    confidences = [suspect.given_probability for suspect in found.suspects]
    assert confidences == sorted(confidences)
    for suspect in found.suspects:
        assert suspect.given == labels[suspect.row]
        assert suspect.suggested == predicted[suspect.row]
        assert suspect.suggested_probability > suspect.given_probability
        assert suspect.error_probability > 0.5
    assert found.ranking.sort().values.tolist() == list(range(600))


def test_clean_labels_give_few_suspects():
    logits, labels, _ = drawn()
    assert len(find_label_errors(logits, labels).suspects) <= 3


def test_the_threshold_of_a_class_is_the_confidence_of_its_own_rows():
    """Rows labelled 1 are given class 1 with less certainty than rows labelled 0 class 0."""
    logits, labels, _ = drawn(classes=2, separation=2.0)
    logits[labels == 1] /= 3
    low, high = find_label_errors(logits, labels).thresholds[::-1]
    assert 0.5 < low < high - 0.05


def test_overlapping_classes_are_no_label_errors():
    """Correct labels of rows between the classes are unlikely ones, and the probabilities account for them."""
    generator = torch.Generator().manual_seed(1)
    logits = 1.5 * torch.randn(2000, 3, generator=generator)
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    found = find_label_errors(logits, labels)
    assert len(found.suspects) <= 10
    assert (logits.argmax(1) != labels).sum() > 500


@pytest.mark.parametrize("scale", [0.2, 1.0, 5.0])
def test_the_scale_of_the_logits_does_not_matter(scale):
    logits, labels, _ = drawn(flipped=30, separation=3.0)
    found, other = find_label_errors(logits, labels), find_label_errors(scale * logits, labels)
    assert [suspect.row for suspect in found.suspects] == [suspect.row for suspect in other.suspects]


def test_the_share_is_fitted_to_some_of_very_many_rows(monkeypatch):
    logits, labels, wrong = drawn(rows=4000, flipped=200, separation=6.0)
    whole = {suspect.row for suspect in find_label_errors(logits, labels).suspects}
    monkeypatch.setattr("polylogit.label_errors.MOST_ROWS_FITTED", 1000)
    some = {suspect.row for suspect in find_label_errors(logits, labels).suspects}
    assert len(whole ^ some) <= 10
    assert len(some & wrong) >= 180


@pytest.mark.parametrize("separation", [8.0, 20.0])
def test_wrong_labels_are_found_where_every_row_is_equally_certain(separation):
    """A high temperature would account for them as well as wrong labels do."""
    logits, labels, wrong = drawn(rows=100, classes=3, flipped=5, separation=separation)
    assert {suspect.row for suspect in find_label_errors(logits, labels).suspects} == wrong


def test_scores_that_say_nothing_are_reported_as_overlapping():
    logits, labels, _ = drawn(separation=0.0)
    assert find_label_errors(logits, labels).overlapping


def test_rows_of_weight_zero_are_not_examined_and_keep_the_numbers_of_the_others():
    logits, labels, wrong = drawn(flipped=30)
    weights = torch.ones(600)
    weights[:300] = 0.0
    found = find_label_errors(logits, labels, sample_weight=weights)
    assert found.rows == 300
    assert min(suspect.row for suspect in found.suspects) >= 300
    assert {suspect.row for suspect in found.suspects} <= wrong | set(found.ranking.tolist())
    alone = find_label_errors(logits[300:], labels[300:])
    assert [suspect.row + 300 for suspect in alone.suspects] == [suspect.row for suspect in found.suspects]


def test_weights_count_like_repeated_rows_in_the_thresholds():
    logits, labels, _ = drawn(rows=60, flipped=6)
    times = torch.arange(60) % 3 + 1
    weighted = find_label_errors(logits, labels, sample_weight=times.double())
    repeated = find_label_errors(logits.repeat_interleave(times, 0), labels.repeat_interleave(times))
    assert weighted.thresholds == pytest.approx(repeated.thresholds)
    assert weighted.accuracy == pytest.approx(repeated.accuracy)


def test_a_class_without_rows_is_suggested_to_none():
    logits, labels, _ = drawn(classes=3, flipped=30)
    with_more = torch.cat([logits, torch.full((600, 1), -20.0)], dim=1)
    found = find_label_errors(with_more, labels)
    assert found.thresholds[3] is None
    assert all(suspect.suggested != 3 for suspect in found.suspects)


def test_faulty_scores_are_an_error():
    with pytest.raises(ScoreError, match="finite"):
        find_label_errors(torch.tensor([[float("nan"), 0.0]]), torch.tensor([0]))
