"""The model file: a header and tensors, written and read with everything checked. It is data and never code.

See also: `polylogit.model_header` and `polylogit.model_tensors`, its two parts, and docs/model_file.md, the format.
"""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.pictures.pretrained.encoder import BackboneEncoder
from polylogit.data.tables.encoder import TableEncoder
from polylogit.errors import ModelFileError, PolylogitWarning
from polylogit.model_header import ModelHeader, read_header_and_metadata
from polylogit.model_tensors import check_options, content_digest, with_sorted_metadata
from polylogit.networks import build_network
from polylogit.system.atomic_file import atomic_write

__all__ = ["ModelContents", "read_model_file", "write_model_file"]


class ModelContents(NamedTuple):
    """What a model file contains.

    Attributes:
        header: All that is not a tensor.
        network: With its weights, on the CPU.
        preprocessing: The encoder of rows or pictures.
        scores: The tensors of `polylogit.calibration.ConformalScores`, which are not checked yet.
    """

    header: ModelHeader
    network: nn.Module
    preprocessing: TableEncoder | PictureEncoder
    scores: Mapping[str, Tensor]


def write_model_file(
    path: Path,
    header: ModelHeader,
    network: nn.Module,
    preprocessing: TableEncoder | PictureEncoder,
    scores: Mapping[str, Tensor],
) -> None:
    """Write a model file atomically. The same content gives the same bytes.

    Args:
        path: Where to; the ending is .safetensors by custom.
        header: All that is not a tensor.
        network: Its state is written.
        preprocessing: Its tensors are written.
        scores: The tensors of the scores behind prediction sets; empty where there are none.

    Raises:
        PolylogitError: The file cannot be written.
    """
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    tensors |= {f"preprocessing.{name}": tensor for name, tensor in preprocessing.tensors().items()}
    tensors |= {f"prediction_sets.{name}": tensor for name, tensor in scores.items()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    entries = header.model_dump(mode="json", exclude_none=True)
    text = json.dumps(entries, ensure_ascii=False, allow_nan=False)
    with atomic_write(path) as temporary:
        metadata = {"polylogit": text, "digest": content_digest(text, tensors)}
        temporary.write_bytes(with_sorted_metadata(save_tensors(tensors, metadata=metadata)))


def read_model_file(path: Path) -> ModelContents:
    """Read a model file. Nothing in it is executed, and nothing is trusted before it is checked.

    Args:
        path: A file that `write_model_file` wrote.

    Returns:
        Its content.

    Raises:
        ModelFileError: The file is missing, cut short, of another format or version, its content differs from its
            digest, or its tensors are not exactly those of its network, or are not finite.

    Warns:
        PolylogitWarning: The file was written by polylogit 0.1, which kept no digest of the content.
    """
    header, metadata = read_header_and_metadata(path)
    try:
        tensors = load_tensors(path.read_bytes())
    except (SafetensorError, ValueError, KeyError, OSError) as fault:
        raise ModelFileError(f"{path}: the file is cut short or damaged: {fault}.") from fault
    _check_digest(path, metadata, tensors)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise ModelFileError(f"{path}: the tensor {name} holds NaN or infinity. Train the model again.")
    try:
        weights = _under("network.", tensors)
        check_options(header.network.options, weights)
        network = _network_from(header, weights)
        state = header.preprocessing.model_dump(mode="json", exclude_none=True)
        preprocessing = _encoder_of(state).from_state(state, _under("preprocessing.", tensors))
        scores = {} if header.prediction_sets is None else _under("prediction_sets.", tensors)
        _check_no_extra_tensors(tensors, network, preprocessing, scores)
        if isinstance(preprocessing, TableEncoder):
            network.load_state_dict(weights, assign=True)
            _check_shapes(header, network, torch.zeros(1, *preprocessing.input_shape))
        else:  # a hostile size of pictures may not cost memory; torch takes a second to start to work without it
            _check_shapes(header, network, torch.empty(1, *preprocessing.prepared_shape, device="meta"))
            network.load_state_dict(weights, assign=True)
    except ModelFileError as fault:
        raise ModelFileError(f"{path}: {fault}") from fault
    return ModelContents(header, network, preprocessing, scores)


def _check_digest(path: Path, metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> None:
    """Compare the content with the digest that was written with it."""
    if "digest" not in metadata:
        warnings.warn(
            f"{path}: written by polylogit 0.1, without a digest of its content, so that damage to its weights cannot "
            "be detected. Load it and save it again to add one.",
            PolylogitWarning,
            stacklevel=4,
        )
    elif metadata["digest"] != content_digest(metadata["polylogit"], tensors):
        raise ModelFileError(
            f"{path}: the content differs from the digest that was written with it: the file is damaged or was "
            "changed. Copy it again, or train the model again."
        )


def _encoder_of(state: Mapping[str, Any]) -> type[TableEncoder | PictureEncoder]:
    """The class of the encoder whose state this is."""
    if state["kind"] == TableEncoder.kind:
        return TableEncoder
    return PictureEncoder if state.get("backbone") is None else BackboneEncoder


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _network_from(header: ModelHeader, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Build the network without memory, and make sure that each of its tensors is there and fits its place."""
    with torch.device("meta"):
        network = build_network(header.network.kind, header.network.options)
    for name, expected in network.state_dict().items():
        if name not in tensors:
            raise ModelFileError(f"the tensor network.{name} is missing")
        found = tensors[name]
        if found.shape != expected.shape or found.dtype != expected.dtype:
            raise ModelFileError(
                f"network.{name}: expected {expected.dtype} {list(expected.shape)}, "
                f"found {found.dtype} {list(found.shape)}"
            )
    return network


def _check_shapes(header: ModelHeader, network: nn.Module, row: Float[Tensor, "1 ..."]) -> None:
    """Try one row of the preprocessing's shape on the network: out must come K logits."""
    expected = (1, len(header.class_names))
    try:
        with torch.inference_mode():
            found = tuple(network.eval()(row).shape)
    except (RuntimeError, TypeError, ValueError) as fault:
        raise ModelFileError(f"the network does not take what the preprocessing gives: {fault}") from fault
    if found != expected:
        raise ModelFileError(f"the network gives scores of shape {found}, but there are {expected[1]} class names")


def _check_no_extra_tensors(
    tensors: Mapping[str, Tensor],
    network: nn.Module,
    preprocessing: TableEncoder | PictureEncoder,
    scores: Mapping[str, Tensor],
) -> None:
    known = {f"network.{name}" for name in network.state_dict()}
    known |= {f"preprocessing.{name}" for name in preprocessing.tensors()}
    known |= {f"prediction_sets.{name}" for name in scores}
    unseen = sorted(set(tensors) - known)
    if unseen:
        raise ModelFileError(f"tensors that belong to no part of the model: {', '.join(unseen[:5])}")
