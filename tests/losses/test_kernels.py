"""That the choice of a kernel is never seen: the same number and gradient as PyTorch's, for every shape and option."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch.testing import assert_close

from polylogit.errors import ScoreError
from polylogit.losses import cross_entropy_with_logits, focal_cross_entropy_with_logits, kernels, softmax
from polylogit.system import torch_private


@pytest.fixture(params=[2, 3, 5])
def few_classes(request, monkeypatch):
    """Enough rows of few classes that they are turned, on a machine of any register's width."""
    monkeypatch.setattr(kernels, "_REGISTER_BYTES", 64)
    generator = torch.Generator().manual_seed(request.param)
    logits = torch.randn(600, request.param, generator=generator) * 4
    targets = torch.randint(request.param, (600,), generator=generator)
    targets[7] = -100
    return logits, targets


def both(loss, other, logits, *arguments, **options):
    """Value and gradient of two losses at the same logits."""
    results = []
    for function in (loss, other):
        leaf = logits.detach().clone().requires_grad_()
        value = function(leaf, *arguments, **options)
        value.sum().backward()
        results.append((value.detach(), leaf.grad))
    return results


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_few_classes_give_pytorchs_number(few_classes, reduction, weighted, label_smoothing):
    logits, targets = few_classes
    weight = torch.linspace(0.5, 2, logits.shape[1]) if weighted else None
    options = {"reduction": reduction, "label_smoothing": label_smoothing}
    ours, theirs = both(
        lambda z, y: cross_entropy_with_logits(z, y, class_weight=weight, **options),
        lambda z, y: F.cross_entropy(z, y, weight=weight, **options),
        logits,
        targets,
    )
    assert_close(ours, theirs)


def test_few_classes_are_turned(few_classes, monkeypatch):
    logits, targets = few_classes
    shapes = []
    real = torch_private.cross_entropy_loss
    monkeypatch.setattr(torch_private, "cross_entropy_loss", lambda z, *rest: shapes.append(z.shape) or real(z, *rest))
    cross_entropy_with_logits(logits, targets)
    assert shapes == [(1, logits.shape[1], 600)]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_few_classes_of_any_precision(few_classes, dtype):
    logits, targets = few_classes
    logits = logits.to(dtype)
    ours, exact = both(cross_entropy_with_logits, lambda z, y: F.cross_entropy(z.double(), y), logits, targets)
    assert ours[0].dtype is (torch.float64 if dtype is torch.float64 else torch.float32)
    assert_close(ours[0].double(), exact[0], rtol=1e-6, atol=0)
    assert_close(ours[1], exact[1])


def test_soft_rows_of_few_classes_have_gradients_on_both_sides(few_classes):
    logits, _ = few_classes
    rows = logits.flip(0).softmax(1).requires_grad_()
    logits.requires_grad_()
    ours = torch.autograd.grad(cross_entropy_with_logits(logits, rows), (logits, rows))
    theirs = torch.autograd.grad(F.cross_entropy(logits, rows), (logits, rows))
    assert_close(ours, theirs)


def test_gradients_of_gradients_of_few_classes(monkeypatch):
    monkeypatch.setattr(kernels, "_REGISTER_BYTES", 64)
    monkeypatch.setattr(kernels, "_WORTH_TURNING", 1)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([0, 2, 1, 1, -100])
    assert torch.autograd.gradcheck(lambda z: cross_entropy_with_logits(z, targets), logits)
    assert torch.autograd.gradgradcheck(lambda z: cross_entropy_with_logits(z, targets), logits)


def test_losses_that_go_through_log_probabilities_turn_them_too(few_classes):
    logits, targets = few_classes
    ours, theirs = both(
        lambda z, y: cross_entropy_with_logits(z, y, sample_weight=torch.ones(600)), F.cross_entropy, logits, targets
    )
    assert_close(ours, theirs)
    assert_close(focal_cross_entropy_with_logits(logits, targets, gamma=0.0), theirs[0])


