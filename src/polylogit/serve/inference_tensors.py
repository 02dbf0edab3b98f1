"""Tensors of the Open Inference Protocol v2, as JSON and as the binary data that follow it.

Source: https://github.com/kserve/open-inference-protocol, "Inference Protocol - REST", and the binary tensor data
extension of Triton Inference Server.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from polylogit.serve.json_text import json_bytes
from polylogit.serve.request_error import RequestError

__all__ = ["HEADER_LENGTH", "InferenceRequest", "OutputTensor", "Tensor", "read_inference", "written_inference"]

HEADER_LENGTH = "inference-header-content-length"
"""The HTTP header that says how many bytes of the body are JSON."""

_DTYPES: dict[str, str] = {
    "BOOL": "?",
    **{f"UINT{8 * size}": f"<u{size}" for size in (1, 2, 4, 8)},
    **{f"INT{8 * size}": f"<i{size}" for size in (1, 2, 4, 8)},
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
_MOST_DIMENSIONS = 8


@dataclass(frozen=True)
class Tensor:
    """A tensor of a request.

    Args:
        datatype: As in the protocol: BOOL, UINT8, ..., FP64 or BYTES.
        shape: Its shape.
        values: Its values, row by row; texts for BYTES.
    """

    datatype: str
    shape: tuple[int, ...]
    values: Sequence[Any] | npt.NDArray[Any]

    def as_array(self) -> npt.NDArray[Any]:
        """The tensor as an array of its shape and type.

        Raises:
            RequestError: A value does not fit the type.
        """
        if self.datatype == "BYTES":
            raise _bad("expected numbers, got BYTES.")
        try:
            return np.asarray(self.values, dtype=_DTYPES[self.datatype]).reshape(self.shape)
        except (ValueError, TypeError, OverflowError) as fault:
            raise _bad(f"a value does not fit the datatype {self.datatype}.") from fault

    def cells(self) -> list[Any]:
        """The values as Python's own numbers and texts."""
        return list(self.values.tolist() if isinstance(self.values, np.ndarray) else self.values)


