"""A pretrained network without its last layer: built by timm from a name of the closed list, filled with weights.

See also: `catalogue.py`, the list; `weights.py`, the weights; `encoder.py`, which prepares pictures with it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polylogit.data.pictures.pretrained.architecture import empty_network
from polylogit.data.pictures.pretrained.catalogue import BACKBONES, BackboneSpec
from polylogit.data.pictures.pretrained.weights import BackboneWeights

__all__ = ["Backbone", "FeatureNetwork"]

PICTURES_AT_ONCE = 32
"""Pictures that go through the network together: the maps of its first layers stay near the processor."""

_LEAST_SIZE = 1e-12


class FeatureNetwork(nn.Module):
    """From prepared pictures to features whose root mean square over those of a picture is 1.

    f / rms(f) with f = network(prepared); with `mirror` the mean of that of the picture and of its mirror image.
    Networks differ in how large their features are; the scaling gives the penalty of a linear model on them the same
    meaning for each.

    Args:
        network: A network without its last layer.
        mirror: Whether the mirror image counts too.
    """

    def __init__(self, network: nn.Module, *, mirror: bool = False) -> None:
        super().__init__()
        self.network = network
        self.mirror = mirror

    def forward(self, prepared: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N D"]:
        """D features a picture."""
        found = self._scaled(prepared)
        return (found + self._scaled(prepared.flip(3))) / 2 if self.mirror else found

    def _scaled(self, prepared: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N D"]:
        found: Tensor = self.network(prepared)
        return found / found.square().mean(dim=1, keepdim=True).sqrt().clamp_min(_LEAST_SIZE)


@dataclass(frozen=True, eq=False)
class Backbone:
    """A pretrained network that gives features, in evaluation mode and without gradients.

    Args:
        name: Its name in `BACKBONES`.
        module: From prepared pictures to features.
        weights: What its weights came from.
    """

    name: str
    module: FeatureNetwork
    weights: BackboneWeights

    @classmethod
    def with_weights(cls, name: str, weights: BackboneWeights, *, mirror: bool = False) -> "Backbone":
        """The network of a name with these weights, which have its names and shapes.

        Args:
            name: A name in `BACKBONES`.
            weights: As `find_weights` gives them.
            mirror: Whether features are averaged over a picture and its mirror image.

        Returns:
            The network.

        Raises:
            MissingExtraError: timm is not installed.
        """
        network = empty_network(name)
        network.load_state_dict(dict(weights.tensors), assign=True)
        network.requires_grad_(requires_grad=False).to(memory_format=torch.channels_last)
        return cls(name, FeatureNetwork(network, mirror=mirror).eval(), weights)

    @property
    def spec(self) -> BackboneSpec:
        """What it takes and gives."""
        return BACKBONES[self.name]

    def features(self, prepared: Float[Tensor, "N 3 H W"]) -> Float[Tensor, "N D"]:
        """Features of prepared pictures, some pictures at a time.

        Args:
            prepared: Normalised as the network takes them.

        Returns:
            D features a picture, on their device.
        """
        self.module.to(prepared.device)
        starts = range(0, max(len(prepared), 1), PICTURES_AT_ONCE)
        blocks = [prepared[start : start + PICTURES_AT_ONCE] for start in starts]
        return torch.cat([self.module(block.contiguous(memory_format=torch.channels_last)) for block in blocks])
