"""What a target may be: the forms, the words for what fits none, and the weights in the mean."""

import math

import pytest
import torch
from torch.testing import assert_close

from polylogit.errors import ScoreError
from polylogit.losses import target_weights
from polylogit.losses.target_checks import check_rows, explain_indices
from polylogit.losses.targets import resolve_targets, where


@pytest.mark.parametrize(
    ("targets", "scores_shape", "message"),
    [
        (torch.zeros(3, 2), (2, 3), "The axes are in another order"),
        (torch.zeros(2, 1, 4).long(), (2, 3, 4), r"squeeze\(1\)"),
        (torch.zeros(2, 4), (2, 3), "The rows have 4 classes and the scores 3"),
        (torch.zeros(2, dtype=torch.bool), (2, 3), "binary_cross_entropy_with_logits"),
        (torch.zeros(2, 5).long(), (2, 3, 4), "Classes belong on axis 1"),
        (torch.zeros(1).long(), (3,), r"squeeze\(-1\)"),
        (torch.zeros(2).cfloat(), (2, 3), "complex64"),
    ],
)
def test_what_fits_no_form_is_reported_with_its_likeliest_fix(targets, scores_shape, message):
    with pytest.raises(ScoreError, match=message):
        resolve_targets(targets, scores_shape)


def test_indices_are_resolved_without_a_copy_where_they_are_int64():
    indices = torch.tensor([0, 2])
    assert resolve_targets(indices, (2, 3)) is indices
    assert resolve_targets(indices.to(torch.uint16), (2, 3)).dtype is torch.int64


def test_a_place_in_words():
    assert where([]) == "the only row"
    assert where([4]) == "row 4"
    assert where([4, 2, 0], axis=1) == "row 4, position (0)"


def test_in_range_indices_have_nothing_to_explain():
    assert explain_indices(torch.tensor([0, 2, -100]), 3, -100) is None
    assert "0 is out" not in explain_indices(torch.tensor([0, 7, -5]), 3, -100)
    assert "at least 8 classes" in explain_indices(torch.tensor([0, 7]), 3, -100)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("classes", [2, 10, 5000])
def test_rounded_distributions_pass_in_every_dtype(dtype, classes):
    generator = torch.Generator().manual_seed(1)
    rows = torch.randn(20, classes, generator=generator, dtype=torch.float64).softmax(1).to(dtype)
    check_rows(rows, 1)
    with pytest.raises(ScoreError, match="sum to 1"):
        check_rows(rows * 1.05, 1)
    rows[3, 1] = math.inf
    with pytest.raises(ScoreError, match="row 3"):
        check_rows(rows, 1)


def test_the_weight_of_each_form():
    class_weight, sample_weight = torch.tensor([1.0, 10.0, 100.0]), torch.tensor([1.0, 2.0])
    indices, rows = torch.tensor([2, -100]), torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    options = {"class_weight": class_weight, "sample_weight": sample_weight}
    assert_close(target_weights(indices, (2, 3), **options), torch.tensor([100.0, 0.0]))
    assert_close(target_weights(rows, (2, 3), **options), torch.tensor([5.5, 200.0]))
    assert_close(target_weights(rows, (2, 3)), torch.ones(2))
    positions = torch.tensor([[0, 1], [2, 2]])
    assert_close(target_weights(positions, (2, 3, 2), **options), torch.tensor([[1.0, 10.0], [200.0, 200.0]]))
