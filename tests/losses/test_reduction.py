"""The one reduction: its words, and the mean of nothing."""

import pytest
import torch
from torch.testing import assert_close

from polylogit.errors import ScoreError
from polylogit.losses.reduction import check_reduction, check_share, reduce_losses, weighted_mean


def test_an_unknown_reduction_gets_a_hint():
    with pytest.raises(ScoreError, match=r'expected "none", "sum" or "mean", got .man.\. Did you mean "mean"'):
        check_reduction("man")


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_lies_between_0_and_1(share):
    with pytest.raises(ScoreError, match="label_smoothing: expected a share from 0 to 1"):
        check_share("label_smoothing", share)


def test_the_three_reductions():
    losses, weights = torch.tensor([2.0, 0.0, 9.0]), torch.tensor([1.0, 0.0, 3.0])
    assert reduce_losses(losses, weights, "none") is losses
    assert reduce_losses(losses, weights, "sum").item() == 11.0
    assert_close(reduce_losses(losses, weights, "mean"), torch.tensor(11 / 4))


def test_the_mean_of_nothing_is_zero_and_flat():
    total = torch.zeros((), requires_grad=True)
    mean = weighted_mean(total, torch.zeros(()))
    mean.backward()
    assert mean.item() == 0
    assert total.grad.isfinite()
