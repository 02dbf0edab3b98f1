"""Cross-entropy without the logits: the same number as with them, in blocks and in one piece, and far less memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch.testing import assert_close

from polylogit.errors import ScoreError
from polylogit.losses import cross_entropy_with_logits, linear, linear_cross_entropy_with_logits

N, D, K = 40, 7, 30


@pytest.fixture(params=["plain", "blocks"])
def way(request, monkeypatch):
    """Both ways are held to the same numbers; the blocks are taken for small batches too."""
    monkeypatch.setattr(linear, "_MANY_LOGITS", 1 if request.param == "blocks" else 1 << 62)
    return request.param


@pytest.fixture
def layer():
    generator = torch.Generator().manual_seed(11)
    draw = {"generator": generator, "dtype": torch.float64}
    return {
        "features": torch.randn(N, D, **draw).requires_grad_(),
        "weight": torch.randn(K, D, **draw).requires_grad_(),
        "bias": torch.randn(K, **draw).requires_grad_(),
    }


def target_of(form):
    generator = torch.Generator().manual_seed(12)
    index = torch.randint(K, (N,), generator=generator)
    index[3] = -100
    return index if form == "index" else torch.rand(N, K, generator=generator, dtype=torch.float64).softmax(1)


OPTIONS = {
    "bare": {},
    "smoothed": {"label_smoothing": 0.2},
    "class weights": {"class_weight": torch.linspace(0.5, 2, K, dtype=torch.float64)},
    "both": {"class_weight": torch.linspace(0.5, 2, K, dtype=torch.float64), "label_smoothing": 0.1},
    "sample weights": {"sample_weight": torch.linspace(0, 2, N, dtype=torch.float64)},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("form", ["index", "soft"])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("biased", [False, True])
def test_value_and_gradients_are_those_of_the_logits(way, layer, form, reduction, biased, options):  # noqa: PLR0917
    features, weight, bias = layer["features"], layer["weight"], layer["bias"] if biased else None
    leaves = [features, weight, *([bias] if biased else [])]
    targets = target_of(form)
    logits = F.linear(features, weight, bias)
    expected = cross_entropy_with_logits(logits, targets, reduction=reduction, **options)
    value = linear_cross_entropy_with_logits(features, weight, targets, bias=bias, reduction=reduction, **options)
    assert_close(value, expected)
    slope = torch.linspace(1, 2, value.numel(), dtype=torch.float64).reshape(value.shape)
    assert_close(torch.autograd.grad(value, leaves, slope), torch.autograd.grad(expected, leaves, slope))


def test_axes_before_the_last_are_rows(way, layer):
    targets = target_of("index")
    features, weight = layer["features"].detach(), layer["weight"].detach()
    flat = linear_cross_entropy_with_logits(features, weight, targets, reduction="none")
    folded = linear_cross_entropy_with_logits(
        features.reshape(4, 10, D), weight, targets.reshape(4, 10), reduction="none"
    )
    assert_close(folded, flat.reshape(4, 10))


def test_the_mean_of_nothing_is_zero(way, layer):
    value = linear_cross_entropy_with_logits(layer["features"], layer["weight"], torch.full((N,), -100))
    value.backward()
    assert value.item() == 0
    assert torch.count_nonzero(layer["features"].grad) == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_a_float32_loss(way, layer, dtype):
    features, weight = layer["features"].detach().to(dtype), layer["weight"].detach().to(dtype)
    targets = target_of("index")
    value = linear_cross_entropy_with_logits(features, weight, targets)
    assert value.dtype is torch.float32
    expected = F.cross_entropy(features.double() @ weight.double().T, targets)
    assert_close(value.double(), expected, rtol=2e-2 if dtype is torch.bfloat16 else 2e-3, atol=0)


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.2}, {"reduction": "none"}], ids=str)
def test_gradients_of_gradients(way, layer, options):
    """PyTorch's kernel gives its gradient as a constant, whose gradient would be a silent 0."""
    targets = target_of("index")[:4]

    def value(features, weight, bias):
        return linear_cross_entropy_with_logits(features, weight, targets, bias=bias, **options)

    leaves = (layer["features"][:4].detach().requires_grad_(), layer["weight"], layer["bias"])
    assert torch.autograd.gradcheck(value, leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(value, leaves, fast_mode=True)


def test_a_retained_graph_gives_the_same_gradient_twice(way, layer):
    features = layer["features"]
    value = linear_cross_entropy_with_logits(features, layer["weight"], target_of("index"))
    (first,) = torch.autograd.grad(value, features, retain_graph=True)
    (second,) = torch.autograd.grad(value, features)
    assert_close(first, second)


def test_a_frozen_weight_gets_no_gradient(way, layer):
    weight = layer["weight"].detach()
    linear_cross_entropy_with_logits(layer["features"], weight, target_of("index")).backward()
    assert layer["features"].grad is not None
    assert weight.grad is None
    with torch.no_grad():
        assert not linear_cross_entropy_with_logits(layer["features"], weight, target_of("index")).requires_grad


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": torch.full((N,), K)}, "row 0: expected a class index from 0 to 29"),
        ({"targets": torch.zeros(N - 1).long()}, r"expected shape \(40,\) of class indices"),
        ({"targets": torch.ones(N, K)}, "sum of 30"),
        ({"weight": torch.zeros(K, D + 1, dtype=torch.float64)}, r"features: expected shape \(N, 8\)"),
        ({"sample_weight": torch.ones(3)}, "one weight per row"),
        ({"sample_weight": -torch.ones(N)}, "expected a weight of 0 or more"),
        ({"class_weight": torch.ones(3)}, r"class_weight: expected .*\(30,\)"),
    ],
)
def test_what_does_not_fit_is_named(way, layer, change, message):
    arguments = {"features": layer["features"], "weight": layer["weight"], "targets": target_of("index"), **change}
    with pytest.raises(ScoreError, match=message):
        linear_cross_entropy_with_logits(**arguments)


PEAK = """
import torch
from pathlib import Path
from polylogit.losses import cross_entropy_with_logits, linear, linear_cross_entropy_with_logits
def peak():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1])
x, w, y = torch.randn(4096, 32).requires_grad_(), torch.randn(20000, 32).requires_grad_(), torch.arange(4096)
cross_entropy_with_logits(x[:8] @ w.T, y[:8]).backward()  # the first calls load libraries
linear._MANY_LOGITS, many = 1, linear._MANY_LOGITS
linear_cross_entropy_with_logits(x[:8], w, y[:8]).backward()
linear._MANY_LOGITS = many
start = peak()
linear_cross_entropy_with_logits(x, w, y).backward()
blocks = peak()
cross_entropy_with_logits(x @ w.T, y).backward()
print(blocks - start, peak() - start)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc")
@pytest.mark.slow
def test_the_logits_are_never_all_there():
    """4096 x 20,000 float32 logits take 320,000 kB, and the plain way holds them and their gradient."""
    source = {"PYTHONPATH": str(Path(linear.__file__).parents[2])}
    printed = subprocess.check_output([sys.executable, "-c", PEAK], env={**os.environ, **source}, text=True)
    blocks, plain = map(int, printed.split())
    assert plain > 600_000
    factor = 4 if hasattr(torch.nn, "LinearCrossEntropyOptions") else 1.5  # older torch: by recomputed blocks
    assert blocks * factor < plain
