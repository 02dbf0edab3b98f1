import pytest
import torch

from polylogit.fitting.divergence import Diverged, EpochLoss


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_no_number_is_reported_with_its_batch_and_rate(bad):
    losses = EpochLoss(torch.device("cpu"))
    losses.add(0, torch.tensor(1.0), 1.0, 0.1)
    with pytest.raises(Diverged) as news:
        losses.add(7, torch.tensor(bad), 1.0, 0.25)
    assert (news.value.batch, news.value.learning_rate) == (7, 0.25)


def test_on_a_device_that_must_be_waited_for_losses_are_looked_at_together():
    losses = EpochLoss(torch.device("meta"))
    for batch in range(49):
        losses.add(batch, torch.tensor(float("nan")), 1.0, 0.1)
    with pytest.raises(Diverged) as news:
        losses.add(49, torch.tensor(1.0), 1.0, 0.1)
    assert news.value.batch == 0


def test_rows_of_no_weight_have_no_loss():
    losses = EpochLoss(torch.device("cpu"))
    losses.add(0, torch.tensor(0.0), torch.tensor(0.0), 0.1)
    assert losses.mean() == 0.0
