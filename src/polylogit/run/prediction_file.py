"""Predictions of a table, written to a file batch by batch, whole or not at all.

Owns the form of a prediction, and that neither the table nor its predictions are ever in memory as a whole. The
classes and probabilities themselves come from `Classifier`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import polars as pl
import torch
from jaxtyping import Float
from polars.io.plugins import register_io_source
from torch import Tensor

from polylogit.classifier import Classifier
from polylogit.data.tables.delimited import Dialect
from polylogit.data.tables.encoder import TableEncoder
from polylogit.data.tables.parts import scan_parts
from polylogit.data.tables.sources import source_paths
from polylogit.data.tables.type_inference import check_columns_exist
from polylogit.data.tables.unseen import UnseenCounts
from polylogit.errors import PolylogitError, RecipeError
from polylogit.system.atomic_file import atomic_write

__all__ = ["PREDICTION_ENDINGS", "WrittenPredictions", "notes_on_table", "prediction_frame", "write_predictions"]

PREDICTION_ENDINGS = (".csv", ".parquet", ".jsonl")


@dataclass(frozen=True)
class WrittenPredictions:
    """What stands in a file of predictions.

    Args:
        rows: N.
        answered: Rows that were given a class.
        notes: What a reader must know of the table that they were made from.
    """

    rows: int
    answered: int
    notes: tuple[str, ...]


def prediction_frame(
    logits: Float[Tensor, "N K"], class_names: Sequence[str], abstain_below: float | None = None
) -> pl.DataFrame:
    """The column `class`, then one column `probability_NAME` per class.

    Args:
        logits: Calibrated logits.
        class_names: The classes in their order.
        abstain_below: Give no class to a row whose top probability is below this.

    Returns:
        One row per row.

    Example:
        >>> prediction_frame(torch.tensor([[0.0, 0.0], [0.0, 9.0]]), ("bird", "fish"), abstain_below=0.9).rows()
        [(None, 0.5, 0.5), ('fish', 0.00012339..., 0.99987...)]
    """
    probabilities = torch.softmax(logits, dim=1)
    top = probabilities.max(dim=1)
    index = pl.Series("class", top.indices.numpy())
    names = pl.Series(list(class_names), dtype=pl.String).gather(index).alias("class").to_frame()
    if abstain_below is not None:
        sure = pl.Series(top.values.numpy()) >= abstain_below
        names = names.select(pl.when(sure).then(pl.col("class")))
    columns = [
        pl.Series(f"probability_{name}", probabilities[:, place].contiguous().numpy())
        for place, name in enumerate(class_names)
    ]
    return names.with_columns(columns)


def write_predictions(
    classifier: Classifier,
    data: str,
    out: Path,
    *,
    dialect: Dialect,
    carry: Sequence[str] = (),
    abstain_below: float | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> WrittenPredictions:
    """Predict every row of a table file, or of a folder of parts, and write the predictions.

    Args:
        classifier: A classifier of tables.
        data: What stands for DATA on the command line.
        out: The file to write: .csv, .parquet or .jsonl.
        dialect: How text tables are written.
        carry: Columns of the table that are written before the prediction.
        abstain_below: Give no class to a row whose top probability is below this.
        on_progress: Called after each batch with the rows written so far.

    Returns:
        What was written.

    Raises:
        DataError: The table is at fault. Nothing is written then.
        RecipeError: A column to carry has the name of a column of the prediction.
        PolylogitError: The file cannot be written.
    """
    clash = sorted(set(carry) & {"class", *(f"probability_{name}" for name in classifier.class_names)})
    if clash:
        raise RecipeError(f"--carry {clash[0]}: the prediction has a column of that name. Rename it in the table.")
    stream = _Stream(
        classifier, data, dialect=dialect, carry=tuple(carry), abstain_below=abstain_below, on_progress=on_progress
    )
    with atomic_write(out) as temporary:
        match out.suffix.lower():
            case ".csv":
                with temporary.open("wb") as file:
                    _write_text(stream, file, lambda frame, first: frame.write_csv(file, include_header=first))
            case ".jsonl":
                with temporary.open("wb") as file:
                    _write_text(stream, file, lambda frame, _: frame.write_ndjson(file))
            case ".parquet":
                _write_parquet(stream, temporary)
            case ending:
                raise PolylogitError(f"{out}: the ending {ending!r} is not known.")
    return WrittenPredictions(stream.rows, stream.answered, stream.notes)


class _Stream:
    """The predictions of a table, batch by batch, and the counts that grow with them."""

    def __init__(
        self,
        classifier: Classifier,
        data: str,
        *,
        dialect: Dialect,
        carry: tuple[str, ...],
        abstain_below: float | None,
        on_progress: Callable[[int], None] | None,
    ) -> None:
        self.classifier = classifier
        self.carry = carry
        self.abstain_below = abstain_below
        self.on_progress = on_progress
        self.rows = 0
        self.answered = 0
        self._strangers = UnseenCounts()
        self._on_columns: tuple[str, ...] = ()
        self._parts = source_paths(data)
        self._name = data
        self._dialect = dialect

    @property
    def notes(self) -> tuple[str, ...]:
        """What was noticed on the way."""
        encoder = self.classifier.preprocessing
        return (*self._on_columns, *(encoder.notes(self._strangers) if isinstance(encoder, TableEncoder) else ()))

    def __iter__(self) -> Iterator[pl.DataFrame]:
        part, first_row = self._parts[0], 0
        for path, batch in scan_parts(self._parts, self._dialect):
            if path != part:
                part, first_row = path, 0
            place = self._name if len(self._parts) == 1 else str(path)
            if not self.rows:
                self._look_at_columns(batch)
            logits, unseen = self.classifier.logits_counting(batch, place, first_row)
            self._strangers += unseen
            frame = prediction_frame(logits, self.classifier.class_names, self.abstain_below)
            self.rows += frame.height
            self.answered += frame.height - frame["class"].null_count()
            first_row += batch.height
            yield batch.select(self.carry).hstack(frame.get_columns()) if self.carry else frame
            if self.on_progress is not None:
                self.on_progress(self.rows)

    def _look_at_columns(self, batch: pl.DataFrame) -> None:
        check_columns_exist(batch, self.carry, '--carry names the column "{}", which is not there', self._name)
        target = self.classifier.trained_on.target
        self._on_columns = _notes_on_columns(self.classifier, batch.select(pl.exclude(target, *self.carry)))


def notes_on_table(classifier: Classifier, frame: pl.DataFrame, unseen: UnseenCounts) -> tuple[str, ...]:
    """What a reader of predictions must know of the table they were made from.

    Args:
        classifier: A classifier of tables.
        frame: The table.
        unseen: What was counted while it was encoded.

    Returns:
        A sentence each.
    """
    encoder = classifier.preprocessing
    on_cells = encoder.notes(unseen) if isinstance(encoder, TableEncoder) else ()
    return (*_notes_on_columns(classifier, frame), *on_cells)


def _notes_on_columns(classifier: Classifier, frame: pl.DataFrame) -> tuple[str, ...]:
    """Which columns of a table the classifier passes over, in words."""
    encoder = classifier.preprocessing
    if not isinstance(encoder, TableEncoder):
        return ()
    known = (classifier.trained_on.target, classifier.recipe.get("data", {}).get("weight"))
    others = tuple(name for name in encoder.other_columns(frame) if name not in known)
    if not others:
        return ()
    listed = ", ".join(others[:10]) + (", …" if len(others) > 10 else "")
    return (f"columns that the model does not use: {listed}.",)


def _write_text(stream: _Stream, file: BinaryIO, write: Callable[[pl.DataFrame, bool], object]) -> None:
    first = True
    for frame in stream:
        write(frame, first)
        first = False
    file.flush()


def _write_parquet(stream: _Stream, path: Path) -> None:
    """Write what polars' streaming engine pulls from the stream, one row group after the other."""
    batches = iter(stream)
    head = next(batches)
    faults: list[BaseException] = []

    def source(*_: object) -> Iterator[pl.DataFrame]:
        yield head
        try:
            yield from batches
        except BaseException as fault:  # polars would wrap it in an error of its own, even an interrupt
            faults.append(fault)

    register_io_source(source, schema=head.schema).sink_parquet(path, engine="streaming")
    if faults:
        raise faults[0]
