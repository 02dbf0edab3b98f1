"""The architecture of a pretrained network, built by timm from a name of the closed list."""

import torch
from torch import nn

from polylogit.data.pictures.pretrained.catalogue import BACKBONES
from polylogit.system.optional import import_extra

__all__ = ["empty_network"]


def empty_network(name: str) -> nn.Module:
    """The network of a name without its last layer, and without memory for its weights.

    Args:
        name: A name in `BACKBONES`.

    Returns:
        The network on the meta device, in evaluation mode.

    Raises:
        MissingExtraError: timm is not installed.
    """
    timm = import_extra("timm")
    with torch.device("meta"):
        network: nn.Module = timm.create_model(BACKBONES[name].architecture, pretrained=False, num_classes=0)
    return network.eval()
