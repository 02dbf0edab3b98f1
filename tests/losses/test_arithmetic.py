"""Precision, and 0 * inf = 0 in the value and in both gradients."""

import math

import pytest
import torch

from polylogit.errors import ScoreError
from polylogit.losses.arithmetic import at_least_float32, least, product


def test_0_times_infinity_is_0_with_its_gradients():
    coefficients = torch.tensor([0.0, 0.0, 2.0], requires_grad=True)
    values = torch.tensor([-math.inf, 3.0, 5.0], requires_grad=True)
    result = product(coefficients, values)
    result.sum().backward()
    assert result.tolist() == [0, 0, 10]
    assert coefficients.grad.tolist() == [0, 3, 5]
    assert values.grad.tolist() == [0, 0, 2]
    assert product(torch.tensor([0.5]), torch.tensor([-math.inf])).item() == -math.inf
    assert product(torch.tensor([0.0]), torch.tensor([math.nan])).isnan()


def test_only_half_precision_is_widened():
    for dtype in (torch.float32, torch.float64):
        scores = torch.zeros(2, dtype=dtype)
        assert at_least_float32(scores, "logits") is scores
    for dtype in (torch.float16, torch.bfloat16):
        assert at_least_float32(torch.zeros(2, dtype=dtype), "logits").dtype is torch.float32
    with pytest.raises(ScoreError, match="log_probabilities: expected floating point numbers, got int64"):
        at_least_float32(torch.zeros(2).long(), "log_probabilities")


@pytest.mark.parametrize("count", [1, 100, 10_000])
def test_the_least_of_many_numbers(count):
    values = torch.linspace(-3, 5, count)
    assert least(values) == -3
    assert math.isnan(least(torch.cat([values, torch.tensor([math.nan])])))
