"""The hold-out split: which rows are trained on and which are kept unseen.

Owns the draw alone: row numbers in, row numbers out, the same for the same seed on every machine.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Int
from torch import Tensor

from polylogit.errors import DataError

__all__ = ["Split", "stratified_split"]

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Row numbers of the training part and of the test part, each in rising order."""

    train: Int[Tensor, " A"]
    test: Int[Tensor, " B"]


def stratified_split(targets: Int[Tensor, " N"], test_fraction: float, seed: int) -> Split:
    """Hold out a fraction of every class.

    The test part has round(test_fraction * N) rows. Each class gives its share of them, rounded by largest remainder,
    but keeps at least one row for training, for which the others make up. Which rows of a class are held out is
    drawn at random.

    Args:
        targets: Class indices.
        test_fraction: The share of rows to hold out, between 0 and 1.
        seed: Of the draw.

    Returns:
        The two parts. A class with one row stands in the training part only.

    Raises:
        DataError: The rows are too few for one held-out row.

    Example:
        >>> split = stratified_split(torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]), 0.25, seed=0)
        >>> len(split.train), len(split.test)
        (6, 2)
        >>> targets = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
        >>> targets[split.test].tolist()
        [0, 1]
    """
    classes, counts = torch.unique(targets, return_counts=True)
    wanted = round(test_fraction * targets.numel())
    shares = _apportion(wanted, counts.numpy(), most=counts.numpy() - 1)
    if not shares.sum():
        raise DataError(
            f"{targets.numel()} rows in {len(classes)} classes are too few to hold any out with "
            f"test_fraction = {test_fraction}. Give more rows, or a larger --set data.test_fraction."
        )
    draw = np.random.Generator(np.random.PCG64(seed))
    held_out = []
    for index, share in zip(classes.tolist(), shares.tolist(), strict=True):
        rows = np.flatnonzero(targets.numpy() == index)
        held_out.append(draw.permutation(rows)[:share])
    test = np.sort(np.concatenate(held_out))
    train = np.setdiff1d(np.arange(targets.numel()), test)
    return Split(train=torch.from_numpy(train), test=torch.from_numpy(test))


def _apportion(seats: int, counts: Rows, most: Rows) -> Rows:
    """Share out `seats` in proportion to `counts` by largest remainder (Hamilton), at most `most` to each."""
    exact = seats * counts / counts.sum()
    shares: Rows = np.minimum(np.floor(exact).astype(np.int64), most)
    for _ in range(min(seats, int(most.sum())) - int(shares.sum())):
        owed = np.where(shares < most, exact - shares, -np.inf)
        shares[int(np.argmax(owed))] += 1
    return shares
