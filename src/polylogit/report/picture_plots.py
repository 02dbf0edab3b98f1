"""Confusion matrices and pictures as matplotlib axes.

Each function returns the axes drawn into. The report shows the same as tables and as pictures of its own: see
`page.py` and `pictures.py`.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from torch import Tensor

from polylogit.data.pictures.encoder import pictures_from_array
from polylogit.errors import DataError
from polylogit.evaluation import Evaluation
from polylogit.plural import in_full
from polylogit.report.palette import COLOURS, PAPER
from polylogit.report.pictures import confusion_pixels, picture_bytes
from polylogit.report.style import figure_style

__all__ = ["plot_confusion", "plot_pictures"]

MOST_CELLS_WITH_COUNTS = 20
MOST_NAMES = 40


def plot_confusion(evaluation: Evaluation, *, ax: Axes | None = None) -> Axes:
    """Confusion matrix: rows are the true classes, columns the predicted ones.

    Right answers are blue, mistakes orange; the deeper, the larger their share of the row's class. Up to 20 classes
    the cells carry their counts, up to 40 the axes carry the class names.

    Args:
        evaluation: From `evaluate_logits`.
        ax: Where to draw; new axes where None.

    Returns:
        The axes drawn into.

    Example:
        >>> import torch
        >>> from polylogit.evaluation import evaluate_logits
        >>> evaluation = evaluate_logits(torch.eye(2), torch.tensor([0, 1]), ["cat", "dog"])
        >>> plot_confusion(evaluation).get_xlabel()
        'predicted class'
    """
    counts = np.asarray(evaluation.confusion, dtype=np.float64)
    classes = len(counts)
    picture = confusion_pixels(evaluation)
    with figure_style():
        ax = ax or plt.subplots(figsize=(4.6, 4.6), layout="constrained")[1]
        ax.imshow(picture, interpolation="none")
        ax.grid(visible=False)
        ax.set(xlabel="predicted class", ylabel="true class")
        ax.spines[:].set_visible(False)
        if classes <= MOST_NAMES:
            size = 8.5 if classes <= MOST_CELLS_WITH_COUNTS else 5.5
            ax.set_xticks(range(classes), evaluation.class_names, rotation=90, fontsize=size)
            ax.set_yticks(range(classes), evaluation.class_names, fontsize=size)
        if classes <= MOST_CELLS_WITH_COUNTS:
            for true, predicted in np.argwhere(counts > 0):
                colour = PAPER if picture[true, predicted, 3] > 0.6 * 255 else COLOURS["ink"]
                count = in_full(round(float(counts[true, predicted]), 1))
                ax.text(predicted, true, count, ha="center", va="center", fontsize=8, color=colour)
    return ax


def plot_pictures(
    pictures: npt.NDArray[np.generic] | Tensor, titles: Sequence[str] | None = None, *, columns: int = 6
) -> npt.NDArray[np.object_]:
    """A grid of pictures, each with a title.

    Args:
        pictures: uint8 of shape (N, H, W), (N, C, H, W) or (N, H, W, C), where C is 1 (grey) or 3 (colour).
        titles: One for each picture, say the true and the predicted class; none where None.
        columns: Pictures in a row of the grid.

    Returns:
        The axes, one for each picture.

    Raises:
        DataError: Another dtype or shape came, or not one title for each picture.

    Example:
        >>> import torch
        >>> plot_pictures(torch.zeros(3, 1, 8, 8, dtype=torch.uint8), ["a", "b", "c"]).shape
        (3,)
    """
    pixels = pictures_from_array(pictures)
    if titles is not None and len(titles) != len(pixels):
        raise DataError(f"titles: expected one for each of {len(pixels)} pictures, got {len(titles)}.")
    columns = min(columns, len(pixels))
    rows = -(-len(pixels) // columns)
    with figure_style():
        _, grid = plt.subplots(rows, columns, figsize=(1.5 * columns, 1.8 * rows), squeeze=False, layout="constrained")
        for place, ax in enumerate(grid.flat):
            ax.set_axis_off()
            if place < len(pixels):
                ax.imshow(picture_bytes(pixels[place]), cmap="gray", vmin=0, vmax=255)
                if titles is not None:
                    ax.set_title(titles[place], fontsize=9)
    axes: npt.NDArray[np.object_] = grid.flat[: len(pixels)]
    return axes
