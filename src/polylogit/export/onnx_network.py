"""Networks in ONNX: linear networks and multilayer perceptrons node by node, picture networks through torch."""

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from polylogit.export.onnx_graph import OPSETS, OnnxGraph
from polylogit.networks import LinearNetwork, MlpNetwork
from polylogit.networks.dense import DropoutLayer
from polylogit.system.optional import import_extra

__all__ = ["FirstLayer", "dense_logits", "picture_logits"]

FirstLayer = Callable[[npt.NDArray[np.float32], type[np.floating]], str]
"""From the weights of a layer and the type to sum in to the name of its outputs, without a bias."""


def dense_logits(graph: OnnxGraph, network: LinearNetwork | MlpNetwork, first_layer: FirstLayer) -> str:
    """Nodes of a network whose layers are linear maps.

    Args:
        graph: The graph.
        network: The network.
        first_layer: Makes the products of the inputs with the first weights.

    Returns:
        The name of the logits, [N, K], float32.
    """
    if isinstance(network, LinearNetwork):  # it sums in float64, see `LinearNetwork.forward`
        sums = first_layer(_array(network.linear.weight), np.float64)
        sums = graph.node("Add", sums, graph.constant(_array(network.linear.bias).astype(np.float64)))
        return graph.node("Cast", sums, to=1)
    values, last = "", network.layers[-1]
    for layer in network.layers:
        if isinstance(layer, nn.Linear):
            weight = _array(layer.weight)
            bias = None if layer.bias is None else _array(layer.bias)
            if layer is last and network.reference_class:  # its logit is 0: no weights and no bias
                weight = np.concatenate([np.zeros_like(weight[:1]), weight])
                bias = None if bias is None else np.concatenate([np.zeros_like(bias[:1]), bias])
            if values:
                values = graph.node("MatMul", values, graph.constant(np.ascontiguousarray(weight.T)))
            else:
                values = first_layer(weight, np.float32)
            if bias is not None:
                values = graph.node("Add", values, graph.constant(bias))
        elif not isinstance(layer, DropoutLayer):
            values = _activation(graph, layer, values)
    return values


def _activation(graph: OnnxGraph, layer: nn.Module, values: str) -> str:
    match layer:
        case nn.ReLU():
            return graph.node("Relu", values)
        case nn.Tanh():
            return graph.node("Tanh", values)
        case nn.SiLU():
            return graph.node("Mul", values, graph.node("Sigmoid", values))
        case nn.GELU():
            erf = graph.node("Erf", graph.node("Mul", values, graph.float32(1 / math.sqrt(2))))
            share = graph.node("Add", erf, graph.float32(1))
            return graph.node("Mul", graph.node("Mul", values, graph.float32(0.5)), share)
        case _:
            raise AssertionError(f"no activation {layer} is known here")


def picture_logits(graph: OnnxGraph, network: nn.Module, prepared: str, shape: tuple[int, int, int]) -> str:
    """Nodes of a picture network, exported by torch; averages over several views of a picture are in it.

    Args:
        graph: The graph.
        network: The network, in evaluation mode.
        prepared: The name of the normalised pictures, [N, C, H, W], float32.
        shape: C, H and W.

    Returns:
        The name of the logits, [N, K].
    """
    import_extra("onnxscript")
    example = torch.zeros(2, *shape)  # torch fixes the number of rows where the example has one
    network = deepcopy(network).to(memory_format=torch.contiguous_format)
    with _silence():
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            opset_version=OPSETS[""],
            input_names=["prepared"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise AssertionError("torch.onnx.export returns a program with dynamo=True")
    return graph.graft(program.model_proto, prepared)


@contextmanager
def _silence() -> Iterator[None]:
    """Without notes and warnings of the exporter about its own parts."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)


def _array(tensor: Tensor) -> npt.NDArray[np.float32]:
    array: npt.NDArray[np.float32] = tensor.detach().float().numpy()
    return array
