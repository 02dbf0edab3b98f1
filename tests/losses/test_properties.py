"""What must hold for any scores and targets, drawn by hypothesis."""

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from torch.testing import assert_close

from polylogit import losses

LOSSES = {
    "logits": (losses.cross_entropy_with_logits, lambda logits: logits),
    "log_probabilities": (losses.cross_entropy_with_log_probabilities, lambda logits: logits.log_softmax(1)),
    "probabilities": (losses.cross_entropy_with_probabilities, lambda logits: logits.softmax(1)),
    "focal": (losses.focal_cross_entropy_with_logits, lambda logits: logits),
}
SMOOTHED = ("logits", "log_probabilities", "probabilities")
quick = settings(max_examples=25, deadline=None)


@st.composite
def batches(draw):
    """Logits (N, K), class indices, class weights and sample weights, in float64."""
    n, k = draw(st.integers(1, 9)), draw(st.integers(2, 6))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    logits = draw(st.sampled_from([0.1, 3.0, 30.0])) * torch.randn(n, k, generator=generator, dtype=torch.float64)
    targets = torch.randint(k, (n,), generator=generator)
    weights = {
        "class_weight": 0.1 + torch.rand(k, generator=generator, dtype=torch.float64),
        "sample_weight": torch.randint(0, 4, (n,), generator=generator).double(),
    }
    return logits, targets, weights, draw(st.sampled_from(["none", "sum", "mean"]))


@pytest.mark.parametrize("name", ["logits", "focal"])
@given(batches(), st.floats(-1e3, 1e3))
@quick
def test_logits_may_be_shifted(name, batch, shift):
    loss, _ = LOSSES[name]
    logits, targets, weights, reduction = batch
    expected = loss(logits, targets, **weights, reduction=reduction)
    assert_close(loss(logits + shift, targets, **weights, reduction=reduction), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", LOSSES)
@given(batches())
@quick
def test_one_hot_equals_index(name, batch):
    loss, convert = LOSSES[name]
    logits, targets, weights, reduction = batch
    one_hot = F.one_hot(targets, logits.shape[1]).double()
    expected = loss(convert(logits), targets, **weights, reduction=reduction)
    assert_close(loss(convert(logits), one_hot, **weights, reduction=reduction), expected)


@pytest.mark.parametrize("name", LOSSES)
@given(batches())
@quick
def test_weights_equal_repetition(name, batch):
    loss, convert = LOSSES[name]
    logits, targets, weights, _ = batch
    repeats = weights["sample_weight"].long()
    repeated = convert(logits.repeat_interleave(repeats, 0)), targets.repeat_interleave(repeats)
    for reduction in ("sum", "mean"):
        expected = loss(*repeated, class_weight=weights["class_weight"], reduction=reduction)
        assert_close(loss(convert(logits), targets, **weights, reduction=reduction), expected)


@pytest.mark.parametrize("name", SMOOTHED)
@given(batches(), st.floats(0, 1))
@quick
def test_smoothing_equals_the_mixed_soft_target(name, batch, share):
    """Per row always; the mean divides by the weights of the targets before smoothing, as PyTorch's does."""
    loss, convert = LOSSES[name]
    logits, targets, weights, _ = batch
    k = logits.shape[1]
    mixed = (1 - share) * F.one_hot(targets, k).double() + share / k
    for reduction in ("none", "sum"):
        expected = loss(convert(logits), mixed, **weights, reduction=reduction)
        value = loss(convert(logits), targets, **weights, label_smoothing=share, reduction=reduction)
        assert_close(value, expected)
    assert_close(loss(convert(logits), targets, label_smoothing=share), loss(convert(logits), mixed))


@pytest.mark.parametrize("name", LOSSES)
@given(batches(), st.integers(0, 9), st.booleans())
@quick
def test_split_batches_equal_one_batch(name, batch, cut, ignoring):
    loss, convert = LOSSES[name]
    logits, targets, weights, _ = batch
    if ignoring:
        targets[::2] = -100
    whole = loss(convert(logits), targets, **weights)
    total = weight = torch.zeros((), dtype=torch.float64)
    for part in (slice(None, cut), slice(cut, None)):
        kept = {**weights, "sample_weight": weights["sample_weight"][part]}
        total = total + loss(convert(logits[part]), targets[part], **kept, reduction="sum")
        weight = weight + losses.target_weights(targets[part], logits[part].shape, **kept).sum()
    assert_close(losses.weighted_mean(total, weight), whole)


@pytest.mark.parametrize("name", LOSSES)
@given(batches(), st.randoms(use_true_random=False))
@quick
def test_classes_may_be_permuted(name, batch, random):
    loss, convert = LOSSES[name]
    logits, targets, weights, reduction = batch
    order = list(range(logits.shape[1]))
    random.shuffle(order)
    order = torch.tensor(order)
    moved = {**weights, "class_weight": weights["class_weight"][order]}
    value = loss(convert(logits[:, order]), order.argsort()[targets], **moved, reduction=reduction)
    assert_close(value, loss(convert(logits), targets, **weights, reduction=reduction))


@given(batches())
@quick
def test_the_loss_is_never_negative_and_at_most_the_margin(batch):
    """0 <= loss <= log K + (largest logit - logit of the target)."""
    logits, targets, _, _ = batch
    value = losses.cross_entropy_with_logits(logits, targets, reduction="none")
    margin = logits.amax(1) - logits.gather(1, targets[:, None])[:, 0]
    assert bool((value >= 0).all())
    assert bool((value <= margin + torch.tensor(float(logits.shape[1])).log() + 1e-9).all())
