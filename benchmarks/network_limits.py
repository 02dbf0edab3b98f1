"""What the machine itself needs for the documents' networks: the products of a step, and the optimiser's update.

A step of training cannot take less than its matrix products and convolutions, so they are the limit that a loop is
measured against. Counted are, for a batch of 256 pictures:

- of each linear layer the product of the forward pass with its bias, of the gradient of the weights, and of the
  gradient of the inputs; of each convolution the same three. The first layer has no gradient of its inputs.
- nothing else: no activation, pooling, dropout, loss, gradient of a bias, gathering or conversion of pictures, cast of
  weights to bfloat16, change of memory layout, autograd, and no Python beyond the calls.

Each product is called directly, on tensors that exist before the clock starts, in each way torch has for it: linear
layers by BLAS (`torch.addmm`, `torch.mm` into a given matrix) and by oneDNN (`mkldnn._linear_pointwise`); convolutions
(`aten.convolution`, `aten.convolution_backward`) with channels first and channels last, the 256 pictures at once or 32
at a time, whose maps stay in the cache. The fastest way of each product is taken, then all of them are run one after
another, as a step would. Memory that is freed stays with the process, so that no result is paid for with page faults.

The update is what Adam adds, torch's fused kernel on all parameters: it reads weights, gradients and both moments and
writes all but the gradients, 28 bytes a weight, so that memory bounds it.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from network_peers import DOCUMENTS_BATCH, MLPS, Clock
from timing import side_by_side
from torch import Tensor

from polylogit.system import torch_private
from polylogit.system.heap_memory import keeping_freed_memory

__all__ = ["Limits", "limits"]

Call = Callable[[], object]
Ways = dict[str, Call]

CONVOLUTIONS = ((1, 64, 28), (64, 64, 12))
"""Channels before and after, and side of the maps before, of the documents' 5 x 5 convolutions."""

KERNEL = 5
BLOCKS = (256, 32)


@dataclass(frozen=True)
class Limits:
    """Functions that work through some steps and return seconds, and how many products take which way.

    Args:
        products: The products alone.
        with_update: The products and Adam's update.
        ways: Such as "4 oneDNN, 1 BLAS".
    """

    products: Callable[[], float]
    with_update: Callable[[], float]
    ways: str


def limits(name: str, dtype: torch.dtype, clock: Clock, steps: int, *, quick: bool) -> Limits:
    """The limits of a network.

    Args:
        name: One of `NETWORKS`.
        dtype: Of the products: float32 or bfloat16.
        clock: Is read before the first step and after the last one.
        steps: How many.
        quick: Whether the fastest way is chosen from few samples.
    """
    calls: list[Call] = []
    chosen: Counter[str] = Counter()
    with keeping_freed_memory():
        for ways in _products(name, dtype).values():
            timings = side_by_side(ways, rounds=2 if quick else 15, warmup=2, clock=time.process_time)
            best = min(timings, key=lambda way: timings[way].median)
            chosen[best] += 1
            calls.append(ways[best])
    update = _update(name)

    def seconds(calls: list[Call]) -> float:
        with keeping_freed_memory():
            for call in calls:  # brings what the step needs into the process's memory
                call()
            start = clock()
            for _ in range(steps):
                for call in calls:
                    call()
            return clock() - start

    return Limits(
        products=lambda: seconds(calls),
        with_update=lambda: seconds([*calls, update]),
        ways=", ".join(f"{count} {way}" for way, count in chosen.most_common()),
    )


def _update(name: str) -> Call:
    """Adam's update of all parameters of a network."""
    weights = [torch.randn(shape).mul_(0.01) for shape in _shapes(name)]
    gradients, first, second = ([torch.full_like(weight, 1e-3) for weight in weights] for _ in range(3))
    steps = [torch.ones(()) for _ in weights]
    kernel = torch_private.FUSED_ADAM
    if kernel is None:
        raise RuntimeError("this version of torch has no fused kernel of Adam")
    settings = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "weight_decay": 0.0, "eps": 1e-8}
    return lambda: kernel(weights, gradients, first, second, [], steps, **settings, amsgrad=False, maximize=False)


def _shapes(name: str) -> list[tuple[int, ...]]:
    shapes: list[tuple[int, ...]] = []
    if name == "cnn":
        for before, after, _ in CONVOLUTIONS:
            shapes += [(after, before, KERNEL, KERNEL), (after,)]
    for before, after in _linear_layers(name):
        shapes += [(after, before), (after,)]
    return shapes


