"""The calibration in ONNX: each part of `Calibration` as nodes, in the order in which it is applied; and decisions."""

import numpy as np

from polylogit.calibration.calibration import Calibration
from polylogit.calibration.decision_rule import DecisionRule
from polylogit.export.onnx_graph import OnnxGraph

__all__ = ["calibrated", "decided"]


def calibrated(graph: OnnxGraph, logits: str, calibration: Calibration, classes: int) -> tuple[str, str]:
    """Nodes of the calibration and of the softmax, in float32 as in `Calibration.apply`.

    Args:
        graph: The graph.
        logits: The name of [N, K], float32.
        calibration: The calibration.
        classes: K.

    Returns:
        The names of the scores whose order is that of the classes, and of the probabilities, both [N, K].
    """
    constant = graph.float32
    if (quadratic := calibration.quadratic) is not None:
        scores = graph.node("LogSoftmax", logits, axis=1)
        slope = graph.node("Sub", constant(quadratic.slope), graph.node("Mul", constant(quadratic.curvature), scores))
        logits = graph.node("Mul", scores, slope)
    if calibration.temperature != 1.0:
        logits = graph.node("Div", logits, constant(calibration.temperature))
    if (vector := calibration.vector_scaling) is not None:
        logits = graph.node("Add", graph.node("Mul", logits, constant(vector.scale)), constant(vector.bias))
    if (structured := calibration.structured_scaling) is not None:
        scores = graph.node("LogSoftmax", logits, axis=1)
        logits = graph.node("Add", graph.node("Mul", scores, constant(structured.scale)), constant(structured.bias))
        if structured.off_diagonal is not None:
            others = graph.node("MatMul", scores, constant(np.array(structured.off_diagonal).T))
            logits = graph.node("Add", logits, others)
    probabilities = graph.node("Softmax", logits, axis=1)
    if share := calibration.uniform_share:
        scaled = graph.node("Mul", probabilities, constant(1 - share))
        probabilities = graph.node("Add", scaled, constant(share / classes))
    return logits, probabilities


def decided(graph: OnnxGraph, scores: str, probabilities: str, calibration: Calibration, rule: DecisionRule) -> str:
    """Nodes of the class of the least expected cost, in float64 as in `DecisionRule.decide`.

    Args:
        graph: The graph.
        scores: The first result of `calibrated`.
        probabilities: The second.
        calibration: The calibration.
        rule: Costs and class shares.

    Returns:
        The name of the index of the class, [N].
    """
    if calibration.uniform_share:  # no probability is 0 then
        logs = graph.node("Log", graph.node("Cast", probabilities, to=11))
    else:
        logs = graph.node("LogSoftmax", graph.node("Cast", scores, to=11), axis=1)
    if (ratios := rule.log_ratios()) is not None:
        logs = graph.node("Add", logs, graph.float64(ratios))
    if rule.costs is None:
        return graph.node("ArgMax", logs, axis=1, keepdims=0)
    expected = graph.node("MatMul", graph.node("Softmax", logs, axis=1), graph.float64(rule.costs))
    return graph.node("ArgMin", expected, axis=1, keepdims=0)
