"""The closed list of the pretrained networks that can extract features, and what each takes.

A model file may name these and no others, so that it stays data: the architecture is built by timm from the name. See
also: `weights.py`, where weights come from. Imports no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["BACKBONES", "LARGEST_SIDE", "SMALLEST_SIDE", "BackboneSpec"]

SMALLEST_SIDE = 32
"""Convolutional backbones halve the sides five times."""

LARGEST_SIDE = 1024
"""A larger side is refused: a hostile model file may not cost the memory of such a picture."""

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class BackboneSpec:
    """A pretrained network without its last layer.

    Args:
        architecture: Its name in timm.
        features: D, the features that it gives.
        side: Height and width of the pictures that it was trained on, in pixels.
        mean: What is subtracted from the values of red, green and blue, which lie between 0 and 1.
        scale: What the rest is divided by.
        last_layer: The name of the layer that is left out, in the names of timm.
        last_block: What fine-tuning of the last block changes: prefixes of the names of its parameters.
        hub: Its weights on the Hugging Face hub.
        licence: The licence of these weights.
        any_side: Whether it takes pictures of other sizes.
    """

    architecture: str
    features: int
    side: int
    mean: tuple[float, float, float]
    scale: tuple[float, float, float]
    last_layer: str
    last_block: tuple[str, ...]
    hub: str
    licence: str = "Apache-2.0"
    any_side: bool = True


BACKBONES: Mapping[str, BackboneSpec] = {
    "efficientnet_lite0": BackboneSpec(
        "tf_efficientnet_lite0",
        1280,
        224,
        (127 / 255,) * 3,
        (128 / 255,) * 3,
        "classifier",
        ("blocks.6.", "conv_head.", "bn2."),
        "timm/tf_efficientnet_lite0.in1k",
    ),
    "mobilenetv3_small_100": BackboneSpec(
        "mobilenetv3_small_100",
        1024,
        224,
        *_IMAGENET,
        "classifier",
        ("blocks.5.", "conv_head."),
        "timm/mobilenetv3_small_100.lamb_in1k",
    ),
    "resnet18": BackboneSpec("resnet18", 512, 224, *_IMAGENET, "fc", ("layer4.",), "timm/resnet18.a1_in1k"),
    "resnet50": BackboneSpec("resnet50", 2048, 224, *_IMAGENET, "fc", ("layer4.",), "timm/resnet50.a1_in1k"),
    "convnext_tiny": BackboneSpec(
        "convnext_tiny",
        768,
        224,
        *_IMAGENET,
        "head.fc",
        ("stages.3.", "head.norm."),
        "timm/convnext_tiny.in12k_ft_in1k",
    ),
    "vit_small_patch14_dinov2": BackboneSpec(
        "vit_small_patch14_dinov2",
        384,
        518,
        *_IMAGENET,
        "head",
        ("blocks.11.", "norm."),
        "timm/vit_small_patch14_dinov2.lvd142m",
        any_side=False,
    ),
}
"""The networks by the name that a recipe and a model file have for them."""
