"""The export to torch: a program of `torch.export` that torch loads without polylogit.

Strings cannot enter a program: that of a table starts at the encoded features, and its metadata says how they are made.
"""

import io
import json
import warnings
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from polylogit.classifier import Classifier
from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.pictures.pretrained.encoder import BackboneEncoder
from polylogit.data.tables.encoder import TableEncoder
from polylogit.export.artifact import Artifact, refused_column
from polylogit.export.parity import Answers, Rows
from polylogit.system.sparse_rows import SparseRows

__all__ = ["torch_artifact"]

METADATA = "polylogit.json"
"""The name of the extra file inside the program that holds the metadata."""


class _Program(nn.Module):
    """From encoded features or uint8 pixels to probabilities, and with a decision rule to the index of the class."""

    mean: Tensor
    factor: Tensor

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        encoder, self._calibration = classifier.preprocessing, classifier.calibration
        self._decision = classifier.decision
        features = [encoder.backbone.module] if isinstance(encoder, BackboneEncoder) else []
        self.network = deepcopy(nn.Sequential(*features, classifier.network))
        for tensor in (*self.network.parameters(), *self.network.buffers()):  # a view would be saved with a warning
            tensor.data = tensor.data.clone(memory_format=torch.contiguous_format)
        self._pictures = isinstance(encoder, PictureEncoder)
        self.register_buffer("mean", encoder.pixel_mean if isinstance(encoder, PictureEncoder) else torch.zeros(1))
        self.register_buffer("factor", encoder.pixel_factor if isinstance(encoder, PictureEncoder) else torch.ones(1))

    def forward(self, inputs: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        if self._pictures:  # as `PictureEncoder.prepare`
            inputs = (inputs.float() - self.mean) * self.factor
        logits = self._calibration.apply(self.network(inputs))
        probabilities = torch.softmax(logits, dim=1)
        return probabilities if self._decision is None else (probabilities, self._decision.decide(logits))


def torch_artifact(classifier: Classifier) -> Artifact:
    """The classifier as a program.

    Args:
        classifier: The model.

    Returns:
        The file, and its run after it was read back.
    """
    encoder = classifier.preprocessing
    columns = encoder.columns if isinstance(encoder, TableEncoder) else ()
    for column in columns:
        if column.type == "text":  # its vocabulary is no part of a program of tensors
            raise refused_column(column, "torch")
    dtype = torch.uint8 if isinstance(encoder, PictureEncoder) else torch.float32
    example = torch.zeros(2, *encoder.input_shape, dtype=dtype)  # torch fixes the number of rows where there is one
    program = torch.export.export(
        _Program(classifier),
        (example,),
        dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
    )
    with warnings.catch_warnings():  # of its own read-only buffer, in torch 2.9
        warnings.filterwarnings("ignore", message="The given buffer is not writable")
        loaded = torch.export.load(io.BytesIO(_saved(program, {}))).module()

    def run(rows: Rows) -> Answers:
        encoded = encoder.encode(rows)  # type: ignore[arg-type]  # rows are of the kind that the encoder takes
        inputs = encoded.dense() if isinstance(encoded, SparseRows) else encoded
        with torch.inference_mode():
            outputs = loaded(inputs)
        probabilities, chosen = (outputs, outputs.argmax(dim=1)) if classifier.decision is None else outputs
        names = [classifier.class_names[index] for index in chosen.tolist()]
        return Answers(names, probabilities.double().numpy())

    def content(metadata: Mapping[str, Any]) -> bytes:
        outputs = ["probabilities"] if classifier.decision is None else ["probabilities", "class_index"]
        return _saved(program, {**metadata, **_expected_inputs(encoder), "outputs": outputs})

    return Artifact(content, {f"torch {torch.__version__}": run})


def _saved(program: torch.export.ExportedProgram, metadata: Mapping[str, Any]) -> bytes:
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={METADATA: json.dumps(metadata)})
    return file.getvalue()


def _expected_inputs(encoder: TableEncoder | PictureEncoder) -> dict[str, Any]:
    """What goes into the program."""
    if isinstance(encoder, PictureEncoder):
        return {"input": f"uint8 pixels from 0 to 255 of shape N x {' x '.join(map(str, encoder.input_shape))}"}
    return {
        "input": "float32 features of shape N x D, in the order of `features`. A scaled feature is (value - mean) / "
        "scale in float64 before it is rounded, and 0 where the value is missing; the others are 0 or 1. The value of "
        "a bin is 0 at its lower edge in `bin_edges` and 1 at the upper one. The page docs/model_file.md defines them.",
        "features": list(encoder.feature_names),
        "scaled_features": [name for column in encoder.columns for name in column.scaled_names],
        "bin_edges": {column.name: column.bin_edges for column in encoder.columns if column.bin_edges},
        "mean": encoder.mean.tolist(),
        "scale": encoder.scale.tolist(),
    }
