"""Every loss with every form of target and every option agrees with float64, in every context and size.

A context is a way in which a loss is called: eagerly, under autocast, vmap, compile and so on. The sizes lie on both
sides of each threshold at which another kernel is chosen.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.testing import assert_close

from polylogit import losses

from . import loss_cases as cases

CASES = [
    (kind, form, weights)
    for kind in cases.KINDS
    for form in cases.FORMS
    for weights in cases.WEIGHTS
    if not (kind.startswith("binary") and form in ("ignored", "int32"))
]


def made(kind, form, weights, shape=(12, 5), dtype=torch.float32):
    """(loss, scores, targets, options), the scores in the dtype given."""
    loss, convert = cases.KINDS[kind]
    logits = cases.draw(*shape)
    return (
        loss,
        convert(logits).to(dtype),
        cases.targets_of(kind, form, logits),
        cases.options_of(kind, weights, logits),
    )


def value_and_gradient(function, scores, *arguments, factor=1.0, **options):
    leaf = scores.detach().clone().requires_grad_()
    value = function(leaf, *arguments, **options)
    (value.sum() * factor).backward()
    return value.detach(), leaf.grad


def expected_of(kind, scores, targets, **options):
    exact, slope = value_and_gradient(
        lambda z, t, **rest: cases.reference(kind, z, t, **rest), scores.double(), targets, **options
    )
    return exact, slope


def assert_agrees(kind, scores, result, targets, options, *, rtol=2e-5, atol=1e-6):
    exact, slope = expected_of(kind, scores, targets, **options)
    value, gradient = result
    assert_close(value.double(), exact, rtol=rtol, atol=atol)
    half = scores.dtype.itemsize < 4
    tolerance = torch.finfo(scores.dtype).eps if half else rtol
    assert_close(gradient.double(), slope, rtol=2 * tolerance, atol=1e-6 if half else atol)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("kind", "form", "weights"), CASES)
def test_eager(kind, form, weights, dtype):
    loss, scores, targets, options = made(kind, form, weights, dtype=dtype)
    for reduction in ("none", "sum", "mean"):
        options["reduction"] = reduction
        assert_agrees(kind, scores, value_and_gradient(loss, scores, targets, **options), targets, options)


# Rows and classes on both sides of the thresholds for: transposed scores (1 << 10), soft rows by one scalar product
# (1 << 20), fused scores (1 << 19, 1 << 17 in half precision; 64 classes), picked probabilities (1 << 15; 1 << 13).
EDGES = {
    torch.float32: [(204, 5), (206, 5), (327, 100), (328, 100), (8191, 64), (8192, 64), (16385, 64)],
    torch.float16: [(127, 64), (129, 64), (2047, 64), (2048, 64), (2049, 63)],
    torch.bfloat16: [(127, 64), (129, 64), (2047, 64), (2048, 64)],
}


@pytest.mark.parametrize("form", ["index", "ignored", "soft"])
@pytest.mark.parametrize(("dtype", "shape"), [(dtype, shape) for dtype, shapes in EDGES.items() for shape in shapes])
def test_both_sides_of_every_threshold(dtype, shape, form):
    for kind in ("logits", "probabilities"):
        loss, scores, targets, options = made(kind, form, "none", shape, dtype)
        if form == "soft" and dtype is not torch.float32 and kind == "probabilities":
            continue  # a probability rounded to 0 in half precision makes the loss infinite
        result = value_and_gradient(loss, scores, targets, validate=False)
        if bool((scores > 0).all()) or kind == "logits":
            assert_agrees(kind, scores, result, targets, options)


@pytest.mark.parametrize("shape", [(2047, 64), (2049, 64), (300, 3), (400, 3), (160, 1024)])
def test_float16_with_a_gradient_scaler(shape):
    """GradScaler's factor has to reach the slope before it is rounded to float16."""
    loss, scores, targets, _ = made("logits", "index", "none", shape, torch.float16)
    factor = 1024.0 if shape[0] < 1000 else 65536.0
    exact = value_and_gradient(lambda z, t: cases.reference("logits", z, t), scores.double(), targets, factor=factor)
    value, gradient = value_and_gradient(loss, scores, targets, factor=factor)
    assert_close(value.double(), exact[0], rtol=1e-5, atol=1e-6)
    off = (gradient.double() - exact[1]).norm() / exact[1].norm()
    assert off < 5e-4
    assert (gradient == 0).sum() <= (exact[1].abs() < 6e-8).sum()


