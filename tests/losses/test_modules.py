"""The modules: each is its function with options kept, and says what it keeps."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from polylogit import losses
from polylogit.errors import ScoreError

WEIGHT = torch.tensor([1.0, 2.0, 3.0])
LOGITS = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0], [1.0, 1.0, 1.0]])
TARGETS = torch.tensor([0, 2, 1])
SMOOTHED = {"class_weight": WEIGHT, "ignore_index": 1, "label_smoothing": 0.1, "reduction": "sum"}
BINARY = {"pos_weight": WEIGHT, "label_smoothing": 0.1, "reduction": "sum"}
PAIRS = {
    "CrossEntropyWithLogits": ("cross_entropy_with_logits", LOGITS, TARGETS, SMOOTHED),
    "CrossEntropyWithLogProbabilities": (
        "cross_entropy_with_log_probabilities",
        LOGITS.log_softmax(1),
        TARGETS,
        SMOOTHED,
    ),
    "CrossEntropyWithProbabilities": ("cross_entropy_with_probabilities", LOGITS.softmax(1), TARGETS, SMOOTHED),
    "FocalCrossEntropyWithLogits": (
        "focal_cross_entropy_with_logits",
        LOGITS,
        TARGETS,
        {"gamma": 1.5, "class_weight": WEIGHT, "ignore_index": 1, "reduction": "none"},
    ),
    "BinaryCrossEntropyWithLogits": ("binary_cross_entropy_with_logits", LOGITS, LOGITS.round().clamp(0, 1), BINARY),
    "BinaryCrossEntropyWithProbabilities": (
        "binary_cross_entropy_with_probabilities",
        LOGITS.sigmoid(),
        LOGITS.round().clamp(0, 1),
        BINARY,
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_module_is_its_function(name):
    function, scores, targets, options = PAIRS[name]
    module = getattr(losses, name)(**options)
    sample_weight = torch.tensor([1.0, 0.5, 2.0])
    expected = getattr(losses, function)(scores, targets, sample_weight=sample_weight, **options)
    assert_close(module(scores, targets, sample_weight), expected)
    assert f"reduction='{options['reduction']}'" in repr(module)
    assert all(str(option) in repr(module) for option in options if not isinstance(options[option], torch.Tensor))


@pytest.mark.parametrize("name", PAIRS)
def test_weights_move_with_the_module(name):
    options = PAIRS[name][3]
    module = getattr(losses, name)(**options).double()
    (buffer,) = module.buffers()
    assert buffer.dtype is torch.float64
    assert not list(module.parameters())


@pytest.mark.parametrize("name", PAIRS)
def test_validation_can_be_switched_off(name):
    _, scores, targets, _ = PAIRS[name]
    rows = 2 * torch.nn.functional.one_hot(targets, 3).float() if targets.dtype is torch.int64 else 2 * torch.ones(3, 3)
    assert getattr(losses, name)(validate=False)(scores, rows).isfinite()
    with pytest.raises(ScoreError):
        getattr(losses, name)()(scores, rows)


def test_options_are_checked_when_the_module_is_made():
    with pytest.raises(ScoreError, match="class_weight: expected weights of 0 or more"):
        losses.CrossEntropyWithLogits(class_weight=torch.tensor([1.0, -1.0]))
    with pytest.raises(ScoreError, match="label_smoothing"):
        losses.CrossEntropyWithLogits(label_smoothing=2.0)
    with pytest.raises(ScoreError, match="label_smoothing"):
        losses.BinaryCrossEntropyWithLogits(label_smoothing=-0.5)
    with pytest.raises(ScoreError, match="gamma"):
        losses.FocalCrossEntropyWithLogits(gamma=-2.0)


COMPILED = """
import torch
from polylogit import losses

weight, targets = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0, 2, -100])
rows = torch.tensor([0.5, 2.0, 1.0])
scores = torch.tensor([[0.5, 0.2, 0.3], [0.1, 0.8, 0.1], [0.4, 0.4, 0.2]])
for name in losses.__all__:
    if not name.endswith(("Logits", "Probabilities")):
        continue
    binary = name.startswith("Binary")
    module = getattr(losses, name)(reduction="sum", **{"pos_weight" if binary else "class_weight": weight})
    label = torch.eye(3)[targets.clamp_min(0)] if binary else targets
    layer = (torch.eye(3),) if name.startswith("Linear") else ()
    leaf = (scores.log() if "LogProb" in name else scores).requires_grad_()
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    for value, expected in zip(*(torch.autograd.grad(f(leaf, *layer, label, rows), leaf) for f in (compiled, module))):
        torch.testing.assert_close(value, expected)
    torch.testing.assert_close(compiled(leaf, *layer, label, rows), module(leaf, *layer, label, rows))
    print(name)
"""


@pytest.mark.slow  # the functions behind the modules are compiled in test_matrix
def test_compiled_in_one_graph():
    """In a process of its own, because the shape checks that tests run with cannot be traced."""
    source = {"PYTHONPATH": str(Path(losses.__file__).parents[2])}
    printed = subprocess.check_output([sys.executable, "-c", COMPILED], env={**os.environ, **source}, text=True)
    assert set(printed.split()) == {*PAIRS, "LinearCrossEntropyWithLogits"}


@pytest.mark.parametrize("name", PAIRS)
def test_without_gradients(name):
    _, scores, targets, options = PAIRS[name]
    module = getattr(losses, name)(**options)
    with torch.no_grad():
        value = module(scores, targets)
    assert not value.requires_grad
    assert_close(value, module(scores.clone().requires_grad_(), targets).detach())


@pytest.mark.parametrize("name", PAIRS)
def test_mapped_over_a_further_axis(name):
    _, scores, targets, options = PAIRS[name]
    module = getattr(losses, name)(**options, validate=False)
    stacked = torch.stack([scores, scores.flip(0)])
    mapped = torch.func.vmap(lambda one: module(one, targets))(stacked)
    assert_close(mapped, torch.stack([module(one, targets) for one in stacked]))


def test_the_linear_module_takes_a_layer_at_each_call():
    generator = torch.Generator().manual_seed(1)
    features, weight, bias = (torch.randn(*shape, generator=generator) for shape in ((3, 4), (3, 4), (3,)))
    sample_weight = torch.tensor([1.0, 0.5, 2.0])
    value = losses.LinearCrossEntropyWithLogits(**SMOOTHED)(features, weight, TARGETS, sample_weight, bias=bias)
    logits = torch.nn.functional.linear(features, weight, bias)
    assert_close(value, losses.CrossEntropyWithLogits(**SMOOTHED)(logits, TARGETS, sample_weight))
