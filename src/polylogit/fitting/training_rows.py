"""The rows of a fit on their device, their batches, and the checks of inputs, targets and weights.

See also: `loop.py`, which trains on the batches.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int, Num, Shaped
from torch import Tensor

from polylogit.classes import check_class_indices
from polylogit.data.pictures.augmentation import Augmentation
from polylogit.data.pictures.stored import StoredPictures
from polylogit.errors import DataError, RecipeError, ScoreError
from polylogit.fitting.forward import prepare_batch
from polylogit.fitting.options import TrainingOptions
from polylogit.losses.target_checks import check_rows
from polylogit.losses.targets import resolve_targets
from polylogit.plural import counted
from polylogit.system.sparse_rows import SparseRows

__all__ = [
    "TrainingRows",
    "batch_bounds",
    "check_shapes",
    "check_targets",
    "check_weights",
    "explain_nonfinite_inputs",
    "selected",
]


@dataclass(frozen=True)
class TrainingRows:
    """Rows on the device, and the steps from them to the network's inputs.

    Args:
        inputs: Rows of any dtype, as they are; or pictures that stay in their files.
        targets: Their class indices (N,), or soft rows (N, K).
        class_weight: Weight of each class; None: 1.
        sample_weight: Weight of each row; None: 1.
        prepare: From a batch of inputs to what the network takes.
        augment: Changes a batch of inputs at random before it is prepared.
    """

    inputs: Num[Tensor, "N ..."] | StoredPictures | SparseRows
    targets: Shaped[Tensor, "N ..."]
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

    def batches(self, chosen: Sequence[Int[Tensor, " _"] | slice]) -> Iterator[Num[Tensor, "_ ..."] | SparseRows]:
        """The unprepared inputs of each selection of rows in turn, on the device."""
        if isinstance(self.inputs, StoredPictures):
            for batch in self.inputs.batches([rows if isinstance(rows, slice) else rows.cpu() for rows in chosen]):
                yield batch.to(self.targets.device)
            return
        for rows in chosen:
            # Copying whole rows is many times faster than indexing, which looks at every value's place.
            yield self.inputs[rows] if isinstance(rows, slice) else self.inputs.index_select(0, rows)

    def targets_of(self, chosen: Int[Tensor, " M"] | slice) -> Shaped[Tensor, "M ..."]:
        """The targets of a selection of rows."""
        return self.targets[chosen] if isinstance(chosen, slice) else torch.index_select(self.targets, 0, chosen)

    def prepare_batch(
        self, inputs: Num[Tensor, "M ..."] | SparseRows, places: Int[Tensor, " M"] | None = None, batch: int = 0
    ) -> Num[Tensor, "M ..."] | SparseRows:
        """The network's inputs for a batch or some of its rows: augmented and prepared.

        Args:
            inputs: The rows.
            places: Their places in the batch; None: they are all of it.
            batch: The number of rows in the batch, where they are some of them.
        """
        if isinstance(inputs, SparseRows):
            return inputs
        if self.augment is not None:
            if places is None:
                inputs = self.augment(inputs)
            elif isinstance(self.augment, Augmentation):
                inputs = self.augment.of_part(inputs, places.to(inputs.device), batch)
            else:
                raise TypeError("several processes need an augmentation that knows the batch, as Augmentation does")
        return prepare_batch(inputs, self.prepare)


def selected(rows: Int[Tensor, " N"] | slice, places: Int[Tensor, " M"]) -> Int[Tensor, " M"]:
    """The row numbers at some places of a selection of rows.

    Args:
        rows: The selection; a slice has a start.
        places: Places in it, from 0, on the CPU.

    Example:
        >>> selected(torch.tensor([7, 5, 9]), torch.tensor([2, 0])), selected(slice(4, 8), torch.tensor([1]))
        (tensor([9, 7]), tensor([5]))
    """
    return places + rows.start if isinstance(rows, slice) else rows[places.to(rows.device)]


def batch_bounds(count: int, batch_size: int | Literal["all"]) -> list[tuple[int, int]]:
    """First and last row of each batch.

    A last batch of one row joins the one before it, because batch normalisation needs more than one row.

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
    """Check that rows fit together and with the options.

    Args:
        rows: The rows.
        options: How to fit.
        validated: Whether there are validation rows.

    Raises:
        DataError: The counts differ, or a weight is not valid.
        RecipeError: A batch is larger than the data, or early stopping has no validation rows.
    """
    count = len(rows.inputs)
    if not count or len(rows.targets) != count:
        found = f"{counted(count, 'row')} and {counted(len(rows.targets), 'target')}"
        raise DataError(f"expected rows and as many targets, got {found}.")
    check_weights("sample_weight", rows.sample_weight, count, "row")
    if options.batch_size != "all" and options.batch_size > count:
        raise RecipeError(
            f"training.batch_size: {options.batch_size} rows in a batch, but there are {count} to train on. "
            'Take "all", or fewer.'
        )
    if options.patience is not None and not validated:
        raise RecipeError("training.patience: early stopping needs validation rows, and there are none.")


