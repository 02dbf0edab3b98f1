import pytest
import torch
from torch import nn

from polylogit.fitting.muon import Muon, orthogonalised
from polylogit.fitting.optimizers import build_optimizer


@pytest.mark.parametrize("shape", [(8, 8), (4, 30), (30, 4)])
def test_singular_values_end_near_one_and_singular_vectors_stay(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    turned = orthogonalised(matrix)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    inner = left.T @ turned @ right.T
    torch.testing.assert_close(inner, torch.diag(inner.diag()), atol=1e-4, rtol=0)
    assert float(inner.diag()[:3].min()) > 0.5
    assert float(inner.diag().max()) < 1.3


def test_zeros_stay_zeros():
    assert torch.equal(orthogonalised(torch.zeros(3, 4)), torch.zeros(3, 4))


def test_what_is_no_inner_matrix_takes_the_steps_of_adamw():
    torch.manual_seed(0)
    ours, theirs = (nn.Parameter(torch.linspace(-1, 1, 12).reshape(3, 4)) for _ in range(2))
    muon = Muon([{"params": [ours], "orthogonal": False, "weight_decay": 0.1}], lr=0.05, momentum=0.9)
    adamw = torch.optim.AdamW([theirs], lr=0.05, betas=(0.9, 0.99), weight_decay=0.1)
    for step in range(5):
        gradient = torch.randn(3, 4, generator=torch.Generator().manual_seed(step))
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        muon.step()
        adamw.step()
    torch.testing.assert_close(ours, theirs)


def test_the_inner_matrices_take_orthogonal_steps_of_the_size_of_adamws():
    network = nn.Sequential(nn.Linear(5, 8), nn.Linear(8, 6), nn.Linear(6, 3))
    optimizer = build_optimizer(network, "muon", learning_rate=0.1, momentum=0.0, weight_decay=0.0)
    orthogonal = [group["params"] for group in optimizer.param_groups if group["orthogonal"]]
    assert orthogonal == [[network[1].weight]]
    before = network[1].weight.detach().clone()
    network(torch.randn(4, 5)).square().sum().backward()
    optimizer.step()
    step = network[1].weight.detach() - before
    torch.testing.assert_close(step, -0.1 * 0.4 * 8**0.5 * orthogonalised(network[1].weight.grad), rtol=1e-4, atol=1e-6)
