"""PyTorch's own sample inputs for its losses, run through ours.

`torch.testing._internal` keeps, for each function and module of PyTorch, the inputs that its maintainers test it with:
264 of them for the losses here. Each is compared with PyTorch's result, value and gradient; for 15 of them the mean
follows another rule here, so their sum is compared, and they are counted under the reason. The counts are asserted, so
a sample that stops being compared is noticed.
"""

from collections import Counter

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch.testing import assert_close

from polylogit import losses

pytest.importorskip("expecttest", reason="torch.testing._internal needs expecttest")

from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.common_modules import module_db

SOFT_MEAN = (
    "mean of soft rows under class weights: PyTorch divides by N, here by the sum of weights; sum compared instead"
)
BINARY_MEAN = (
    "mean under `weight`: PyTorch divides by the number of scores, here by the sum of weights; sum compared instead"
)

SAME = "as it is"

OURS = {
    "cross_entropy": losses.cross_entropy_with_logits,
    "nll_loss": losses.cross_entropy_with_log_probabilities,
    "binary_cross_entropy": losses.binary_cross_entropy_with_probabilities,
    "binary_cross_entropy_with_logits": losses.binary_cross_entropy_with_logits,
}


def samples_of(name, dtype=torch.float64):
    (op,) = [op for op in op_db if op.name == f"nn.functional.{name}" and not op.variant_test_name]
    return list(op.sample_inputs("cpu", dtype, requires_grad=True))


def compare(name, scores, targets, options, seen):
    """Run one sample through both; count it under what was compared."""
    theirs, ours = getattr(F, name), OURS[name]
    options = {key: value for key, value in options.items() if value is not None}
    mapped = dict(options)
    scores = scores.detach().requires_grad_()
    soft = targets.is_floating_point()
    kind = SAME
    if name.startswith("binary"):
        if "weight" in options:
            weight = mapped.pop("weight")
            mapped["sample_weight"] = weight.expand(scores.shape)
            if options.get("reduction", "mean") == "mean":
                kind = BINARY_MEAN
    else:
        mapped["class_weight"] = mapped.pop("weight", None)
        if soft and "weight" in options and options.get("reduction", "mean") == "mean":
            kind = SOFT_MEAN
        if soft and targets.requires_grad:
            targets = targets.detach()
    if kind != SAME:
        options["reduction"] = mapped["reduction"] = "sum"
    expected = theirs(scores, targets, **options)
    # PyTorch draws soft rows and scores that are no distributions; what is compared is the arithmetic, not the check.
    value = ours(scores, targets, **mapped, validate=False)
    assert_close(value, expected)
    slope = torch.linspace(1, 2, value.numel(), dtype=value.dtype).reshape(value.shape)
    assert_close(torch.autograd.grad(value, scores, slope), torch.autograd.grad(expected, scores, slope))
    seen[kind] += 1


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("cross_entropy", {SAME: 20, SOFT_MEAN: 1}),
        ("nll_loss", {SAME: 61}),
        ("binary_cross_entropy", {SAME: 10, BINARY_MEAN: 1}),
        ("binary_cross_entropy_with_logits", {SAME: 21, BINARY_MEAN: 5}),
    ],
)
def test_samples_of_the_function(name, counts):
    seen = Counter()
    for sample in samples_of(name):
        compare(name, sample.input, sample.args[0], sample.kwargs, seen)
    assert seen == counts


@pytest.mark.parametrize(
    ("module", "name", "counts"),
    [
        ("nn.CrossEntropyLoss", "cross_entropy", {SAME: 101, SOFT_MEAN: 4}),
        ("nn.NLLLoss", "nll_loss", {SAME: 28}),
        ("nn.BCELoss", "binary_cross_entropy", {SAME: 4, BINARY_MEAN: 2}),
        ("nn.BCEWithLogitsLoss", "binary_cross_entropy_with_logits", {SAME: 4, BINARY_MEAN: 2}),
    ],
)
def test_samples_of_the_module(module, name, counts):
    (info,) = [info for info in module_db if info.name == module]
    seen = Counter()
    draws = info.module_inputs_func(info, device="cpu", dtype=torch.float64, requires_grad=True, training=True)
    for draw in draws:
        scores, targets = draw.forward_input.args
        compare(name, scores, targets, dict(draw.constructor_input.kwargs), seen)
    assert seen == counts
