"""Ignored rows and rows of sample weight 0 add 0 to the value and to the gradient, whatever their scores are."""

import math

import pytest
import torch
from torch.testing import assert_close

from polylogit import losses
from polylogit.losses import linear
from polylogit.losses.excluded_rows import may_have_ignored

from . import loss_cases as cases

BAD = {"all -inf": -math.inf, "NaN": math.nan, "+inf": math.inf}
SHAPES = {"small": (12, 5), "transposed": (400, 3), "plain": (100, 200), "fused": (8193, 64), "half": (2049, 64)}


def check(loss, scores, targets, **options):
    """The bad row 1 is excluded: value and gradient are those of the other rows, and its own gradient is 0."""
    leaf = scores.clone().requires_grad_()
    value = loss(leaf, targets, **options)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    kept = torch.arange(len(scores)) != 1
    if "sample_weight" in options:
        options["sample_weight"] = options["sample_weight"][kept]
    rest = scores[kept].clone().requires_grad_()
    expected = loss(rest, targets[kept], **options)
    (slope,) = torch.autograd.grad(expected.sum(), rest)
    assert value.isfinite().all()
    assert_close(value[kept] if options.get("reduction") == "none" else value, expected)
    assert not gradient[1].any()
    assert_close(gradient[kept], slope)


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["logits", "log_probabilities", "probabilities", "focal"])
def test_an_ignored_row(kind, shape, bad):
    ignore_index = 2 if shape == "small" else -100
    loss, convert = cases.KINDS[kind]
    logits = cases.draw(*SHAPES[shape])
    scores = convert(logits).to(torch.bfloat16 if shape == "half" else torch.float32)
    scores[1] = bad
    targets = cases.targets_of(kind, "index", logits)
    targets[1] = ignore_index
    for reduction in ("none", "mean"):
        check(loss, scores, targets, ignore_index=ignore_index, reduction=reduction, validate=False)


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
@pytest.mark.parametrize("form", ["index", "soft"])
@pytest.mark.parametrize("kind", cases.KINDS)
def test_a_row_of_sample_weight_0(kind, form, bad):
    loss, convert = cases.KINDS[kind]
    for shape in ((12, 5), (400, 3)):
        logits = cases.draw(*shape)
        scores, targets = convert(logits).clone(), cases.targets_of(kind, form, logits)
        scores[1] = bad
        weight = torch.linspace(1, 3, shape[0])
        weight[1] = 0
        for options in ({}, {"reduction": "none"}, {} if kind == "focal" else {"label_smoothing": 0.1}):
            check(loss, scores, targets, sample_weight=weight, validate=False, **options)


@pytest.mark.parametrize("many", [1, 1 << 62], ids=["blocks", "one matrix"])
def test_a_row_of_features_that_is_ignored(monkeypatch, many):
    monkeypatch.setattr(linear, "_MANY_LOGITS", many)
    weight = torch.randn(7, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    features = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    features[1] = math.nan
    targets = torch.tensor([0, -100, 3, 6, 2, 2])
    leaf = features.requires_grad_()
    value = losses.linear_cross_entropy_with_logits(leaf, weight, targets)
    kept = targets >= 0
    expected = losses.linear_cross_entropy_with_logits(leaf[kept], weight, targets[kept])
    assert_close(value, expected)
    gradients, slopes = (torch.autograd.grad(loss, (leaf, weight)) for loss in (value, expected))
    assert_close(gradients, slopes)


def test_a_nan_row_that_counts_is_not_hidden():
    scores = torch.tensor([[0.0, math.nan], [0.0, 1.0]])
    weight = torch.tensor([1.0, 0.0])
    assert losses.cross_entropy_with_logits(scores, torch.tensor([0, 1]), sample_weight=weight).isnan()
    assert losses.cross_entropy_with_logits(scores, torch.tensor([0, -100])).isnan()


def test_whether_an_index_may_be_ignored():
    assert not may_have_ignored(torch.tensor([0, 3]), -100)
    assert may_have_ignored(torch.tensor([0, -100]), -100)
    assert may_have_ignored(torch.tensor([0, 3]), 3)
    assert not may_have_ignored(torch.tensor([], dtype=torch.long), -100)
