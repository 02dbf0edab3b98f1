"""Tensors as pictures inside a page, each of a bounded size."""

import base64
import io

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from polylogit.evaluation import Evaluation
from polylogit.report.palette import rgb

__all__ = ["coefficient_png", "confusion_pixels", "confusion_png", "occlusion_uri", "picture_bytes", "picture_uri"]

MOST_SIDE = 112
"""Larger pictures are scaled down, so that one takes a few kilobytes: they are shown about as large."""

MOST_SIDE_OF_PNG = 64
OVERLAY = 0.75


def picture_uri(picture: UInt8[Tensor, "C H W"]) -> str:
    """A picture as a data URI: as it is up to 64 pixels, else as JPEG of at most 112 pixels a side.

    Example:
        >>> import torch
        >>> picture_uri(torch.zeros(1, 2, 2, dtype=torch.uint8))[:22]
        'data:image/png;base64,'
        >>> picture_uri(torch.zeros(3, 300, 200, dtype=torch.uint8))[:23]
        'data:image/jpeg;base64,'
    """
    return _uri(Image.fromarray(picture_bytes(picture)))


def occlusion_uri(picture: UInt8[Tensor, "C H W"], fall: Float[Tensor, "h w"]) -> str:
    """A picture in grey under its occlusion map, as a data URI.

    Args:
        picture: The picture.
        fall: How much the predicted class loses when the place is covered: orange; blue where it wins. The largest
            value has full colour.

    Returns:
        A data URI.
    """
    grey = Image.fromarray(picture_bytes(picture)).convert("L").convert("RGB")
    values = fall.double().numpy()
    values = values / max(float(np.abs(values).max()), 1e-9)
    smooth = np.asarray(Image.fromarray(values.astype(np.float32)).resize(grey.size, Image.Resampling.BILINEAR))
    tint = np.where(smooth[..., None] > 0, rgb("warm"), rgb("accent"))
    share = OVERLAY * np.abs(smooth)[..., None]
    return _uri(Image.fromarray((np.asarray(grey) * (1 - share) + tint * share).round().astype(np.uint8)))


def _uri(image: Image.Image) -> str:
    if max(image.size) <= MOST_SIDE_OF_PNG:
        return _png(np.asarray(image))
    image.thumbnail((MOST_SIDE, MOST_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def coefficient_png(weights: Float[Tensor, "C H W"], largest: float) -> str:
    """One class's weights as a picture: blue speaks for the class, orange against it, clear says nothing.

    Args:
        weights: One weight a pixel and channel; channels are averaged.
        largest: The weight that is drawn with full colour.

    Returns:
        A data URI; the ground is transparent, so that it stands on light and on dark.
    """
    mean = weights.double().mean(dim=0).numpy() / largest
    return _png(_blue_or_orange(mean >= 0, np.abs(mean)))


def confusion_png(evaluation: Evaluation) -> str:
    """The confusion matrix as a picture of one pixel a cell, as a data URI."""
    return _png(confusion_pixels(evaluation))


def confusion_pixels(evaluation: Evaluation) -> npt.NDArray[np.uint8]:
    """Right answers blue, mistakes orange, the deeper the larger their share of the class: red, green, blue, alpha.

    Example:
        >>> import torch
        >>> from polylogit.evaluation import evaluate_logits
        >>> confusion_pixels(evaluate_logits(torch.eye(2), torch.tensor([0, 0]), ["cat", "dog"])).tolist()[0]
        [[42, 111, 176, 180], [200, 89, 29, 180]]
    """
    counts = np.asarray(evaluation.confusion, dtype=np.float64)
    support = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, support, out=np.zeros_like(counts), where=support > 0)
    # by the root of the share, so that a mistake in 1 % of the rows is still seen
    return _blue_or_orange(np.eye(len(counts), dtype=bool), np.sqrt(shares))


def picture_bytes(picture: UInt8[Tensor, "C H W"]) -> npt.NDArray[np.uint8]:
    """A picture as an array, rows by columns, with a last axis where it has colours."""
    pixels: npt.NDArray[np.uint8] = picture.permute(1, 2, 0).numpy()
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels


def _blue_or_orange(blue: npt.NDArray[np.bool_], opacity: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    colours = np.where(blue[..., None], rgb("accent"), rgb("warm"))
    alpha = np.clip(opacity, 0, 1)[..., None] * 255
    return np.concatenate([colours, alpha.round()], axis=-1).astype(np.uint8)


def _png(pixels: npt.NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
