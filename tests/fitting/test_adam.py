import pytest
import torch
from torch import nn

from polylogit.fitting.adam import Adam


def _parameters():
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(3, 70)), nn.Parameter(torch.randn(5)), nn.Parameter(torch.ones(2))]


@pytest.mark.parametrize("decoupled", [True, False])
def test_steps_have_the_bits_of_torchs_fused_optimiser(decoupled):
    ours, theirs = _parameters(), _parameters()
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    optimizer = Adam([{"params": ours, "weight_decay": 0.1}], lr=0.01, betas=(0.8, 0.99), decoupled=decoupled)
    reference = kind(theirs, lr=0.01, betas=(0.8, 0.99), weight_decay=0.1, fused=True)
    for _ in range(5):
        for mine, other in zip(ours[:2], theirs[:2], strict=True):
            mine.grad = torch.randn_like(mine)
            other.grad = mine.grad.clone()
        optimizer.step()
        reference.step()
    assert all(torch.equal(mine, other) for mine, other in zip(ours, theirs, strict=True))


def test_what_has_no_gradient_stays_where_it_is():
    parameters = _parameters()
    optimizer = Adam([{"params": parameters, "weight_decay": 0.1}], lr=0.01, betas=(0.9, 0.999), decoupled=True)
    optimizer.step()
    assert all(torch.equal(*pair) for pair in zip(parameters, _parameters(), strict=True))


def test_groups_have_their_own_rate_and_decay():
    slow, fast = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    groups = [{"params": [slow], "weight_decay": 0.0, "lr": 0.01}, {"params": [fast], "weight_decay": 0.5}]
    optimizer = Adam(groups, lr=0.1, betas=(0.9, 0.999), decoupled=True)
    for parameter in (slow, fast):
        parameter.grad = torch.ones(2)
    optimizer.step()
    torch.testing.assert_close(slow.detach(), torch.full((2,), 0.99))
    torch.testing.assert_close(fast.detach(), torch.full((2,), 1 - 0.1 * 0.5 - 0.1))