def check_targets(name: str, targets: Shaped[Tensor, "N ..."], logits_shape: Sequence[int]) -> Shaped[Tensor, "N ..."]:
    """Check the targets of a fit, and bring them to one of two forms.

    Args:
        name: What messages call the targets.
        targets: Class indices (N,) of an integer dtype; or one row over the classes per example, (N, K): one-hot, or
            soft rows of a floating dtype.
        logits_shape: Shape of the network's logits for the first row: (1, K).

    Returns:
        int64 class indices (N,), or floating rows (N, K).

    Raises:
        DataError: The network does not give logits (N, K), the targets have another form, a class index is outside
            0..K-1, or a soft row does not sum to 1. The message counts rows from 0.

    Example:
        >>> check_targets("targets", torch.tensor([0, 2], dtype=torch.uint8), (1, 3))
        tensor([0, 2])
        >>> check_targets("targets", torch.tensor([[0.5, 0.6]]), (1, 2))
        Traceback (most recent call last):
            ...
        polylogit.errors.DataError: targets, row 0: expected probabilities that sum to 1 over the 2 classes, ...
    """
    if len(logits_shape) != 2:
        raise DataError(
            f"the network: expected logits of shape (N, K), one row of scores per example, got shape "
            f"{('N', *logits_shape[1:])}. Targets per pixel or per position cannot be fitted here: give each position "
            "a row of its own, or use the losses of polylogit.losses in a loop of your own."
        )
    classes = logits_shape[1]
    if targets.ndim == 1 and not targets.is_floating_point() and targets.dtype != torch.bool:
        check_class_indices(
            targets, classes, name=name, remedy="Count classes from 0, or give the network more outputs."
        )
        return targets.long()
    if targets.ndim == 1:
        raise DataError(
            f"{name}: expected class indices of an integer dtype, got {str(targets.dtype).removeprefix('torch.')}. "
            f"Convert them with .long() if they are class indices; probabilities need one row of {classes} per example."
        )
    try:
        rows = resolve_targets(targets, (len(targets), classes))
        if rows.is_floating_point():
            check_rows(rows, 1, name=name)
    except ScoreError as fault:
        raise DataError(f"{name}{str(fault).removeprefix(name).removeprefix('targets')}") from fault
    return rows


def check_weights(name: str, weights: Tensor | None, count: int, what: str) -> None:
    """Check that there is one finite weight of 0 or more for each class or row, and that one is positive.

    Args:
        name: What messages call the weights.
        weights: Shape (count,); None: all are 1.
        count: How many there must be.
        what: What a weight belongs to: "class" or "row".

    Raises:
        DataError: The shape differs, a weight is negative, NaN or infinite, or all are 0.
    """
    if weights is None:
        return
    if tuple(weights.shape) != (count,):
        raise DataError(f"{name}: expected one weight per {what}, shape ({count},), got {tuple(weights.shape)}.")
    wrong = (~(weights.isfinite() & (weights >= 0))).nonzero()
    if len(wrong):
        at = int(wrong[0])
        raise DataError(
            f"{name}[{at}]: expected a finite weight of 0 or more, got {float(weights[at]):g}. "
            f"Give 0 to leave a {what} out."
        )
    if not float(weights.sum()) > 0:
        raise DataError(f"{name}: all weights are 0, so there is nothing to fit. Give some {what} a positive weight.")


def explain_nonfinite_inputs(rows: TrainingRows, chosen: Int[Tensor, " M"] | slice) -> str | None:
    """Say which of the chosen rows has an input that is NaN or infinite once it is prepared; None where none has.

    Args:
        rows: The rows of the fit.
        chosen: The rows of one batch.
    """
    inputs = next(rows.batches([chosen]))
    if isinstance(inputs, SparseRows):  # the encoder of tables gives finite numbers
        return None
    inputs = inputs if rows.prepare is None else rows.prepare(inputs)
    if not inputs.is_floating_point():
        return None
    wrong = (~inputs.isfinite()).nonzero()
    if not len(wrong):
        return None
    position = wrong[0].tolist()
    row = (chosen.start or 0) + position[0] if isinstance(chosen, slice) else int(chosen[position[0]])
    prepared = "" if rows.prepare is None else " after preparation"
    return (
        f"inputs{[row, *position[1:]]}: expected finite numbers{prepared}, got {float(inputs[tuple(position)])}. "
        "Impute or drop missing values before the fit."
    )
