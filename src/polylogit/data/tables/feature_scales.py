"""Means and scales of the scaled features, learned from the training rows.

See also: `feature_values.py`, which applies them.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.data.tables.bins import ramp
from polylogit.data.tables.encoded_column import Column
from polylogit.data.tables.feature_values import ScaledNumbers

__all__ = ["LEAST_RAMP_DEVIATION", "RAMP_DEVIATION", "fitted_scales"]

RAMP_DEVIATION = 0.3
"""The standard deviation that the feature of a bin gets: the smaller, the smoother the fitted curves."""

LEAST_RAMP_DEVIATION = 0.1
"""A feature that varies less, because few rows are in the bin or beyond it, is scaled as if it varied so much."""


def fitted_scales(
    columns: Sequence[Column], numbers: Iterable[ScaledNumbers], *, standardise: bool
) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"]]:
    """The mean and the scale of each scaled feature.

    A number has its mean and its standard deviation, or 1 where it is constant. The feature of a bin has its mean, and
    a scale with which its deviation is `RAMP_DEVIATION`; see benchmarks/additive.py for others.

    Args:
        columns: The columns in the order of their features.
        numbers: The scaled features of the training rows, in blocks.
        standardise: Whether numbers and booleans get mean 0 and deviation 1, or stay as they are; then the feature of a
            bin is 0 where the number is 0. Dates are always standardised.

    Returns:
        Means and scales, float64.
    """
    owners = [column for column in columns for _ in range(column.scaled)]
    means, scales = np.zeros(len(owners)), np.ones(len(owners))
    first = 0
    for block in numbers:
        here = slice(first, first + block.numbers.shape[1])
        first = here.stop
        kept_raw = not standardise and owners[here.start].type != "date"
        if block.bin is None:
            if not kept_raw:
                means[here], scales[here] = _means_and_spreads(block.values)
            continue
        means[here], deviation = _means_and_spreads(block.values)
        if kept_raw:
            means[here] = ramp(np.zeros(1), *block.bin)
        scales[here] = deviation.clip(LEAST_RAMP_DEVIATION) / RAMP_DEVIATION
    return torch.from_numpy(means), torch.from_numpy(scales)


def _means_and_spreads(
    values: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Of each column, without its missing values; 0 and 1 where all are missing, and a spread of 1 of a constant."""
    means, spreads = values.mean(axis=0), values.std(axis=0)
    for column in np.flatnonzero(np.isnan(means)):
        there = values[~np.isnan(values[:, column]), column]
        means[column], spreads[column] = (there.mean(), there.std()) if len(there) else (0.0, 1.0)
    # A constant column may show a spread of rounding errors only; dividing by it would blow the errors up.
    return means, np.where(spreads > 1e-12 * np.abs(means), spreads, 1.0)
