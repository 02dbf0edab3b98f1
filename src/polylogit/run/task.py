"""A classification task: the rows and the recipe of a training run, encoded and split, before anything is fitted.

See also: `polylogit.run.table_task` and `polylogit.run.picture_task`, which make one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.pictures.stored import StoredPictures
from polylogit.data.split import Split
from polylogit.data.tables.audit import Audit
from polylogit.data.tables.encoder import TableEncoder
from polylogit.data.tables.stored_frame import stored_rows
from polylogit.run.labelled_rows import LabelledRows
from polylogit.system.sparse_rows import SparseRows

__all__ = ["Task"]


def _in_one_file(row: int) -> tuple[str | None, int]:
    return None, row


@dataclass(frozen=True)
class Task:
    """Rows with a class each, encoded and split.

    Args:
        name: What messages and results call the data.
        target: Where the classes come from.
        fingerprint: SHA-256 of the data's files; differs where the data differ.
        encoder: From raw rows to inputs, fitted on the training rows.
        rows: All rows, encoded; their class is -1 where they have weight 0 or a class that the recipe leaves out.
        class_names: The classes in the order of their indices.
        split: Training rows and test rows; rows that are left out are in neither.
        cells: The feature columns as read, before they were encoded; None for pictures.
        audit: What was found in the table or the picture files; None for a data set with a name.
        validation: The data's own validation rows, which are among the training rows; None where a recipe draws them.
        notes: What was left aside while the data were read, and what happens to copies of rows, in sentences.
        conformal_rows: Rows that serve only for prediction sets, neither trained nor tested on; None where a recipe
            asks for none.
        rows_before_test: Rows of the table before those of a second file, whose rows are numbered from 1 again.
        pictures: The pictures themselves, where the rows are their features.
        digests: SHA-256 of the content of each picture file; empty where there are none.
        has_own_split: Whether the data come with test rows, as pictures in train and test folders do.
        locate: From a row's number in the data to its file, where there are several, and its number there; both
            numbers count from 1. A picture has its file and its number in the data.
        stored: Whether cells and features are kept in mapped files and not in memory.
    """

    name: str
    target: str
    fingerprint: str
    encoder: TableEncoder | PictureEncoder
    rows: LabelledRows
    class_names: tuple[str, ...]
    split: Split
    cells: pl.DataFrame | None = None
    audit: Audit | None = None
    validation: Int[Tensor, " V"] | None = None
    notes: tuple[str, ...] = ()
    conformal_rows: Int[Tensor, " C"] | None = None
    rows_before_test: int = 0
    pictures: UInt8[Tensor, "N C H W"] | StoredPictures | None = None
    digests: tuple[str, ...] = ()
    has_own_split: bool = False
    locate: Callable[[int], tuple[str | None, int]] = _in_one_file
    stored: bool = False

    def weights_of(self, index: Int[Tensor, " M"]) -> Float[Tensor, " M"] | None:
        """The weights of some rows; None where all weigh the same."""
        return None if self.rows.weights is None else self.rows.weights[index]

    def raw(self, index: Int[Tensor, " M"]) -> pl.DataFrame | UInt8[Tensor, "M C H W"] | StoredPictures:
        """Some rows as they came: the cells of a table, or the pixels of pictures."""
        if self.cells is not None:
            return stored_rows(self.cells, index.numpy()) if self.stored else self.cells[index.numpy()]
        if self.pictures is not None:
            return self.pictures[index]
        if isinstance(self.rows.inputs, SparseRows):
            raise TypeError("expected the cells of a table beside its sparse rows")
        return self.rows.inputs[index]
