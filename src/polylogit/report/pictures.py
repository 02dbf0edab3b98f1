"""Tensors as PNG pictures inside a page."""

import base64
import io

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from polylogit.evaluation import Evaluation
from polylogit.report.palette import rgb

__all__ = ["coefficient_png", "confusion_pixels", "confusion_png", "picture_bytes", "picture_png"]


def picture_png(picture: UInt8[Tensor, "C H W"]) -> str:
    """A picture as a data URI.

    Example:
        >>> import torch
        >>> picture_png(torch.zeros(1, 2, 2, dtype=torch.uint8))[:22]
        'data:image/png;base64,'
    """
    return _png(picture_bytes(picture))


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
