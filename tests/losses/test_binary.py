"""The binary losses against PyTorch, against the two-class softmax, and at the edges where PyTorch gives way."""

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch.testing import assert_close

from polylogit.errors import ScoreError
from polylogit.losses import (
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_probabilities,
    cross_entropy_with_logits,
)

KINDS = {
    "logits": (binary_cross_entropy_with_logits, lambda logits: logits),
    "probabilities": (binary_cross_entropy_with_probabilities, torch.sigmoid),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(4)
    logits = 3 * torch.randn(6, 4, generator=generator, dtype=torch.float64)
    return logits, torch.rand(6, 4, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("pos_weight", [None, torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64)])
def test_pytorchs_number(kind, batch, reduction, pos_weight):
    loss, convert = kind
    logits, targets = batch
    expected = F.binary_cross_entropy_with_logits(logits, targets, reduction=reduction, pos_weight=pos_weight)
    assert_close(loss(convert(logits), targets, reduction=reduction, pos_weight=pos_weight), expected)


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.uint8, torch.float32])
def test_it_is_the_two_class_softmax(kind, batch, dtype):
    loss, convert = kind
    logits, targets = batch[0][:, 0], batch[1][:, 0] > 0.5
    two = torch.stack([torch.zeros_like(logits), logits], dim=1)
    for options in ({}, {"label_smoothing": 0.3}, {"sample_weight": torch.arange(6.0)}):
        value = loss(convert(logits), targets.to(dtype), **options)
        assert_close(value, cross_entropy_with_logits(two, targets.long(), **options))


def test_sample_weight_is_repetition(kind, batch):
    loss, convert = kind
    logits, targets = batch
    repeats = torch.tensor([0, 1, 3, 2, 1, 1])
    repeated = loss(convert(logits.repeat_interleave(repeats, 0)), targets.repeat_interleave(repeats, 0))
    assert_close(loss(convert(logits), targets, sample_weight=repeats.double()), repeated)


def test_the_mean_of_nothing_is_zero(kind):
    loss, _ = kind
    assert loss(torch.empty(0), torch.empty(0)).item() == 0
    assert loss(torch.full((2,), 0.5), torch.ones(2), sample_weight=torch.zeros(2)).item() == 0


def test_certain_and_right_costs_nothing_certain_and_wrong_everything():
    logits = torch.tensor([math.inf, -math.inf, math.inf, -math.inf, 1e4, -1e4], requires_grad=True)
    targets = torch.tensor([1, 0, 0, 1, 0, 0])
    losses = binary_cross_entropy_with_logits(logits, targets, reduction="none")
    losses.sum().backward()
    assert losses.tolist() == [0, 0, math.inf, math.inf, 1e4, 0]
    assert logits.grad.tolist() == [0, 0, 1, -1, 1, 0]
    probabilities = torch.tensor([1.0, 0.0, 1.0, 0.0], requires_grad=True)
    losses = binary_cross_entropy_with_probabilities(probabilities, targets[:4], reduction="none")
    losses.sum().backward()
    assert losses.tolist() == [0, 0, math.inf, math.inf]
    assert probabilities.grad.tolist() == [-1, 1, math.inf, -math.inf]


def test_probabilities_near_1_keep_their_digits():
    p = torch.tensor([1e-12], dtype=torch.float64)
    assert_close(binary_cross_entropy_with_probabilities(p, torch.tensor([0])), p[0], rtol=1e-9, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(kind, batch, dtype):
    loss, convert = kind
    scores = convert(batch[0]).to(dtype)
    targets = batch[1].round()
    value = loss(scores, targets)
    assert value.dtype is torch.float32
    assert_close(value.double(), loss(scores.double(), targets), rtol=1e-6, atol=0)


def test_gradients_and_their_gradients(kind, batch):
    loss, convert = kind
    scores = convert(batch[0][:2]).detach().requires_grad_()
    targets = batch[1][:2].requires_grad_()
    weight = torch.tensor([0.5, 1.0, 2.0, 3.0], dtype=torch.float64)

    def value(scores, targets):
        return loss(scores, targets, pos_weight=weight, label_smoothing=0.1, validate=False)

    assert torch.autograd.gradcheck(value, (scores, targets))
    assert torch.autograd.gradgradcheck(value, (scores, targets))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (torch.tensor([0.0, 2.0, 1.0]), r"targets, row 1: .*got 2"),
        (torch.tensor([0.0, 1.0, -1.0]), r"targets, row 2: .*got -1.*\(targets \+ 1\) / 2"),
        (torch.tensor([0.0, math.nan, 1.0]), r"targets, row 1: .*got nan"),
        (torch.zeros(3, 1), r"expected the scores' shape \(3,\).*targets' last axis"),
        (torch.zeros(2), "Pass one target for each score"),
    ],
)
def test_bad_targets_are_named(targets, message):
    with pytest.raises(ScoreError, match=message):
        binary_cross_entropy_with_logits(torch.zeros(3), targets)


def test_bad_scores_are_named():
    with pytest.raises(ScoreError, match="scores' last axis with squeeze"):
        binary_cross_entropy_with_logits(torch.zeros(3, 1), torch.zeros(3))
    with pytest.raises(ScoreError, match="class indices belong in cross_entropy_with_logits"):
        binary_cross_entropy_with_logits(torch.zeros(3, 2), torch.zeros(3))
    with pytest.raises(ScoreError, match=r"probabilities, row 1: .*got 1.5.*binary_cross_entropy_with_logits"):
        binary_cross_entropy_with_probabilities(torch.tensor([0.5, 1.5]), torch.zeros(2))
    with pytest.raises(ScoreError, match="logits: expected floating point"):
        binary_cross_entropy_with_logits(torch.zeros(3).long(), torch.zeros(3))
    assert binary_cross_entropy_with_probabilities(torch.tensor([math.nan]), torch.zeros(1)).isnan()
