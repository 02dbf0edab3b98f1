import torch
from torch import nn

from polylogit.fitting.ema import AveragedWeights


def test_the_average_is_the_weighted_mean_that_its_definition_gives():
    network = nn.Linear(1, 1, bias=False)
    network.weight.data.fill_(0.0)
    average = AveragedWeights(network, decay=0.5)
    expected = 0.0
    for update, value in enumerate((1.0, -2.0, 5.0), start=1):
        network.weight.data.fill_(value)
        average.update(network)
        decay = min(0.5, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * value
    torch.testing.assert_close(average.network.weight.item(), expected)


def test_statistics_are_averaged_and_counts_are_copied():
    network = nn.BatchNorm1d(2)
    average = AveragedWeights(network, decay=0.9)
    network(torch.randn(8, 2) + 4)
    average.update(network)
    assert average.network.num_batches_tracked == network.num_batches_tracked
    assert bool((average.network.running_mean > 0).all())
    assert not average.network.training
