"""The rows of a fit: how they lie on the device, which of them make a batch, and whether they fit together.

Owns the way from rows to the batches that the network is trained on. What is done with a batch is the loop's business.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from polylogit.data.pictures.stored import StoredPictures
from polylogit.errors import DataError, RecipeError
from polylogit.fitting.forward import prepare_batch
from polylogit.fitting.options import TrainingOptions

__all__ = ["TrainingRows", "batch_bounds", "check_shapes", "check_targets"]


@dataclass(frozen=True)
class TrainingRows:
    """Rows on the device, and how they become what the network sees.

    Args:
        inputs: Rows of any dtype, as they are; or pictures that stay in their files.
        targets: Their class indices.
        class_weight: Weight of each class; None: 1.
        sample_weight: Weight of each row; None: 1.
        prepare: From a batch of inputs to what the network takes.
        augment: Changes a batch of inputs at random before it is prepared.
    """

    inputs: Num[Tensor, "N ..."] | StoredPictures
    targets: Int[Tensor, " N"]
    class_weight: Float[Tensor, " K"] | None
    sample_weight: Float[Tensor, " rows"] | None
    prepare: Callable[[Tensor], Tensor] | None
    augment: Callable[[Tensor], Tensor] | None

    def on(self, device: torch.device) -> "TrainingRows":
        """The same rows on a device."""
        return replace(
            self,
            inputs=self.inputs if isinstance(self.inputs, StoredPictures) else self.inputs.to(device),
            targets=self.targets.to(device),
            class_weight=None if self.class_weight is None else self.class_weight.to(device),
            sample_weight=None if self.sample_weight is None else self.sample_weight.to(device),
        )

    def batches(self, chosen: Sequence[Int[Tensor, " _"] | slice]) -> Iterator[Num[Tensor, "_ ..."]]:
        """The inputs of one choice of rows after another, on the device, as they are."""
        if isinstance(self.inputs, StoredPictures):
            for batch in self.inputs.batches([rows if isinstance(rows, slice) else rows.cpu() for rows in chosen]):
                yield batch.to(self.targets.device)
            return
        for rows in chosen:
            # Copying whole rows is many times faster than indexing, which looks at every value's place.
            yield self.inputs[rows] if isinstance(rows, slice) else torch.index_select(self.inputs, 0, rows)

    def targets_of(self, chosen: Int[Tensor, " M"] | slice) -> Int[Tensor, " M"]:
        """The targets of a choice of rows."""
        return self.targets[chosen] if isinstance(chosen, slice) else torch.index_select(self.targets, 0, chosen)

    def prepare_batch(self, inputs: Num[Tensor, "M ..."]) -> Num[Tensor, "M ..."]:
        """What the network sees of a batch: augmented and prepared."""
        return prepare_batch(inputs if self.augment is None else self.augment(inputs), self.prepare)


def batch_bounds(count: int, batch_size: int | Literal["all"]) -> list[tuple[int, int]]:
    """First and last row of each batch.

    A last batch of one row joins the one before it, as no normalisation over a batch can be had from one row.

    Args:
        count: N.
        batch_size: Rows in a batch, or "all".

    Returns:
        A pair (first, last + 1) for each batch.

    Example:
        >>> batch_bounds(7, 3), batch_bounds(8, 3)
        ([(0, 3), (3, 7)], [(0, 3), (3, 6), (6, 8)])
    """
    size = count if batch_size == "all" else batch_size
    bounds = [(first, min(first + size, count)) for first in range(0, count, size)]
    if len(bounds) > 1 and bounds[-1][1] - bounds[-1][0] == 1 and size > 1:
        bounds[-2:] = [(bounds[-2][0], count)]
    return bounds


def check_shapes(rows: TrainingRows, options: TrainingOptions, *, validated: bool) -> None:
    """Refuse rows that do not fit together, or not with the options.

    Args:
        rows: The rows.
        options: How to fit.
        validated: Whether there are validation rows.

    Raises:
        DataError: The counts differ, or no row has a weight.
        RecipeError: A batch is larger than the data, or early stopping has nothing to go by.
    """
    count = len(rows.inputs)
    if not count or len(rows.targets) != count:
        raise DataError(f"expected rows and as many targets, got {count} rows and {len(rows.targets)} targets.")
    if rows.sample_weight is not None:
        if len(rows.sample_weight) != count:
            raise DataError(f"expected a sample weight for each of {count} rows, got {len(rows.sample_weight)}.")
        if not float(rows.sample_weight.sum()) > 0:
            raise DataError("the sample weights sum to 0: nothing is left to fit. Give some row a weight.")
    if options.batch_size != "all" and options.batch_size > count:
        raise RecipeError(
            f"training.batch_size: {options.batch_size} rows in a batch, but there are {count} to train on. "
            'Take "all", or fewer.'
        )
    if options.patience is not None and not validated:
        raise RecipeError("training.patience: early stopping needs validation rows, and there are none.")


def check_targets(name: str, targets: Int[Tensor, " N"], classes: int) -> None:
    """Refuse targets outside the classes.

    Args:
        name: What messages call a row.
        targets: Class indices, or what should be.
        classes: K.

    Raises:
        DataError: A target lies outside 0..K-1; the first is named.
    """
    outside = ((targets < 0) | (targets >= classes)).nonzero()
    if len(outside):
        row = int(outside[0])
        raise DataError(
            f"{name} {row + 1}: the target {int(targets[row])} lies outside the network's classes, 0..{classes - 1}. "
            "Count classes from 0, or give the network more of them."
        )
