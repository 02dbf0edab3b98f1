"""A model that is served: the classifier of a file, with its batches and what is known about it."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from polylogit.classifier import ROWS_AT_ONCE, Classifier
from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.tables.delimited import Dialect
from polylogit.data.tables.encoded_column import Column
from polylogit.data.tables.encoder import TableEncoder
from polylogit.data.tables.row_encoder import RowEncoder
from polylogit.errors import RecipeError
from polylogit.model_header import ModelHeader, read_header_and_metadata
from polylogit.model_schema import ModelSchema
from polylogit.run.model_recipe import recipe_of_model
from polylogit.run.output_paths import MODEL_NAME, report_path
from polylogit.run.table_task import dialect_of
from polylogit.serve.batching import BatchReport, MicroBatcher

__all__ = ["ServedModel", "file_state", "model_names"]

_MOST_BATCH_CELLS = 2**24
"""Most numbers in the inputs of a batch, 64 MiB."""


def model_names(paths: Sequence[Path]) -> dict[str, Path]:
    """A name for each model file: its own name without the ending; that of its folder for `model.safetensors`.

    Args:
        paths: Model files.

    Returns:
        Paths by name.

    Raises:
        RecipeError: Two files have the same name.

    Example:
        >>> list(model_names([Path("runs/zoo-linear/model.safetensors"), Path("digits.safetensors")]))
        ['zoo-linear', 'digits']
    """
    names = [path.resolve().parent.name if path.name == MODEL_NAME else path.stem for path in paths]
    for name, times in Counter(names).items():
        if times > 1:
            raise RecipeError(f"two models would be served as {name!r}. Rename one of the files or its folder.")
    return dict(zip(names, paths, strict=True))


def file_state(path: Path) -> tuple[int, int, int]:
    """What changes when a file is replaced or written to; zeros where it is not there."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class ServedModel:
    """A classifier and what serving it needs.

    Args:
        name: Its name in addresses.
        classifier: The classifier.
        header: The header of its file.
        digest: The digest of the file's content; None in files of polylogit 0.1.
        dialect: How text tables are written.
        batcher: Scores rows in batches.
        report: The JSON report of the training run, where it is beside the file and belongs to it.
        state: `file_state` of the file when it was read.
    """

    name: str
    classifier: Classifier
    header: ModelHeader
    digest: str | None
    dialect: Dialect
    batcher: MicroBatcher
    report: Mapping[str, Any] | None
    state: tuple[int, int, int]

    @classmethod
    def load(cls, name: str, path: Path, on_batch: Callable[[str, BatchReport], None]) -> "ServedModel":
        """Read a model file and try it on a row.

        Args:
            name: Its name in addresses.
            path: The file.
            on_batch: Called with the name and a report after each batch.

        Returns:
            The model.

        Raises:
            ModelFileError: The file is at fault.
        """
        state = file_state(path)
        header, metadata = read_header_and_metadata(path)
        classifier = Classifier.load(path)
        encoder = classifier.preprocessing
        # Of sparse rows few cells are stored.
        cells_of_a_row = 1 if isinstance(encoder, TableEncoder) and encoder.is_sparse else encoder.features
        batcher = MicroBatcher(
            score=lambda inputs: classifier.score(inputs).logits,
            most_rows=max(1, min(ROWS_AT_ONCE, _MOST_BATCH_CELLS // cells_of_a_row)),
            on_batch=lambda report: on_batch(name, report),
        )
        return cls(
            name=name,
            classifier=classifier,
            header=header,
            digest=metadata.get("digest"),
            dialect=dialect_of(recipe_of_model(classifier, path)),
            batcher=batcher,
            report=_report_beside(path, header),
            state=state,
        )

    @property
    def picture_encoder(self) -> PictureEncoder | None:
        """The encoder of a model of pictures."""
        encoder = self.classifier.preprocessing
        return encoder if isinstance(encoder, PictureEncoder) else None

    @property
    def table_encoder(self) -> TableEncoder | None:
        """The encoder of a model of tables."""
        encoder = self.classifier.preprocessing
        return encoder if isinstance(encoder, TableEncoder) else None

    @property
    def row_encoder(self) -> RowEncoder:
        """The encoder of single rows of a model of tables."""
        return self.classifier.row_encoder

    @property
    def schema(self) -> ModelSchema:
        """What the model takes and what it answers."""
        return self.classifier.schema

    @cached_property
    def columns(self) -> dict[str, Column]:
        """The columns that a model of tables takes, by name."""
        encoder = self.table_encoder
        return {} if encoder is None else {column.name: column for column in encoder.columns}


def _report_beside(path: Path, header: ModelHeader) -> Mapping[str, Any] | None:
    """The JSON report beside a model file, if it is of the same data, classes and rows."""
    try:
        report: Any = json.loads(report_path(path).with_suffix(".json").read_text(encoding="utf-8"))
        same = (
            report["test"]["class_names"] == header.class_names
            and report["data"] == header.trained_on.data
            and report["rows_test"] == header.trained_on.rows_test
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return report if same else None
