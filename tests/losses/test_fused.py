"""The one-exponential row losses against PyTorch and float64, and that the choice of a kernel is never seen."""

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch.testing import assert_close

from polylogit.errors import ScoreError
from polylogit.losses import cross_entropy_with_logits, fused, kernels
from polylogit.losses.fused import fused_cross_entropy


def row_losses(logits, targets, reduction="none"):
    return fused_cross_entropy(logits, targets, -100, reduction)


@pytest.fixture
def many_rows(monkeypatch):
    """More numbers than one block of half precision takes, with a last block that is not full."""
    monkeypatch.setattr(fused, "_BLOCK", 1 << 18)
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(900, 600, generator=generator) * 4
    return logits, torch.randint(600, (900,), generator=generator)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_value_and_gradient_are_those_of_float64(many_rows, dtype):
    logits, targets = many_rows
    logits = logits.to(dtype)
    exact = logits.double().requires_grad_()
    expected = F.cross_entropy(exact, targets, reduction="none")
    expected.mean().backward()
    leaf = logits.requires_grad_()
    losses = row_losses(leaf, targets)
    losses.mean().backward()
    assert losses.dtype is (torch.float64 if dtype is torch.float64 else torch.float32)
    assert_close(losses.double(), expected, rtol=1e-5, atol=1e-6)
    step = torch.finfo(dtype).eps
    tiny = 1e-7 if dtype is torch.float16 else 1e-12  # 1 / 900 of a small probability is a subnormal float16
    assert_close(leaf.grad.double(), exact.grad, rtol=max(4 * step, 1e-5), atol=tiny)


def test_gradients_and_their_gradients():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([0, 4, 2, 2])
    assert torch.autograd.gradcheck(lambda z: row_losses(z, targets), logits)
    assert torch.autograd.gradgradcheck(lambda z: row_losses(z, targets), logits)


def test_a_retained_graph_gives_the_same_gradient_twice(many_rows):
    logits, targets = many_rows
    leaf = logits.requires_grad_()
    loss = row_losses(leaf, targets).sum()
    (first,) = torch.autograd.grad(loss, leaf, retain_graph=True)
    (second,) = torch.autograd.grad(loss, leaf)
    assert_close(first, second, rtol=0, atol=0)


def test_a_probability_that_underflows_keeps_its_exact_loss():
    logits = torch.tensor([[0.0, 500.0], [0.0, 1e4], [0.0, -math.inf], [math.nan, 0.0]])
    losses = row_losses(logits, torch.tensor([0, 0, 1, 0]))
    assert_close(losses, torch.tensor([500.0, 1e4, math.inf, math.nan]), equal_nan=True)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("ignoring", [False, True])
def test_large_batches_take_it_and_give_the_long_ways_number(many_rows, monkeypatch, reduction, ignoring):
    logits, targets = many_rows
    if ignoring:
        targets[::3] = -100
    taken = []
    monkeypatch.setattr(kernels, "fused_cross_entropy", lambda *args: taken.append(1) or fused_cross_entropy(*args))
    value = cross_entropy_with_logits(logits, targets, reduction=reduction)
    assert taken
    assert_close(value, F.cross_entropy(logits, targets, reduction=reduction), rtol=1e-5, atol=1e-6)


def test_large_batches_are_checked_too(many_rows):
    logits, targets = many_rows
    targets[5] = 600
    with pytest.raises(ScoreError, match=r"row 5: .*got 600"):
        cross_entropy_with_logits(logits, targets)
    with pytest.raises(ScoreError, match="900 rows of scores and 600 rows of targets"):
        cross_entropy_with_logits(logits, targets[:600])
