import pytest
import torch
from torch import nn

from polylogit.fitting.optimizers import build_optimizer, learning_rate_factor


def test_plain_sgd_takes_the_step_that_is_written_in_books():
    network = nn.Linear(2, 2, bias=False)
    before = network.weight.detach().clone()
    optimizer = build_optimizer(network, "sgd", learning_rate=0.1, momentum=0.0, weight_decay=0.0)
    network(torch.eye(2)).square().sum().backward()
    optimizer.step()
    torch.testing.assert_close(network.weight.detach(), before - 0.1 * 2 * before)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "muon"])
def test_biases_are_not_decayed(name):
    network = nn.Linear(2, 2)
    optimizer = build_optimizer(network, name, learning_rate=0.1, momentum=0.9, weight_decay=0.5)
    for parameter in network.parameters():
        parameter.data.fill_(1.0)
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert bool((network.weight < 1).all())
    assert bool((network.bias == 1).all())


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine"])
def test_the_rate_rises_through_the_warm_up_and_falls_after_it(schedule):
    factors = [learning_rate_factor(schedule, step, 100, 0.3) for step in range(100)]
    top = factors.index(max(factors))
    assert top in (29, 30)
    assert all(0 <= factor <= 1 for factor in factors)
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)
    assert factors[-1] < 0.01


def test_without_warm_up_the_rate_starts_at_its_height():
    assert learning_rate_factor("cosine", 0, 10, 0.0) == 1.0


def test_one_step_has_a_rate():
    assert learning_rate_factor("one-cycle", 0, 1, 0.3) > 0
