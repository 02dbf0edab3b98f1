"""The tensors of a model file: the digest that covers them, and the limits that hold before a network is built.

See also: `polylogit.model_header`, the rest of the file, and docs/model_file.md, the format.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from polylogit.errors import ModelFileError

__all__ = ["check_options", "content_digest", "with_sorted_metadata"]

MOST_TENSORS = 10_000
"""A model file with more tensors than this is rejected: building its network would take minutes."""

MOST_PIXELS = 4096
"""Options that are lengths in pixels may be as large as this, whatever the tensors hold."""


def content_digest(header: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the content of a model file.

    The bytes that are hashed: the header's JSON text in UTF-8 and a zero byte; then for each tensor in the order of the
    names, as UTF-8: name, zero byte, dtype as in "float32", zero byte, lengths of the axes joined by commas, zero byte;
    and the tensor's values, little-endian and in C order.

    Args:
        header: The text of the entry `polylogit` of the file's metadata.
        tensors: Every tensor of the file, by name, on the CPU.

    Returns:
        64 hexadecimal digits.

    Example:
        >>> content_digest("{}", {"a": torch.zeros(2)})[:16]
        '2d1b972d8a67d208'
    """
    digest = hashlib.sha256(header.encode("utf-8", "surrogatepass") + b"\0")
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        kind = str(tensor.dtype).removeprefix("torch.")
        shape = ",".join(map(str, tensor.shape))
        digest.update(f"{name}\0{kind}\0{shape}\0".encode("utf-8", "surrogatepass"))
        digest.update(tensor.flatten().view(torch.uint8).numpy().data if tensor.numel() else b"")
    return digest.hexdigest()


def with_sorted_metadata(content: bytes) -> bytes:
    """A safetensors file with its metadata in the order of the keys: safetensors writes them in random order.

    Args:
        content: The bytes of the file.

    Returns:
        The bytes of an equal file; the same classifier gives the same bytes.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def check_options(options: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Check that the options of a network cannot ask for more than the tensors of the file can fill.

    A list is as long as there are layers, and blocks are layers too: neither exceeds the number of tensors. Every
    other whole number is a number of values along an axis or a length in pixels. Time and memory of building the
    network are then bounded by the size of the file.

    Args:
        options: The options of the network, from the header.
        tensors: The tensors of the network.

    Raises:
        ModelFileError: An option exceeds what the tensors can fill, is negative or is not finite; or a tensor is
            empty, or there are too many. The message names the option or the tensor.

    Example:
        >>> check_options({"features": 4, "classes": 10**9}, {"linear.weight": torch.zeros(3, 4)})
        Traceback (most recent call last):
        ...
        polylogit.errors.ModelFileError: network.options.classes: 1000000000 exceeds what the 1 tensors of the file fill
    """
    if len(tensors) > MOST_TENSORS:
        raise ModelFileError(f"the network has {len(tensors)} tensors, and at most {MOST_TENSORS} are read")
    for name, tensor in tensors.items():
        if not tensor.numel():
            raise ModelFileError(f"the tensor network.{name} is empty")
    values = max(sum(tensor.numel() for tensor in tensors.values()), MOST_PIXELS)
    for name, option in options.items():
        many = isinstance(option, Sequence) and not isinstance(option, str)
        most = len(tensors) if name == "blocks" else values
        if (many and len(option) > len(tensors)) or any(
            _exceeds(value, most) for value in (option if many else [option])
        ):
            shown = f"{len(option)} entries" if many else f"{option!r:.40}"
            raise ModelFileError(
                f"network.options.{name}: {shown} exceeds what the {len(tensors)} tensors of the file fill"
            )


def _exceeds(value: object, most: int) -> bool:
    """Whether an option is outside its limits: whole numbers up to `most`, shares from 0 to 1, words and booleans."""
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, int):
        return not 0 <= value <= most
    if isinstance(value, float):
        return not 0 <= value <= 1
    return not isinstance(value, str)