@pytest.mark.parametrize(("kind", "form", "weights"), CASES)
def test_under_autocast(kind, form, weights):
    loss, scores, targets, options = made(kind, form, weights)
    outside = value_and_gradient(loss, scores, targets, **options)
    with torch.autocast("cpu", torch.bfloat16):
        inside = value_and_gradient(loss, scores, targets, **options)
        if not kind.startswith("binary"):
            weight = {name: options[name] for name in ("class_weight", "sample_weight") if name in options}
            assert losses.target_weights(targets, scores.shape, **weight).dtype is torch.float32
    assert_close(inside, outside, rtol=0, atol=0)


@pytest.mark.parametrize(("kind", "form", "weights"), CASES)
def test_gradients_per_sample(kind, form, weights):
    """torch.func.vmap over torch.func.grad, with checks on, as people compute gradients per sample."""
    loss, scores, targets, options = made(kind, form, weights)
    weight = options.pop("sample_weight", torch.ones(len(scores)))
    options["reduction"] = "sum"

    def one(row, target, row_weight):
        return loss(row.unsqueeze(0), target.unsqueeze(0), sample_weight=row_weight.unsqueeze(0), **options)

    gradients = torch.func.vmap(torch.func.grad(one))(scores, targets, weight)
    _, slope = expected_of(kind, scores, targets, sample_weight=weight, **options)
    assert_close(gradients.double(), slope, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(("kind", "form", "weights"), CASES)
def test_fake_meta_and_traced_tensors(kind, form, weights):
    loss, scores, targets, options = made(kind, form, weights)
    with FakeTensorMode() as mode:
        fake = [mode.from_tensor(tensor) for tensor in (scores, targets)]
        kept = {k: mode.from_tensor(v) if isinstance(v, torch.Tensor) else v for k, v in options.items()}
        assert loss(*fake, **kept).shape == ()
    meta = {k: v.to("meta") if isinstance(v, torch.Tensor) else v for k, v in options.items()}
    assert loss(scores.to("meta"), targets.to("meta"), **meta).device.type == "meta"
    traced = make_fx(lambda z, t: loss(z, t, **options))(scores, targets)
    assert_close(traced(scores, targets), loss(scores, targets, **options))


SIZES = [(12, 5), (400, 3), (8193, 64)]  # plain, turned, fused


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")  # torch.func.jvp calls it
@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("kind", cases.KINDS)
def test_transforms_of_whole_batches(kind, shape):
    loss, scores, targets, _ = made(kind, "index", "none", shape)
    _, slope = expected_of(kind, scores, targets)
    assert_close(torch.func.grad(loss)(scores, targets).double(), slope, rtol=2e-4, atol=2e-8)
    direction = torch.ones_like(scores) / 7
    value, derivative = torch.func.jvp(lambda z: loss(z, targets), (scores,), (direction,))
    assert_close(value, loss(scores, targets))
    assert_close(derivative.double(), (slope * direction).sum(), rtol=1e-3, atol=1e-6)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(scores, direction)
        tangent = torch.autograd.forward_ad.unpack_dual(loss(dual, targets)).tangent
    assert_close(tangent, derivative)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("kind", cases.KINDS)
def test_many_gradients_at_once(kind, shape):
    loss, scores, targets, _ = made(kind, "index", "none", shape)
    for reduction in ("mean", "none"):
        leaf = scores.clone().requires_grad_()
        value = loss(leaf, targets, reduction=reduction)
        slopes = torch.stack([torch.ones_like(value), torch.linspace(1, 2, value.numel()).reshape(value.shape)])
        together = torch.autograd.grad(value, leaf, slopes, is_grads_batched=True, retain_graph=True)[0]
        for slope, gradient in zip(slopes, together, strict=True):
            (alone,) = torch.autograd.grad(loss(leaf, targets, reduction=reduction), leaf, slope)
            assert_close(gradient, alone, rtol=1e-5, atol=1e-8)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")  # torch.func.jvp calls it
def test_second_derivatives_by_torch_func():
    loss, scores, targets, _ = made("logits", "index", "none", (2, 3), torch.float64)
    hessian = torch.func.hessian(lambda z: loss(z, targets))(scores)
    expected = torch.autograd.functional.hessian(lambda z: cases.reference("logits", z, targets), scores)
    assert_close(hessian, expected)


@pytest.fixture(params=["default dtype bfloat16", "default dtype float64", "one thread", "deterministic"])
def ambient_state(request):
    """A state of the process that may not change a loss."""
    threads = torch.get_num_threads()
    if request.param.startswith("default dtype"):
        torch.set_default_dtype(getattr(torch, request.param.split()[-1]))
    elif request.param == "one thread":
        torch.set_num_threads(1 if threads > 1 else 2)
    else:
        torch.use_deterministic_algorithms(True)
    yield
    torch.set_default_dtype(torch.float32)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def test_the_state_of_the_process_has_no_influence(ambient_state):
    for kind, form, weights in CASES[::3]:
        logits = torch.randn(1003, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float32)
        loss, convert = cases.KINDS[kind]
        scores, targets = convert(logits), cases.targets_of(kind, form, logits)
        options = {
            name: value.float() if isinstance(value, torch.Tensor) else value
            for name, value in cases.options_of(kind, weights, logits).items()
        }
        result = value_and_gradient(loss, scores, targets, **options)
        assert result[0].dtype is torch.float32
        assert_agrees(kind, scores, result, targets, options)


def test_a_mean_of_many_rows_counts_them_exactly_in_any_default_dtype():
    torch.set_default_dtype(torch.bfloat16)
    try:
        assert losses.target_weights(torch.zeros(1003).long(), (1003, 2)).sum().item() == 1003
    finally:
        torch.set_default_dtype(torch.float32)


COMPILED = """
import sys

import torch
from torch.testing import assert_close

sys.path.insert(0, sys.argv[1])
import loss_cases as cases

for kind in sys.argv[2:]:
    loss, convert = cases.KINDS[kind]
    logits = cases.draw(12, 5)
    scores = convert(logits).requires_grad_()
    targets, options = cases.targets_of(kind, "ignored", logits), cases.options_of(kind, "all", logits)

    def call(scores, targets):
        return loss(scores, targets, **options)

    compiled = torch.compile(call, backend="aot_eager", fullgraph=True)
    torch.compiler.reset()
    values = []
    for function in (compiled, call):
        value = function(scores, targets)
        values.append((value, *torch.autograd.grad(value, scores)))
    assert_close(*values)
    with torch.autocast("cpu", torch.bfloat16):
        assert_close(compiled(scores, targets), values[0][0])
    print(kind)
"""


def test_all_options_compiled_in_one_graph_and_under_autocast():
    """In a process of its own: the shape checks of the tests cannot be traced. See also `test_modules`."""
    kinds, source = ["logits"], {"PYTHONPATH": str(Path(losses.__file__).parents[2])}
    command = [sys.executable, "-c", COMPILED, str(Path(__file__).parent), *kinds]
    printed = subprocess.check_output(command, env={**os.environ, **source}, text=True)
    assert printed.split() == kinds


EXPORTED = """
import sys

import torch
from torch.testing import assert_close

sys.path.insert(0, sys.argv[1])
import loss_cases as cases


class Loss(torch.nn.Module):
    def __init__(self, loss, options):
        super().__init__()
        self.loss, self.options = loss, options

    def forward(self, scores, targets):
        return self.loss(scores, targets, **self.options)


for kind in sys.argv[2:]:
    loss, convert = cases.KINDS[kind]
    options = cases.options_of(kind, "all", cases.draw(12, 5))
    options.pop("sample_weight")  # has as many rows as this batch
    batches = [cases.draw(rows, 5, seed=rows) for rows in (12, 9)]
    inputs = [(convert(logits), cases.targets_of(kind, "ignored", logits)) for logits in batches]
    rows = torch.export.Dim("rows", min=2)
    exported = torch.export.export(Loss(loss, options), inputs[0], dynamic_shapes=({0: rows}, {0: rows}))
    for scores, targets in inputs:
        assert_close(exported.module()(scores, targets), loss(scores, targets, **options))
    print(kind)
"""


def test_losses_are_exported_for_any_number_of_rows():
    """In a process of its own, as above."""
    kinds, source = ["logits", "probabilities", "binary_logits"], {"PYTHONPATH": str(Path(losses.__file__).parents[2])}
    command = [sys.executable, "-c", EXPORTED, str(Path(__file__).parent), *kinds]
    printed = subprocess.check_output(command, env={**os.environ, **source}, text=True)
    assert printed.split() == kinds
