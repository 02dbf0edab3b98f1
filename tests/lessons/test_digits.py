import pytest
import torch

from polylogit.lessons.catalogue import choose_lessons
from polylogit.lessons.digits import TwoLogits, digit_rows
from polylogit.lessons.running import run_lesson


def test_two_logits_are_zero_and_the_networks_number():
    logit = torch.tensor([[2.0], [-1.0]])
    assert TwoLogits(torch.nn.Identity())(logit).tolist() == [[0.0, 2.0], [0.0, -1.0]]


@pytest.mark.usefixtures("picture_data")
def test_rows_come_digit_by_digit():
    inputs, targets = digit_rows((0, 1, 2))
    assert inputs.shape == (18623, 784)
    assert targets.bincount().tolist() == [5923, 6742, 5958]
    assert bool((targets.diff() >= 0).all())
    assert (float(inputs.min()), float(inputs.max())) == (0.0, 1.0)


@pytest.mark.usefixtures("picture_data")
@pytest.mark.parametrize(
    "name",
    ["mnist-zero-or-one-probability", "mnist-zero-or-one-logit", "mnist-three-classes", "fashion-mnist-a-picture"],
)
def test_what_comes_out_is_what_was_printed(name):
    result = run_lesson(choose_lessons([name])[0])
    assert result.fault == ""
    assert [row for row in result.rows if not row.ok] == []
