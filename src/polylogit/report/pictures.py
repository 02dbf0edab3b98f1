"""Pictures: as matplotlib axes, and as PNG inside a page.

Owns how a picture tensor becomes something to look at. Which pictures are worth it is decided in `mistakes.py`.
"""

import base64
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, UInt8
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from PIL import Image
from torch import Tensor

from polylogit.report.style import ACCENT, WARM, figure_style

__all__ = ["coefficient_png", "picture_png", "plot_pictures"]


def plot_pictures(
    pictures: UInt8[Tensor, "N C H W"], titles: Sequence[str] | None = None, *, columns: int = 6
) -> npt.NDArray[np.object_]:
    """A grid of pictures, each with a title.

    Args:
        pictures: Bytes; one channel is drawn in grey, three in colour.
        titles: One for each picture, say the true and the predicted class; none where None.
        columns: Pictures in a row of the grid.

    Returns:
        The axes, one for each picture.

    Example:
        >>> import torch
        >>> plot_pictures(torch.zeros(3, 1, 8, 8, dtype=torch.uint8), ["a", "b", "c"]).shape
        (3,)
    """
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    with figure_style():
        _, grid = plt.subplots(rows, columns, figsize=(1.5 * columns, 1.8 * rows), squeeze=False, layout="constrained")
        for place, ax in enumerate(grid.flat):
            ax.set_axis_off()
            if place < len(pictures):
                ax.imshow(_bytes(pictures[place]), cmap="gray", vmin=0, vmax=255)
                if titles is not None:
                    ax.set_title(titles[place], fontsize=9)
    axes: npt.NDArray[np.object_] = grid.flat[: len(pictures)]
    return axes


def picture_png(picture: UInt8[Tensor, "C H W"]) -> str:
    """A picture as a data URI.

    Example:
        >>> import torch
        >>> picture_png(torch.zeros(1, 2, 2, dtype=torch.uint8))[:22]
        'data:image/png;base64,'
    """
    return _png(Image.fromarray(_bytes(picture)))


def coefficient_png(weights: Float[Tensor, "C H W"], largest: float) -> str:
    """One class's weights as a picture: blue speaks for the class, orange against it, clear says nothing.

    Args:
        weights: One weight a pixel and channel; channels are averaged.
        largest: The weight that is drawn with full colour.

    Returns:
        A data URI; the ground is transparent, so that it stands on light and on dark.
    """
    mean = weights.double().mean(dim=0).numpy() / largest
    picture = np.where((mean >= 0)[..., None], to_rgb(ACCENT), to_rgb(WARM))
    opacity = np.clip(np.abs(mean), 0, 1)[..., None]
    return _png(Image.fromarray((np.concatenate([picture, opacity], axis=-1) * 255).round().astype(np.uint8)))


def _bytes(picture: UInt8[Tensor, "C H W"]) -> npt.NDArray[np.uint8]:
    pixels: npt.NDArray[np.uint8] = picture.permute(1, 2, 0).numpy()
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels


def _png(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
