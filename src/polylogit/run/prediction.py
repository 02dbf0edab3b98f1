"""A saved model on new rows: a class and probabilities for each.

Owns which way the rows take: a table to a file batch by batch, everything else at once. The form of a prediction is
the business of `prediction`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from polylogit.classifier import Classifier
from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.pictures.sources import read_unlabelled
from polylogit.data.tables.sources import open_source
from polylogit.errors import PolylogitError, RecipeError
from polylogit.recipes.recipe import recipe_from_entries
from polylogit.run.prediction_file import PREDICTION_ENDINGS, notes_on_table, prediction_frame, write_predictions
from polylogit.run.table_task import dialect_of
from polylogit.system.atomic_file import atomic_write

__all__ = ["PREDICTION_ENDINGS", "Predictions", "predict"]


@dataclass(frozen=True)
class Predictions:
    """What `predict` gives.

    Args:
        frame: For picture files the column `file`; the column `class`, missing where the classifier abstains; then one
            column `probability_NAME` per class. Rows in the order of the data. None where they were written to a file
            batch by batch.
        rows: N.
        notes: Columns left aside, values never seen in training, and how many rows were answered.
    """

    frame: pl.DataFrame | None
    rows: int
    notes: tuple[str, ...]


def predict(
    model_path: Path,
    data: str,
    out: Path | None = None,
    *,
    carry: Sequence[str] = (),
    abstain_below: float | None = None,
    data_root: Path | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Predictions:
    """Predict the class of each row, with a probability per class.

    Args:
        model_path: A model file.
        data: What stands for DATA on the command line; columns in any order, the target need not be there.
        out: Where to write the predictions: .csv, .parquet or .jsonl; nowhere when left out.
        carry: Columns of a table that are written before the prediction, where a table's predictions are written.
        abstain_below: Give no class to a row whose top probability is below this, 0 to 1.
        data_root: Where data sets with a name lie.
        on_progress: Called with the rows written so far, where a table's predictions are written.

    Returns:
        The predictions.

    Raises:
        ModelFileError: The model file is at fault.
        DataError: The data are at fault.
        RecipeError: The ending of `out` is not known, or `abstain_below` is no probability.
        PolylogitError: The predictions cannot be written.
    """
    if abstain_below is not None and not 0 <= abstain_below <= 1:
        raise RecipeError(f"--abstain-below {abstain_below:g}: expected a probability, 0 to 1.")
    if out is not None and out.suffix.lower() not in PREDICTION_ENDINGS:
        raise RecipeError(f"--out {out}: the ending is not known. Expected one of {', '.join(PREDICTION_ENDINGS)}.")
    classifier = Classifier.load(model_path)
    columns: dict[str, Any] = {}
    notes: tuple[str, ...] = ()
    if isinstance(classifier.preprocessing, PictureEncoder):
        pictures = read_unlabelled(data, classifier.preprocessing.input_shape, data_root)
        columns |= {} if pictures.files is None else {"file": pictures.files}
        logits = classifier.predict_logits(pictures, data)
    elif out is not None:
        dialect = dialect_of(recipe_from_entries(classifier.recipe))
        written = write_predictions(
            classifier, data, out, dialect=dialect, carry=carry, abstain_below=abstain_below, on_progress=on_progress
        )
        told = _abstained(written.answered, written.rows, abstain_below)
        return Predictions(frame=None, rows=written.rows, notes=(*written.notes, *told))
    else:
        source = open_source(data, dialect_of(recipe_from_entries(classifier.recipe)))
        logits, unseen = classifier.logits_counting(source.frame, source.name)
        notes = notes_on_table(classifier, source.frame, unseen)
    frame = prediction_frame(logits, classifier.class_names, abstain_below)
    answered = frame.height - frame["class"].null_count()
    frame = pl.DataFrame(columns).hstack(frame.get_columns()) if columns else frame
    if out is not None:
        _write_frame(out, frame)
    return Predictions(
        frame=frame, rows=frame.height, notes=(*notes, *_abstained(answered, frame.height, abstain_below))
    )


def _abstained(answered: int, rows: int, abstain_below: float | None) -> tuple[str, ...]:
    if abstain_below is None:
        return ()
    return (f"{answered} of {rows} rows answered; the others are below {abstain_below:g}.",)


def _write_frame(path: Path, frame: pl.DataFrame) -> None:
    with atomic_write(path) as temporary:
        match path.suffix.lower():
            case ".csv":
                frame.write_csv(temporary)
            case ".parquet":
                frame.write_parquet(temporary)
            case ".jsonl":
                frame.write_ndjson(temporary)
            case ending:
                raise PolylogitError(f"{path}: the ending {ending!r} is not known.")
