"""Rows with a class each, and what goes with every row: its weight and its group."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from polylogit.data.pictures.stored import StoredPictures
from polylogit.data.tables.feature_matrix import taken_rows
from polylogit.system.sparse_rows import SparseRows

__all__ = ["LabelledRows"]


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """Encoded rows with their classes.

    Args:
        inputs: Features of a table, sparse or not, or pixels of pictures, which may stay in their files.
        targets: Class indices; -1 for rows of weight 0 and of classes that the recipe leaves out.
        weights: Weight of each row; None: all weigh the same.
        groups: Group of each row, where whole groups are held out together; else None.

    Example:
        >>> rows = LabelledRows(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([0, 1, 0]))
        >>> some = rows.take(torch.tensor([2, 1]))
        >>> some.inputs.flatten().tolist(), some.targets.tolist(), some.weights
        ([3.0, 2.0], [0, 1], None)
    """

    inputs: Num[Tensor, "N ..."] | StoredPictures | SparseRows
    targets: Int[Tensor, " N"]
    weights: Float[Tensor, " N"] | None = None
    groups: Int[Tensor, " N"] | None = None

    def __len__(self) -> int:
        """N."""
        return len(self.targets)

    @property
    def features(self) -> Num[Tensor, "N ..."] | SparseRows:
        """The inputs, which must be in memory.

        Raises:
            TypeError: They are pictures that stay in their files.
        """
        if isinstance(self.inputs, StoredPictures):
            raise TypeError("expected rows in memory, got pictures that stay in their files")
        return self.inputs

    @property
    def known(self) -> Int[Tensor, " M"]:
        """Row numbers, from 0, of the rows that have a class and a weight."""
        return torch.nonzero(self.targets >= 0).flatten()

    def take(self, index: Int[Tensor, " M"]) -> "LabelledRows":
        """The rows with these numbers, counted from 0, in this order; all that goes with a row stays with it."""
        inputs = self.inputs
        return LabelledRows(
            inputs=inputs[index] if isinstance(inputs, StoredPictures) else taken_rows(inputs, index),
            targets=self.targets[index],
            weights=None if self.weights is None else self.weights[index],
            groups=None if self.groups is None else self.groups[index],
        )