def _linear_layers(name: str) -> list[tuple[int, int]]:
    return [(1024, 10)] if name == "cnn" else list(pairwise((784, *MLPS[name][0], 10)))


def _products(name: str, dtype: torch.dtype) -> Mapping[str, Ways]:
    """The ways of each product of a step, in the order of a step."""
    forward: dict[str, Ways] = {}
    backward: dict[str, Ways] = {}
    if name == "cnn":
        for number, (before, after, side) in enumerate(CONVOLUTIONS):
            for product, ways in _convolution(before, after, side, dtype).items():
                (forward if product == "forward" else backward)[f"convolution {number + 1}, {product}"] = ways
    for number, (before, after) in enumerate(_linear_layers(name)):
        for product, ways in _linear(before, after, dtype).items():
            (forward if product == "forward" else backward)[f"linear {number + 1}, {product}"] = ways
    first = "convolution 1" if name == "cnn" else "linear 1"
    del backward[f"{first}, inputs"]
    return forward | dict(reversed(backward.items()))


def _linear(before: int, after: int, dtype: torch.dtype) -> dict[str, Ways]:
    inputs, gradient = torch.randn(DOCUMENTS_BATCH, before).to(dtype), torch.randn(DOCUMENTS_BATCH, after).to(dtype)
    weight, bias = torch.randn(after, before).to(dtype), torch.randn(after).to(dtype)
    of_outputs, of_weight, of_inputs = (torch.empty_like(like) for like in (gradient, weight, inputs))
    onednn = torch_private.onednn_linear
    return {
        "forward": {
            "BLAS": lambda: torch.addmm(bias, inputs, weight.t(), out=of_outputs),
            "oneDNN": lambda: onednn(inputs, weight, bias),
        },
        "weights": {
            "BLAS": lambda: torch.mm(gradient.t(), inputs, out=of_weight),
            "oneDNN": lambda: onednn(gradient.t(), inputs.t(), None),
        },
        "inputs": {
            "BLAS": lambda: torch.mm(gradient, weight, out=of_inputs),
            "oneDNN": lambda: onednn(gradient, weight.t(), None),
        },
    }


def _convolution(before: int, after: int, side: int, dtype: torch.dtype) -> dict[str, Ways]:
    found: dict[str, Ways] = {"forward": {}, "weights": {}, "inputs": {}}
    for layout, form in {"channels first": torch.contiguous_format, "channels last": torch.channels_last}.items():
        out = side - KERNEL + 1
        shapes = (
            (DOCUMENTS_BATCH, before, side, side),
            (after, before, KERNEL, KERNEL),
            (DOCUMENTS_BATCH, after, out, out),
        )
        # Not `contiguous`, which leaves the strides of one channel as they are, and those decide oneDNN's layout.
        maps, kernels, gradient = (
            torch.empty(shape, dtype=dtype, memory_format=form).copy_(torch.randn(shape)) for shape in shapes
        )
        bias = torch.randn(after).to(dtype)
        for rows in BLOCKS:
            way = layout if rows == DOCUMENTS_BATCH else f"{layout} in blocks of {rows}"
            blocks = list(zip(maps.split(rows), gradient.split(rows), strict=True))
            found["forward"][way] = _convolution_forward(blocks, kernels, bias)
            found["weights"][way] = _convolution_backward(blocks, kernels, [False, True, False])
            found["inputs"][way] = _convolution_backward(blocks, kernels, [True, False, False])
    return found


_GEOMETRY = ([1, 1], [0, 0], [1, 1], False, [0, 0], 1)
"""Stride, padding, dilation, transposed, output padding, groups."""


def _convolution_forward(blocks: list[tuple[Tensor, Tensor]], kernels: Tensor, bias: Tensor) -> Call:
    def call() -> None:
        for maps, _ in blocks:
            torch.ops.aten.convolution(maps, kernels, bias, *_GEOMETRY)

    return call


def _convolution_backward(blocks: list[tuple[Tensor, Tensor]], kernels: Tensor, mask: list[bool]) -> Call:
    """Gradient of the inputs or of the weights; the latter's parts of several blocks are added up."""

    def call() -> None:
        total = None
        for maps, gradient in blocks:
            parts = torch.ops.aten.convolution_backward(gradient, maps, kernels, None, *_GEOMETRY, mask)
            if mask[1]:
                total = parts[1] if total is None else total.add_(parts[1])

    return call