@dataclass(frozen=True)
class OutputTensor:
    """A tensor of an answer.

    Args:
        name: Its name.
        datatype: FP32 or BYTES.
        shape: Its shape.
        values: Floats or texts, row by row.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: Sequence[Any]

    def as_bytes(self) -> bytes:
        """The values as binary data: each text after its length, numbers in little endian."""
        if self.datatype == "BYTES":
            texts = [str(value).encode("utf-8", errors="backslashreplace") for value in self.values]
            return b"".join(len(text).to_bytes(4, "little") + text for text in texts)
        return np.asarray(self.values, dtype=_DTYPES[self.datatype]).tobytes()


@dataclass(frozen=True)
class InferenceRequest:
    """A request for inference.

    Args:
        identifier: What the client calls it; repeated in the answer.
        inputs: Tensors by name.
        wanted: For each output that is asked for whether it comes as binary data; empty: all.
        binary: Whether outputs come as binary data that are not named in `wanted`.
    """

    identifier: str | None
    inputs: dict[str, Tensor]
    wanted: dict[str, bool] = field(default_factory=dict)
    binary: bool = False


def read_inference(body: bytes, header_length: str | None) -> InferenceRequest:
    """Read the body of an inference request.

    Args:
        body: JSON, then the binary data of tensors.
        header_length: The HTTP header `Inference-Header-Content-Length`.

    Returns:
        The request.

    Raises:
        RequestError: The body breaks the protocol.

    Example:
        >>> content = b'{"inputs": [{"name": "legs", "datatype": "INT64", "shape": [2], "data": [4, 2]}]}'
        >>> read_inference(content, None).inputs["legs"].cells()
        [4, 2]
    """
    length = len(body)
    if header_length is not None:
        if not header_length.isdecimal() or int(header_length[:20]) > len(body):
            raise _bad("the header Inference-Header-Content-Length is not the length of a part of the body.")
        length = int(header_length)
    try:
        content = json.loads(body[:length])
    except (ValueError, RecursionError) as fault:
        raise _bad("the body is not JSON.") from fault
    rest = memoryview(body)[length:]
    try:
        inputs = {}
        for entry in content["inputs"]:
            name = entry["name"]
            inputs[name], rest = _read_tensor(entry, rest)
        parameters = content.get("parameters") or {}
        wanted = {
            entry["name"]: bool((entry.get("parameters") or {}).get("binary_data", False))
            for entry in content.get("outputs") or []
        }
        identifier = content.get("id")
        binary = bool(parameters.get("binary_data_output", False))
    except (KeyError, TypeError, AttributeError, ValueError) as fault:
        raise _bad(
            'expected {"inputs": [{"name": ..., "datatype": ..., "shape": [...], "data": [...]}, ...]}.'
        ) from fault
    if len(rest):
        raise _bad("there are more binary data than the tensors have.")
    return InferenceRequest(None if identifier is None else str(identifier)[:200], inputs, wanted, binary)


def written_inference(
    model: str, request: InferenceRequest, outputs: Sequence[OutputTensor]
) -> tuple[bytes, dict[str, str]]:
    """The answer to an inference request.

    Args:
        model: The model's name.
        request: What was asked for.
        outputs: All outputs of the model.

    Returns:
        The body, and HTTP headers that go with it.

    Raises:
        RequestError: An output is asked for that the model does not have.
    """
    unknown = sorted(set(request.wanted) - {output.name for output in outputs})
    if unknown:
        raise _bad(f"there is no such output. Known: {', '.join(output.name for output in outputs)}.")
    entries, parts = [], []
    for output in outputs:
        if request.wanted and output.name not in request.wanted:
            continue
        entry: dict[str, Any] = {"name": output.name, "datatype": output.datatype, "shape": list(output.shape)}
        if request.wanted.get(output.name, request.binary):
            parts.append(output.as_bytes())
            entry["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            entry["data"] = list(output.values)
        entries.append(entry)
    content: dict[str, Any] = {"model_name": model, "model_version": "1", "outputs": entries}
    if request.identifier is not None:
        content["id"] = request.identifier
    text = json_bytes(content)
    if not parts:
        return text, {"content-type": "application/json"}
    headers = {"content-type": "application/octet-stream", HEADER_LENGTH: str(len(text))}
    return b"".join([text, *parts]), headers


def _read_tensor(entry: dict[str, Any], rest: memoryview) -> tuple[Tensor, memoryview]:
    """A tensor, and the binary data behind its own."""
    datatype, shape = entry["datatype"], tuple(entry["shape"])
    if datatype != "BYTES" and datatype not in _DTYPES:
        raise _bad(f"the datatype is not known. Expected one of {', '.join(_DTYPES)}, BYTES.")
    if len(shape) > _MOST_DIMENSIONS or not all(type(size) is int and 0 <= size < 2**31 for size in shape):
        raise _bad("a shape has whole numbers, 0 or more.")
    count = math.prod(shape)
    size = (entry.get("parameters") or {}).get("binary_data_size")
    if size is None:
        values: Sequence[Any] | npt.NDArray[Any] = _flat(entry["data"])
    else:
        if type(size) is not int or not 0 <= size <= len(rest):
            raise _bad("binary_data_size is larger than the binary data.")
        values = _texts(rest[:size]) if datatype == "BYTES" else _numbers(rest[:size], datatype)
        rest = rest[size:]
    if len(values) != count:
        raise _bad(f"a tensor of shape {list(shape)} has {count} values, got {len(values)}.")
    return Tensor(datatype, shape, values), rest


def _numbers(content: memoryview, datatype: str) -> npt.NDArray[Any]:
    dtype = np.dtype(_DTYPES[datatype])
    if len(content) % dtype.itemsize:
        raise _bad(f"binary data of {datatype} have {dtype.itemsize} bytes a value.")
    return np.frombuffer(content, dtype=dtype)


def _texts(content: memoryview) -> list[str]:
    texts, at = [], 0
    while at < len(content):
        end = at + 4 + int.from_bytes(content[at : at + 4], "little")
        if end > len(content):
            raise _bad("a text in the binary data is cut short.")
        try:
            texts.append(bytes(content[at + 4 : end]).decode())
        except UnicodeDecodeError as fault:
            raise _bad("a text in the binary data is not UTF-8.") from fault
        at = end
    return texts


def _flat(data: Any) -> list[Any]:  # noqa: ANN401 - JSON
    if not isinstance(data, list):
        raise _bad("the data of a tensor are a list.")
    flat: list[Any] = data
    for _ in range(_MOST_DIMENSIONS):
        if not any(isinstance(value, list) for value in flat):
            break
        flat = [each for value in flat for each in (value if isinstance(value, list) else [value])]
    return flat


def _bad(message: str) -> RequestError:
    return RequestError(400, "unreadable", message)
