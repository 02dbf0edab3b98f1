"""Means and scales of the scaled features, learned from the training rows.

See also: `feature_values.py`, which applies them.
"""

from collections.abc import Iterable, Sequence

import numpy as np
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
        numbers: The scaled features of the training rows.
        standardise: Whether numbers and booleans get mean 0 and deviation 1, or stay as they are; then the feature of a
            bin is 0 where the number is 0. Dates are always standardised.

    Returns:
        Means and scales, float64.
    """
    owners = [column for column in columns for _ in column.scaled_names]
    found = []
    for column, feature in zip(owners, numbers, strict=True):
        kept_raw = not standardise and column.type != "date"
        if feature.bin is not None:
            mean, deviation = _mean_and_spread(feature)
            if kept_raw:
                mean = float(ramp(np.zeros(1), *feature.bin)[0])
            found.append((mean, max(deviation, LEAST_RAMP_DEVIATION) / RAMP_DEVIATION))
        else:
            found.append((0.0, 1.0) if kept_raw else _mean_and_spread(feature))
    means, scales = ([each[place] for each in found] for place in (0, 1))
    return torch.tensor(means, dtype=torch.float64), torch.tensor(scales, dtype=torch.float64)


def _mean_and_spread(feature: ScaledNumbers) -> tuple[float, float]:
    values = feature.values
    values = values[~np.isnan(values)]
    if not len(values):
        return 0.0, 1.0
    mean, spread = float(values.mean()), float(values.std())
    # A constant column may show a spread of rounding errors only; dividing by it would blow the errors up.
    return mean, spread if spread > 1e-12 * abs(mean) else 1.0
