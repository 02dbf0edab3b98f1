import math
from copy import deepcopy

import pytest
import torch
from torch import nn

from polylogit.errors import ModelFileError
from polylogit.fitting.ema import AveragedWeights
from polylogit.fitting.fit_state import FitState
from polylogit.fitting.history import EpochRecord
from polylogit.fitting.optimizers import build_optimizer


def state(optimizer, seed):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)).to(memory_format=torch.channels_last)
    fitter = build_optimizer(network, optimizer, learning_rate=0.1, momentum=0.9, weight_decay=0.01)
    return FitState(network, fitter, AveragedWeights(network, 0.9))


def step(fit, seed):
    inputs = torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(seed))
    fit.network(inputs).square().sum().backward()
    fit.optimizer.step()
    fit.optimizer.zero_grad()
    fit.averaged.update(fit.network)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "muon"])
def test_what_is_taken_up_goes_on_as_what_was_kept(optimizer):
    first, second = state(optimizer, seed=0), state(optimizer, seed=1)
    step(first, seed=0)
    first.epoch, first.best_loss, first.best_epoch = 1, 0.5, 1
    first.best = {"x": torch.ones(1)}
    first.history = [EpochRecord(1, 0.7, 0.1, 10.0, 2.0)]
    second.restore(deepcopy(first.as_kept()))  # as after writing and reading a file
    assert (second.epoch, second.best_loss, second.best_epoch) == (1, 0.5, 1)
    assert second.history == first.history
    assert torch.equal(second.best["x"], torch.ones(1))
    for fit in (first, second):
        step(fit, seed=1)
    for network in ("network", "averaged"):
        one, other = (getattr(fit, network) for fit in (first, second))
        states = [(part.network if network == "averaged" else part).state_dict() for part in (one, other)]
        assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_no_best_loss_yet_is_kept_as_none():
    fit = state("sgd", seed=0)
    kept = fit.as_kept()
    assert kept.best_loss is None
    fit.restore(kept)
    assert math.isinf(fit.best_loss)


@pytest.mark.parametrize("former_names", [False, True])
@pytest.mark.parametrize(("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_adam_of_a_cpu_resumes_with_the_optimiser_that_torch_uses_elsewhere(name, kind, former_names):
    """As on a GPU, where the class is torch's own; checkpoints of version 0.1 name the moments differently."""
    first, second = state(name, seed=0), state(name, seed=1)
    step(first, seed=0)
    kept = deepcopy(first.as_kept())
    if former_names:
        names = {"exp_avg": "mean", "exp_avg_sq": "square"}
        kept.tensors.update(
            {
                entry.rpartition(".")[0] + "." + names[entry.rpartition(".")[2]]: kept.tensors.pop(entry)
                for entry in list(kept.tensors)
                if entry.rpartition(".")[2] in names
            }
        )
    groups = [
        {"params": group["params"], "weight_decay": group["weight_decay"]} for group in second.optimizer.param_groups
    ]
    second.optimizer = kind(groups, lr=0.1, betas=(0.9, 0.999), fused=True)
    second.restore(kept)
    for fit in (first, second):
        step(fit, seed=1)
    for entry, value in first.network.state_dict().items():
        assert torch.equal(value, second.network.state_dict()[entry]), entry


def test_state_of_another_network_is_an_error():
    kept = state("adam", seed=0)
    step(kept, seed=0)
    small = nn.Linear(8, 3)
    optimizer = build_optimizer(small, "adam", learning_rate=0.1, momentum=0.9, weight_decay=0.01)
    other = FitState(small, optimizer, None)
    with pytest.raises(ModelFileError, match="of another network"):
        other.restore(kept.as_kept())
