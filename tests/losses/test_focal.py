"""The focal loss: its formula written out, its limits, its gradients."""

import math

import pytest
import torch
from torch.testing import assert_close

from polylogit.errors import ScoreError
from polylogit.losses import cross_entropy_with_logits, focal_cross_entropy_with_logits


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(9)
    logits = 2 * torch.randn(7, 4, generator=generator, dtype=torch.float64)
    return logits, torch.randint(4, (7,), generator=generator)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_the_papers_formula(batch, gamma):
    logits, targets = batch
    p = logits.softmax(1)[torch.arange(7), targets]
    expected = -((1 - p) ** gamma) * p.log()
    assert_close(focal_cross_entropy_with_logits(logits, targets, gamma=gamma, reduction="none"), expected)


def test_gamma_0_is_cross_entropy_with_all_its_options(batch):
    logits, targets = batch
    options = {
        "class_weight": torch.tensor([1.0, 2.0, 0.5, 1.0]),
        "sample_weight": torch.arange(7.0),
        "ignore_index": 2,
    }
    expected = cross_entropy_with_logits(logits, targets, **options)
    assert_close(focal_cross_entropy_with_logits(logits, targets, gamma=0.0, **options), expected)


def test_soft_rows(batch):
    logits, targets = batch
    rows = torch.nn.functional.one_hot(targets, 4).double()
    assert_close(focal_cross_entropy_with_logits(logits, rows), focal_cross_entropy_with_logits(logits, targets))


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_sure_scores_stay_finite_with_their_gradients(gamma):
    logits = torch.tensor([[1e4, 0.0, -math.inf]], requires_grad=True)
    right = focal_cross_entropy_with_logits(logits, torch.tensor([0]), gamma=gamma)
    right.backward()
    assert right.item() == 0
    assert_close(logits.grad, torch.zeros(1, 3))
    wrong = focal_cross_entropy_with_logits(logits, torch.tensor([1]), gamma=gamma)
    assert_close(torch.autograd.grad(wrong, logits)[0], torch.tensor([[1.0, -1.0, 0.0]]))
    assert wrong.item() == 1e4


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_gradients_and_their_gradients(batch, gamma):
    logits, targets = batch
    leaf = logits.requires_grad_()

    def value(logits):
        return focal_cross_entropy_with_logits(logits, targets, gamma=gamma)

    assert torch.autograd.gradcheck(value, leaf)
    assert torch.autograd.gradgradcheck(value, leaf)


@pytest.mark.parametrize("gamma", [-1.0, math.nan])
def test_a_gamma_below_0_is_refused(batch, gamma):
    with pytest.raises(ScoreError, match="gamma: expected 0 or more"):
        focal_cross_entropy_with_logits(*batch, gamma=gamma)
