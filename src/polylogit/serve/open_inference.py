"""The Open Inference Protocol v2, so that clients of KServe, Triton and MLServer can ask.

A table is one tensor for each column, pictures are one tensor of pixels. The protocol has no place for an error in one
row: a request with a row that cannot be read fails as a whole.

Source: https://github.com/kserve/open-inference-protocol, "Inference Protocol - REST".
"""

import asyncio
from importlib.metadata import version
from typing import Any

import torch
from starlette.requests import Request
from starlette.responses import Response

from polylogit.data.pictures.encoder import pictures_from_array
from polylogit.errors import DataError
from polylogit.serve.answers import Answer
from polylogit.serve.bodies import decompressed, read_body
from polylogit.serve.encoding import EncodedRequest
from polylogit.serve.health import Health
from polylogit.serve.inference_tensors import (
    HEADER_LENGTH,
    InferenceRequest,
    OutputTensor,
    read_inference,
    written_inference,
)
from polylogit.serve.models import Models
from polylogit.serve.predict_endpoint import Predictor
from polylogit.serve.request_error import RequestError, json_response
from polylogit.serve.row_bodies import RowsBody
from polylogit.serve.served_model import ServedModel
from polylogit.serve.settings import ServeSettings

__all__ = ["OpenInference"]

_DATATYPES = {"number": "FP64", "boolean": "BOOL", "category": "BYTES", "date": "BYTES", "text": "BYTES"}
_PIXELS = "pixels"


class OpenInference:
    """The endpoints under `/v2`.

    Args:
        models: The models.
        predictor: Answers requests, within the limits.
        health: The state of the process.
        settings: The limits.
    """

    def __init__(self, models: Models, predictor: Predictor, health: Health, settings: ServeSettings) -> None:
        self._models = models
        self._predictor = predictor
        self._health = health
        self._settings = settings

    async def server(self, request: Request) -> Response:
        """`GET /v2`."""
        del request
        content = {"name": "polylogit", "version": version("polylogit"), "extensions": ["binary_tensor_data"]}
        return json_response(content)

    async def live(self, request: Request) -> Response:
        """`GET /v2/health/live`."""
        del request
        return json_response({"live": self._health.is_live}, 200 if self._health.is_live else 503)

    async def ready(self, request: Request) -> Response:
        """`GET /v2/health/ready`."""
        del request
        return json_response({"ready": self._health.is_ready}, 200 if self._health.is_ready else 503)

    async def model(self, request: Request) -> Response:
        """`GET /v2/models/{name}`."""
        model = self._models.get(request.path_params["name"])
        classes = model.classifier.class_names
        if model.picture_encoder is not None:
            inputs: list[dict[str, Any]] = [
                {"name": _PIXELS, "datatype": "UINT8", "shape": [-1, *model.picture_encoder.input_shape]}
            ]
        else:
            inputs = [
                {"name": column.name, "datatype": _DATATYPES[column.type], "shape": [-1]}
                for column in model.columns.values()
            ]
        outputs = [
            {"name": "class", "datatype": "BYTES", "shape": [-1]},
            {
                "name": "probabilities",
                "datatype": "FP32",
                "shape": [-1, len(classes)],
                "parameters": {"class_names": list(classes)},
            },
        ]
        content = {"name": model.name, "versions": ["1"], "platform": "polylogit", "inputs": inputs, "outputs": outputs}
        return json_response(content)

    async def model_ready(self, request: Request) -> Response:
        """`GET /v2/models/{name}/ready`."""
        model = self._models.get(request.path_params["name"])
        return json_response(
            {"name": model.name, "ready": self._health.is_ready}, 200 if self._health.is_ready else 503
        )

    async def infer(self, request: Request) -> Response:
        """`POST /v2/models/{name}/infer`."""
        return await self._predictor.limited(request, self._infer(request))

    async def _infer(self, request: Request) -> Response:
        model = self._models.get(request.path_params["name"])
        request.scope["polylogit.model"] = model.name
        body = await read_body(request, self._settings.max_bytes)
        encoding, header_length = request.headers.get("content-encoding"), request.headers.get(HEADER_LENGTH)
        asked, encoded = await asyncio.to_thread(self._encoded, model, body, encoding, header_length)
        if encoded.faults:
            fault = encoded.faults[0]
            column = "" if fault.column is None else f', input "{fault.column}"'
            raise RequestError(400, "rows", f"row {fault.row}{column}: {fault.message}")
        answer = await self._predictor.answer(request, model, encoded, self._settings.abstain_below)
        if answer.encoded.faults:
            raise RequestError(400, "rows", f"row {answer.encoded.faults[0].row}: {answer.encoded.faults[0].message}")
        content, headers = written_inference(model.name, asked, _outputs(answer))
        return Response(content, headers=headers)

    def _encoded(
        self, model: ServedModel, body: bytes, encoding: str | None, header_length: str | None
    ) -> tuple[InferenceRequest, EncodedRequest]:
        asked = read_inference(decompressed(body, encoding, self._settings.max_bytes), header_length)
        if model.picture_encoder is not None:
            return asked, self._pictures(model, asked)
        names = [name for name in asked.inputs if name in model.columns]
        missing = [name for name in model.columns if name not in asked.inputs]
        if missing:
            raise RequestError(400, "unreadable", f"the input {missing[0]!r} is not there; {len(missing)} are missing.")
        lengths = {asked.inputs[name].shape[0] if asked.inputs[name].shape else 0 for name in names}
        flat = all(asked.inputs[name].shape[1:] in ((), (1,)) for name in names)
        if len(lengths) != 1 or not flat or 0 in lengths:
            raise RequestError(400, "unreadable", "expected inputs of one shape, [N] or [N, 1], with N above 0.")
        cells = [asked.inputs[name].cells() for name in names]
        rows = [dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)]
        return asked, self._predictor.encode_json_rows(model, RowsBody(rows))

    def _pictures(self, model: ServedModel, asked: InferenceRequest) -> EncodedRequest:
        encoder = model.picture_encoder
        if encoder is None or set(asked.inputs) != {_PIXELS}:
            raise RequestError(400, "unreadable", f'expected one input, "{_PIXELS}".')
        tensor = asked.inputs[_PIXELS]
        if tensor.datatype != "UINT8":
            raise RequestError(400, "unreadable", f"expected pixels of datatype UINT8, got {tensor.datatype}.")
        try:
            pixels = encoder.encode(pictures_from_array(torch.from_numpy(tensor.as_array().copy())))
        except DataError as fault:
            raise RequestError(400, "unreadable", str(fault)) from fault
        if len(pixels) > self._settings.max_rows:
            raise RequestError(413, "too_large", f"a request may have {self._settings.max_rows} pictures.")
        return EncodedRequest(inputs=pixels, rows=len(pixels), kept=range(len(pixels)))


def _outputs(answer: Answer) -> list[OutputTensor]:
    """The class of each row, empty where the model abstains, and the probabilities."""
    rows, classes = len(answer.predicted), len(answer.class_names)
    names = [
        "" if abstained else answer.class_names[index]
        for index, abstained in zip(answer.predicted, answer.abstained, strict=True)
    ]
    flat = [probability for row in answer.probabilities for probability in row]
    return [
        OutputTensor("class", "BYTES", (rows,), names),
        OutputTensor("probabilities", "FP32", (rows, classes), flat),
    ]
