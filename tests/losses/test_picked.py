"""Cross-entropy of picked probabilities: PyTorch's number without PyTorch's NaN, and scores checked by a sample."""

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch.testing import assert_close

from polylogit.errors import ScoreError
from polylogit.losses import cross_entropy_with_probabilities, picked


@pytest.fixture(params=["few", "many"])
def amount(request, monkeypatch):
    """The native operations for few scores, and the autograd function for many, are held to the same."""
    for name in ("_FEW_SCORES", "_FEW_SCORES_HALF"):
        monkeypatch.setattr(picked, name, 1 << 20 if request.param == "few" else 0)
    return request.param


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(2)
    probabilities = torch.randn(50, 7, generator=generator).softmax(1)
    return probabilities, torch.randint(7, (50,), generator=generator)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("ignore_index", [-100, 3])
def test_value_and_gradient_are_those_of_float64(amount, batch, dtype, reduction, ignore_index):
    probabilities, targets = batch
    leaf = probabilities.to(dtype).requires_grad_()
    targets[::5] = ignore_index
    exact = leaf.detach().double().requires_grad_()
    expected = F.nll_loss(exact.log(), targets, reduction=reduction, ignore_index=ignore_index)
    value = cross_entropy_with_probabilities(leaf, targets, reduction=reduction, ignore_index=ignore_index)
    assert_close(value.double(), expected, rtol=1e-6, atol=1e-7)
    slope = torch.linspace(1, 2, value.numel()).reshape(value.shape)
    (gradient,) = torch.autograd.grad(value, leaf, slope.to(value.dtype))
    (wanted,) = torch.autograd.grad(expected, exact, slope.double())
    assert_close(gradient, wanted.to(dtype))


def test_further_axes(amount):
    generator = torch.Generator().manual_seed(5)
    probabilities = torch.randn(4, 3, 5, 2, generator=generator).softmax(1).requires_grad_()
    targets = torch.randint(3, (4, 5, 2), generator=generator)
    value, expected = cross_entropy_with_probabilities(probabilities, targets), F.nll_loss(probabilities.log(), targets)
    assert_close(value, expected)
    assert_close(torch.autograd.grad(value, probabilities), torch.autograd.grad(expected, probabilities))
    targets[1, 2] = -100
    value = cross_entropy_with_probabilities(probabilities, targets, reduction="none")
    expected = F.nll_loss(probabilities.log(), targets, reduction="none")
    assert_close(value, expected)
    assert_close(
        torch.autograd.grad(value.square().sum(), probabilities),
        torch.autograd.grad(expected.square().sum(), probabilities),
    )


def test_a_zero_without_target_mass_has_no_gradient(amount):
    leaf = torch.tensor([[0.0, 0.25, 0.75], [0.5, 0.5, 0.0]], requires_grad=True)
    value = cross_entropy_with_probabilities(leaf, torch.tensor([1, 0]), reduction="sum")
    value.backward()
    assert_close(value.detach(), torch.tensor(math.log(8)))
    assert_close(leaf.grad, torch.tensor([[0.0, -4.0, 0.0], [-2.0, 0.0, 0.0]]))
    leaf.grad = None
    value = cross_entropy_with_probabilities(leaf, torch.tensor([0, 0]), reduction="sum")
    value.backward()
    assert value.item() == math.inf
    assert leaf.grad[0].tolist() == [-math.inf, 0.0, 0.0]


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_gradients_and_their_gradients(amount, batch, reduction):
    leaf = batch[0][:4].double().requires_grad_()
    targets = torch.tensor([1, 6, -100, 0])

    def value(probabilities):
        return cross_entropy_with_probabilities(probabilities, targets, reduction=reduction, validate=False)

    assert torch.autograd.gradcheck(value, leaf)
    assert torch.autograd.gradgradcheck(value, leaf)


def test_the_mean_of_nothing_is_zero(amount, batch):
    leaf = batch[0].requires_grad_()
    value = cross_entropy_with_probabilities(leaf, torch.full((50,), -100))
    value.backward()
    assert value.item() == 0
    assert torch.count_nonzero(leaf.grad) == 0


def test_scores_of_another_kind_are_refused_though_a_sample_is_looked_at(amount, batch):
    _, targets = batch
    logits = torch.randn(50, 7, generator=torch.Generator().manual_seed(4))
    for scores in (logits, logits.sigmoid(), logits.log_softmax(1)):
        for dtype in (torch.float32, torch.bfloat16):
            with pytest.raises(ScoreError, match="probabilities, row 0"):
                cross_entropy_with_probabilities(scores.to(dtype), targets)
            with pytest.raises(ScoreError, match="probabilities, row 0"):
                cross_entropy_with_probabilities(scores.to(dtype), targets, label_smoothing=0.1)


def test_a_negative_probability_that_is_picked_is_named_wherever_it_is(amount, batch):
    probabilities, targets = batch
    probabilities[40, targets[40]] = -0.5
    with pytest.raises(ScoreError, match=f"row 40, class {int(targets[40])}: .*got -0.5"):
        cross_entropy_with_probabilities(probabilities, targets)


def test_nan_is_no_error_in_a_score(amount, batch):
    probabilities, targets = batch
    probabilities[3] = math.nan
    assert cross_entropy_with_probabilities(probabilities, targets).isnan()
    rows = cross_entropy_with_probabilities(probabilities, targets, reduction="none").isnan()
    assert rows.nonzero().tolist() == [[3]]


def test_the_sample_of_long_rows_is_short():
    sample = picked.sample_of(torch.zeros(40, 3, 100, 100))
    assert sample.shape[:2] == (16, 3)
    assert sample.numel() < 1 << 16


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_sure_and_right_rows_cost_zero_and_not_minus_zero(amount, reduction):
    loss = cross_entropy_with_probabilities(torch.eye(3), torch.arange(3), reduction=reduction)
    assert not loss.any()
    assert not torch.signbit(loss).any()