def test_bad_targets_of_few_classes_are_named(few_classes):
    logits, targets = few_classes
    classes = logits.shape[1]
    targets[3] = classes
    with pytest.raises(ScoreError, match=f"row 3: .*got {classes}"):
        cross_entropy_with_logits(logits, targets)
    with pytest.raises(ScoreError, match=r"squeeze\(1\)"):
        cross_entropy_with_logits(logits, targets.unsqueeze(1))
    rows = logits.softmax(1)
    rows[4] *= 2
    with pytest.raises(ScoreError, match=r"row 4: .*sum of 2"):
        cross_entropy_with_logits(logits, rows)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_soft_rows_by_a_scalar_product_give_pytorchs_number(reduction, dtype):
    generator = torch.Generator().manual_seed(6)
    logits = (torch.randn(40, 30, generator=generator) * 4).to(dtype).t().requires_grad_()  # not contiguous
    rows = torch.randn(30, 40, generator=generator).softmax(1).requires_grad_()
    ours = cross_entropy_with_logits(logits, rows, reduction=reduction)
    exact = F.cross_entropy(logits.double(), rows.double(), reduction=reduction)
    assert_close(ours.double(), exact, rtol=1e-6, atol=0)
    for mine, theirs in zip(
        torch.autograd.grad(ours, (logits, rows)), torch.autograd.grad(exact, (logits, rows)), strict=True
    ):
        assert_close(mine, theirs)


def test_gradients_of_gradients_of_soft_rows():
    generator = torch.Generator().manual_seed(7)
    logits = torch.randn(4, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    rows = torch.randn(4, 3, generator=generator, dtype=torch.float64).softmax(1).requires_grad_()

    def loss(z, t):
        return cross_entropy_with_logits(z, t, validate=False)

    assert torch.autograd.gradcheck(loss, (logits, rows))
    assert torch.autograd.gradgradcheck(loss, (logits, rows))


def without_kernels(monkeypatch, *arguments, **options):
    """The loss where no kernel computes it."""
    with monkeypatch.context() as patch:
        patch.setattr(softmax, "on_cpu", lambda *_: None)
        return cross_entropy_with_logits(*arguments, **options)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("form", ["index", "int32", "places", "soft"])
@pytest.mark.parametrize("class_weight", [None, torch.tensor([0.5, 1.0, 2.0, 0.0])])
def test_sample_weights_on_a_kernels_losses_give_the_number_without_kernels(monkeypatch, reduction, form, class_weight):
    generator = torch.Generator().manual_seed(8)
    logits = torch.randn(12, 4, *([3] if form == "places" else []), generator=generator).requires_grad_()
    targets = torch.randint(4, (12, *logits.shape[2:]), generator=generator)
    targets[3] = targets[0] if form == "soft" else -100
    if form == "int32":
        targets = targets.int()
    elif form == "soft":
        targets = torch.randn(12, 4, generator=generator).softmax(1)
    weight = torch.rand(12, generator=generator).requires_grad_()
    options = {"sample_weight": weight, "class_weight": class_weight, "reduction": reduction}
    ours = cross_entropy_with_logits(logits, targets, **options)
    theirs = without_kernels(monkeypatch, logits, targets, **options)
    assert_close(ours, theirs)
    assert_close(
        torch.autograd.grad(ours.square().sum(), (logits, weight)),
        torch.autograd.grad(theirs.square().sum(), (logits, weight)),
    )


def test_a_row_of_weight_0_may_be_impossible_and_all_of_them_may_weigh_0():
    logits = torch.tensor([[0.0, -torch.inf], [0.0, 0.0]], requires_grad=True)
    targets = torch.tensor([1, 0])
    loss = cross_entropy_with_logits(logits, targets, sample_weight=torch.tensor([0.0, 1.0]))
    assert_close(loss, torch.tensor(2.0).log())
    (gradient,) = torch.autograd.grad(loss, logits)
    assert_close(gradient[1], torch.tensor([-0.5, 0.5]))
    nothing = cross_entropy_with_logits(logits[1:], targets[1:], sample_weight=torch.zeros(1))
    assert nothing.item() == 0
    assert not torch.autograd.grad(nothing, logits)[0].any()
