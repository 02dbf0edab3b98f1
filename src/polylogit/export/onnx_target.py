"""The export to ONNX: one file from raw columns or pixels to class and calibrated probabilities.

See also: docs/export.md, the inputs and outputs of the file.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from torch import nn

from polylogit.classifier import Classifier
from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.pictures.pretrained.encoder import BackboneEncoder
from polylogit.data.tables.encoder import TableEncoder
from polylogit.errors import ExportError
from polylogit.export.artifact import Artifact
from polylogit.export.onnx_calibration import calibrated, decided
from polylogit.export.onnx_graph import OnnxGraph
from polylogit.export.onnx_network import dense_logits, picture_logits
from polylogit.export.onnx_table import INPUTS, MISSING_DATE, OnnxTable
from polylogit.export.parity import Answers, Rows
from polylogit.networks import LinearNetwork, MlpNetwork
from polylogit.system.optional import import_extra

__all__ = ["onnx_artifact", "onnx_inputs"]

OUTPUTS = ("class", "probabilities")
PIXELS = "pixels"


def onnx_artifact(classifier: Classifier) -> Artifact:
    """The classifier as an ONNX model.

    Args:
        classifier: The model.

    Returns:
        The file, and its run in onnxruntime.

    Raises:
        ExportError: A column or a name cannot be exported.
        MissingExtraError: onnx or onnxruntime is not installed.
    """
    runtime = import_extra("onnxruntime")
    model = _model(classifier)
    content = model.SerializeToString()
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def run(rows: Rows) -> Answers:
        names, probabilities = session.run(list(OUTPUTS), onnx_inputs(rows))
        return Answers([name or None for name in names.tolist()], probabilities.astype(np.float64))

    def with_metadata(metadata: Mapping[str, Any]) -> bytes:
        described = {**metadata, "inputs": _described(classifier), "outputs": list(OUTPUTS)}
        model.metadata_props.add(key="polylogit", value=json.dumps(described, ensure_ascii=False))
        return bytes(model.SerializeToString())

    return Artifact(with_metadata, {f"onnxruntime {runtime.__version__}": run})


def onnx_inputs(rows: Rows) -> dict[str, npt.NDArray[Any]]:
    """The inputs of the exported model for rows with typed columns, or for pictures.

    Example:
        >>> onnx_inputs(pl.DataFrame({"legs": [4.0, None], "skin": ["fur", None]}))["skin"].tolist()
        [['fur'], ['']]
    """
    if not isinstance(rows, pl.DataFrame):
        return {PIXELS: rows.numpy()}
    return {series.name: _column(series)[:, None] for series in rows}


def _column(series: pl.Series) -> npt.NDArray[Any]:
    if series.dtype == pl.String:
        return np.array(series.fill_null("").to_list(), dtype=object)
    if series.dtype == pl.Date:
        return series.to_physical().cast(pl.Int64).fill_null(MISSING_DATE).to_numpy()
    return series.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _model(classifier: Classifier) -> Any:  # noqa: ANN401 - a ModelProto
    encoder = classifier.preprocessing
    names = [column.name for column in encoder.columns] if isinstance(encoder, TableEncoder) else [PIXELS]
    for name in OUTPUTS:
        if name in names:
            raise ExportError(
                f'column "{name}": an output of the ONNX model has this name. Rename the column in the table, and '
                "train the model again."
            )
    graph, classes = OnnxGraph({*names, *OUTPUTS}), len(classifier.class_names)
    network, accepted = classifier.network, None
    if isinstance(encoder, PictureEncoder):
        logits = _picture_logits(graph, encoder, network)
    else:
        table = OnnxTable(graph, encoder)
        logits, accepted = dense_logits(graph, _dense(network), table.first_layer), table.accepted()
    scores, probabilities = calibrated(graph, logits, classifier.calibration, classes)
    if classifier.decision is None:
        best = graph.node("ArgMax", scores, axis=1, keepdims=0)
    else:
        best = decided(graph, scores, probabilities, classifier.calibration, classifier.decision)
    class_names = list(classifier.class_names)
    if accepted is not None:
        probabilities = graph.node("Where", accepted, probabilities, graph.float32(np.nan))
        flat = graph.node("Reshape", accepted, graph.int64([-1]))
        best = graph.node("Where", flat, best, graph.int64(classes))
        class_names.append("")
    graph.output(OUTPUTS[0], graph.node("Gather", graph.texts(class_names), best, axis=0), str, ("N",))
    graph.output(OUTPUTS[1], probabilities, np.float32, ("N", classes))
    return graph.model()


def _dense(network: object) -> LinearNetwork | MlpNetwork:
    if not isinstance(network, LinearNetwork | MlpNetwork):
        raise ExportError(
            f"a {type(network).__name__} of a table cannot be exported to ONNX. Use the model file with polylogit "
            "predict or polylogit serve."
        )
    return network


def _picture_logits(graph: OnnxGraph, encoder: PictureEncoder, network: Any) -> str:  # noqa: ANN401
    pixels = graph.input(PIXELS, np.uint8, ("N", *encoder.input_shape))
    prepared = graph.node("Cast", pixels, to=1)
    # As `PictureEncoder.prepare`: one subtraction and one product in float32.
    prepared = graph.node("Sub", prepared, graph.constant(encoder.pixel_mean.numpy()))
    prepared = graph.node("Mul", prepared, graph.constant(encoder.pixel_factor.numpy()))
    if isinstance(encoder, BackboneEncoder):
        network = nn.Sequential(encoder.backbone.module, network)
    if not isinstance(network, LinearNetwork | MlpNetwork):
        return picture_logits(graph, network, prepared, encoder.input_shape)
    flat = graph.node("Flatten", prepared, axis=1)

    def first_layer(weight: npt.NDArray[np.float32], dtype: type[np.floating[Any]]) -> str:
        factors = graph.constant(np.ascontiguousarray(weight.T))
        if dtype is np.float32:
            return graph.node("MatMul", flat, factors)
        return graph.node("MatMul", graph.node("Cast", flat, to=11), graph.node("Cast", factors, to=11))

    return dense_logits(graph, network, first_layer)


def _described(classifier: Classifier) -> dict[str, str]:
    """What the values of each input mean."""
    encoder = classifier.preprocessing
    if isinstance(encoder, PictureEncoder):
        channels = "grey" if encoder.channels == 1 else "red, green, blue"
        return {PIXELS: f"pixel values from 0 to 255, channels first ({channels})"}
    return {column.name: INPUTS[column.type][1] for column in encoder.columns}
