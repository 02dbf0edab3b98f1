"""The encoder of pictures whose features a pretrained network gives: normalisation, network and scaling in one.

See also: `polylogit.data.pictures.encoder`, the encoder whose features are pixels.
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Num, UInt8
from torch import Tensor, nn

from polylogit.data.pictures.encoder import Background, PictureEncoder
from polylogit.data.pictures.pretrained.architecture import empty_network
from polylogit.data.pictures.pretrained.backbone import Backbone
from polylogit.data.pictures.pretrained.catalogue import LARGEST_SIDE, SMALLEST_SIDE
from polylogit.data.pictures.pretrained.weights import PACKAGED, BackboneWeights, packaged_weights, weights_digest
from polylogit.errors import DataError, MissingExtraError, ModelFileError, RecipeError

__all__ = ["BackboneEncoder"]

_PREFIX = "backbone."


class BackboneEncoder(PictureEncoder):
    """Features of pictures from a frozen pretrained network.

    prepare(pixels) = features((pixels / 255 - mean) / scale): see `FeatureNetwork`. Pictures have three channels: grey
    ones are read as colour.

    Args:
        backbone: The network.
        side: Height and width of the pictures, in pixels; None: those that the network was trained on.
        background: The colour behind transparent pixels of picture files.
        embedded: Whether a model file contains the weights, or only their digest.

    Raises:
        RecipeError: The network does not take pictures of this size.
    """

    def __init__(
        self,
        backbone: Backbone,
        side: int | None = None,
        background: Background | None = "white",
        *,
        embedded: bool = True,
    ) -> None:
        spec = backbone.spec
        side = spec.side if side is None else side
        if side != spec.side and not (spec.any_side and SMALLEST_SIDE <= side <= LARGEST_SIDE):
            takes = f"from {SMALLEST_SIDE} to {LARGEST_SIDE}" if spec.any_side else f"of {spec.side}"
            raise RecipeError(f"data.picture_size: {backbone.name} takes pictures {takes} pixels only, got {side}.")
        mean, scale = (torch.tensor(values, dtype=torch.float64) for values in (spec.mean, spec.scale))
        super().__init__(side, side, mean, scale, background)
        self.backbone = backbone
        self.embedded = embedded

    @property
    def features(self) -> int:
        """D, the features that the network gives."""
        return self.backbone.spec.features

    @property
    def prepared_shape(self) -> tuple[int, ...]:
        """The shape of one prepared picture: (D,)."""
        return (self.features,)

    def prepare(self, pixels: Num[Tensor, "N ..."]) -> Float[Tensor, "N D"]:
        """Features of pixels, on their device; what is float already are features, and comes back as it is."""
        if pixels.is_floating_point():
            return pixels
        return self.backbone.features(self.normalise(pixels))

    def normalise(self, pixels: UInt8[Tensor, "N 3 H W"]) -> Float[Tensor, "N 3 H W"]:
        """Pixels as the network takes them, on their device."""
        return super().prepare(pixels)

    def with_network(self, network: nn.Module, change: str) -> "BackboneEncoder":
        """The same encoder with other weights of its network, which a model file then contains.

        Args:
            network: The network with these weights, on the CPU.
            change: What was done to them, for people; it goes behind their source.

        Returns:
            The encoder.
        """
        former = self.backbone.weights
        tensors = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
        weights = BackboneWeights(tensors, weights_digest(tensors), f"{former.source}, {change}", former.licence)
        backbone = Backbone.with_weights(self.backbone.name, weights, mirror=self.backbone.module.mirror)
        return BackboneEncoder(backbone, self.height, self.background)

    def as_json(self) -> dict[str, Any]:
        """The state that is not a tensor, as plain data for a model file."""
        weights = self.backbone.weights
        entry = {
            "name": self.backbone.name,
            "digest": weights.digest,
            "source": weights.source,
            "licence": weights.licence,
            "embedded": self.embedded,
            "mirror": self.backbone.module.mirror,
        }
        return super().as_json() | {"backbone": entry}

    def tensors(self) -> dict[str, Tensor]:
        """The state that is tensors, by name, with the weights of the network where they are embedded."""
        weights = self.backbone.module.network.state_dict() if self.embedded else {}
        return super().tensors() | {f"{_PREFIX}{name}": tensor for name, tensor in weights.items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "BackboneEncoder":
        """The encoder whose `as_json` and `tensors` these are.

        Raises:
            ModelFileError: The tensors do not fit the network, or its weights are referenced by their digest and not
                installed.
            MissingExtraError: timm is not installed.
        """
        entry = state["backbone"]
        plain = PictureEncoder.from_state(state, tensors)
        if entry["embedded"]:
            found = _tensors_of(entry["name"], tensors)
            weights = BackboneWeights(found, weights_digest(found), entry["source"], entry["licence"])
        else:
            weights = _installed_weights(entry)
        if weights.digest != entry["digest"]:
            raise ModelFileError(
                f"preprocessing.backbone: the weights of {entry['name']} have the digest {weights.digest[:16]}…, the "
                f"model was trained with {entry['digest'][:16]}… from {entry['source']}. Install these, or train the "
                "model again."
            )
        try:
            encoder = cls(
                Backbone.with_weights(entry["name"], weights, mirror=entry["mirror"]),
                state["height"],
                state.get("background"),
                embedded=entry["embedded"],
            )
        except RecipeError as fault:
            raise ModelFileError(f"preprocessing: {fault}") from fault
        if not (torch.equal(plain.mean, encoder.mean) and torch.equal(plain.scale, encoder.scale)):
            raise ModelFileError(f"preprocessing: mean and scale are not those of {entry['name']}")
        return encoder


def _tensors_of(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of the network, each of its shape and dtype; the architecture is built without memory."""
    found = {}
    for each, expected in empty_network(name).state_dict().items():
        tensor = tensors.get(f"{_PREFIX}{each}")
        if tensor is None:
            raise ModelFileError(f"the tensor preprocessing.{_PREFIX}{each} is missing")
        if tensor.shape != expected.shape or tensor.dtype != expected.dtype:
            raise ModelFileError(
                f"preprocessing.{_PREFIX}{each}: expected {expected.dtype} {list(expected.shape)}, "
                f"found {tensor.dtype} {list(tensor.shape)}"
            )
        found[each] = tensor
    return found


def _installed_weights(entry: Mapping[str, Any]) -> BackboneWeights:
    if entry["name"] != PACKAGED:
        raise ModelFileError(
            f"preprocessing.backbone: the model file has no weights of {entry['name']}, only their digest, and no "
            "installed package has them. Train the model again with model.embed_weights = true."
        )
    try:
        return packaged_weights()
    except (MissingExtraError, DataError) as fault:
        raise ModelFileError(
            f"preprocessing.backbone: the model file has no weights of {entry['name']}, only their digest, and they "
            f"are not installed: {fault}"
        ) from fault
