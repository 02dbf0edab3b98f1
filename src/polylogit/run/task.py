"""A classification task: the rows and recipe of a training run, encoded and split, before anything is fitted.

See also: `polylogit.run.table_task` and `polylogit.run.picture_task`, which make one.
"""

from dataclasses import dataclass

import polars as pl
from jaxtyping import Float, Int, Num
from torch import Tensor

from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.pictures.stored import StoredPictures
from polylogit.data.split import Split
from polylogit.data.tables.audit import Audit
from polylogit.data.tables.encoder import TableEncoder

__all__ = ["Task"]


@dataclass(frozen=True)
class Task:
    """Rows with a class each, encoded and split.

    Args:
        name: What messages and results call the data.
        target: Where the classes come from.
        fingerprint: Tells whether other data are the same.
        encoder: From raw rows to inputs, fitted on the training rows.
        inputs: Features of a table, or pixels of pictures, which may stay in their files.
        targets: Class indices; -1 for rows of weight 0 and of classes that the recipe leaves out.
        class_names: The classes in the order of their indices.
        split: Training rows and test rows; rows that are left out stand in neither.
        table: The feature columns before they were encoded; None for pictures.
        audit: What was found in the table; None for pictures.
        groups: The group of each row, where the recipe holds whole groups out.
        weights: How much each row counts, where the recipe names a column of weights.
        rows_before_test: Rows of the table before those of a second file, whose rows are numbered anew.
    """

    name: str
    target: str
    fingerprint: str
    encoder: TableEncoder | PictureEncoder
    inputs: Num[Tensor, "N ..."] | StoredPictures
    targets: Int[Tensor, " N"]
    class_names: tuple[str, ...]
    split: Split
    table: pl.DataFrame | None = None
    audit: Audit | None = None
    groups: Int[Tensor, " N"] | None = None
    weights: Float[Tensor, " N"] | None = None
    rows_before_test: int = 0

    def weights_of(self, rows: Int[Tensor, " A"]) -> Float[Tensor, " A"] | None:
        """The weights of some rows; None where rows carry none."""
        return None if self.weights is None else self.weights[rows]
