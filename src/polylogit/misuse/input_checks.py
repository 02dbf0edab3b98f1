"""The finding about inputs that are not scaled.

See also: `diagnosis.py`, which calls the checks.
"""

import math
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from polylogit.misuse.findings import MisuseFinding

__all__ = ["unscaled_inputs"]


def unscaled_inputs(inputs: Any, value: float, classes: int) -> Iterator[MisuseFinding]:  # noqa: ANN401
    """The finding for bytes of pictures or columns of very different size, where the first loss shows their size.

    A model that normalises its inputs has a first loss near log K, whatever the inputs are.

    Args:
        inputs: A tensor, or a tuple or mapping of the model's arguments.
        value: The loss of the batch.
        classes: K.
    """
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point() or inputs.numel() < 20:
        return
    if math.isnan(value) or classes < 2 or value < 2 * math.log(classes):
        return
    numbers = inputs.detach().float()
    largest = float(numbers.abs().max())
    whole = float(numbers.min()) >= 0 and bool((numbers == numbers.round()).all())
    bytes_of_pictures = inputs.dim() > 1 and whole and 100 < largest <= 255
    seen = f"all {numbers.numel()} inputs are whole numbers from {float(numbers.min()):g} to {largest:g}"
    fix = "Divide by 255 and subtract the mean of the training set."
    if not bytes_of_pictures:
        if inputs.dim() != 2 or inputs.shape[1] < 2 or len(inputs) < 8:
            return
        spreads = numbers.std(0)
        spreads = spreads[spreads > 0]
        if largest < 1000 or not len(spreads) or float(spreads.max()) < 100 * float(spreads.min()):
            return
        seen = f"columns have standard deviations from {float(spreads.min()):.3g} to {float(spreads.max()):.3g}"
        fix = "Standardise each column: subtract its mean and divide by its standard deviation, of the training set."
    yield MisuseFinding(
        "unscaled-inputs",
        f"{seen}; the first loss is {value:.4g}, where guessing costs {math.log(classes):.4g}",
        "the usual initial weights and learning rates are made for inputs of about unit size",
        "large first steps kill units or diverge, and columns of small numbers are not used",
        fix,
        0.7,
    )
