"""A saved model judged on rows with known classes.

Owns which rows are judged: of the very data that the model was trained on, only those held out then.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from polylogit.classifier import Classifier
from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.pictures.sources import open_pictures
from polylogit.data.pictures.stored import StoredPictures
from polylogit.data.tables.sources import open_source
from polylogit.errors import DataError
from polylogit.evaluation import Evaluation, evaluate_logits, summarise_logits
from polylogit.recipes.recipe import recipe_from_entries
from polylogit.report import write_report
from polylogit.run.picture_task import split_of_pictures, targets_by_name
from polylogit.run.prediction_file import notes_on_table
from polylogit.run.report_contents import report_data
from polylogit.run.table_task import dialect_of, known_targets, row_weights, split_of_table, without_weightless

__all__ = ["EvaluationRun", "evaluate"]


@dataclass(frozen=True)
class EvaluationRun:
    """What `evaluate` gives.

    Args:
        data: The data's name.
        model_path: The model file.
        classifier: The classifier judged.
        test: Figures on the rows.
        notes: What a reader must know to take the figures rightly.
        report_path: The page; None where none was asked for.
    """

    data: str
    model_path: Path
    classifier: Classifier
    test: Evaluation
    notes: tuple[str, ...]
    report_path: Path | None

    def as_json(self) -> dict[str, Any]:
        """The object that `polylogit evaluate --json` prints."""
        return {
            "data": self.data,
            "model": self.classifier.network_spec.kind,
            "classes": list(self.classifier.class_names),
            "rows_test": self.test.rows,
            "test": self.test.as_json(),
            **self.classifier.calibration_as_json(),
            "model_path": str(self.model_path),
            "report_path": None if self.report_path is None else str(self.report_path),
            "notes": list(self.notes),
        }


def evaluate(
    model_path: Path, data: str, *, report: Path | None = None, data_root: Path | None = None
) -> EvaluationRun:
    """Judge a saved classifier on rows with known classes.

    Where the data are the very file that the model was trained on, only the rows held out then are judged. Rows of
    classes that the model's recipe leaves out are left out here too. Rows count by the recipe's column of weights where
    the data have it, and alike where not.

    Args:
        model_path: A model file.
        data: What stands for DATA on the command line; it holds the target column too, or a folder per class.
        report: Where to write the report, an HTML page; nowhere when left out.
        data_root: Where data sets with a name lie.

    Returns:
        The figures.

    Raises:
        ModelFileError: The model file is at fault.
        DataError: The data are at fault, hold a class that the model does not know, or have no rows to judge.
    """
    classifier = Classifier.load(model_path)
    if isinstance(classifier.preprocessing, PictureEncoder):
        form = classifier.preprocessing.input_shape
        return _judge_pictures(model_path, classifier, form, data, data_root=data_root, report=report)
    recipe = recipe_from_entries(classifier.recipe)
    source = open_source(data, dialect_of(recipe))
    trained_on = classifier.trained_on
    targets = known_targets(
        source, trained_on.target, classifier.class_names, leave_out_others=recipe.data.classes is not None
    )
    notes = _notes_on_others(targets)
    weights = None
    if recipe.data.weight is not None and recipe.data.weight not in source.frame.columns:
        notes.append(f'there is no column "{recipe.data.weight}" of weights, so every row counts alike.')
    else:
        weights = row_weights(source, recipe)
    targets = without_weightless(targets, weights)
    rows = torch.nonzero(targets >= 0).flatten()
    if source.fingerprint == trained_on.fingerprint:
        if recipe.data.test is not None:
            notes.append(
                f"{source.name} is what the model was trained on, every row of it: these figures flatter. "
                f"It was judged on {recipe.data.test}."
            )
        else:
            rows = split_of_table(source, targets, recipe).test
            notes.append(
                f"{source.name} is what the model was trained on: only the {len(rows)} rows held out then are judged."
            )
    _check_some_rows(rows, source.name)
    frame, targets = source.frame[rows.numpy()], targets[rows]
    weights = None if weights is None else weights[rows]
    logits, unseen = classifier.uncalibrated.logits_counting(frame, source.name)
    return _judgement(
        source.name,
        model_path,
        classifier,
        logits,
        targets,
        rows=frame.select([column.name for column in classifier.preprocessing.columns]),
        sample_weight=weights,
        row_numbers=rows + 1,
        notes=(*notes_on_table(classifier, frame, unseen), *notes),
        report=report,
    )


def _judge_pictures(
    model_path: Path,
    classifier: Classifier,
    form: tuple[int, int, int],
    data: str,
    *,
    data_root: Path | None,
    report: Path | None,
) -> EvaluationRun:
    recipe = recipe_from_entries(classifier.recipe)
    source = open_pictures(data, root=data_root, form=form)
    targets = targets_by_name(source, classifier.class_names, leave_out_others=recipe.data.classes is not None)
    notes = _notes_on_others(targets if source.own_split is None else targets[source.own_split.test])
    rows = torch.nonzero(targets >= 0).flatten()
    seen = source.fingerprint == classifier.trained_on.fingerprint
    if source.own_split is not None or seen:
        rows = split_of_pictures(source, targets, recipe).test
    if source.own_split is None and seen:
        notes.append(f"{data} is what the model was trained on: only the {len(rows)} pictures held out are judged.")
    _check_some_rows(rows, source.name)
    pixels = source.pixels[rows]
    return _judgement(
        source.name,
        model_path,
        classifier,
        classifier.uncalibrated.predict_logits(pixels, data),
        targets[rows],
        rows=pixels,
        row_numbers=rows + 1,
        notes=tuple(notes),
        report=report,
    )


def _notes_on_others(targets: Int[Tensor, " N"]) -> list[str]:
    others = int((targets < 0).sum())
    if not others:
        return []
    return [
        f"{others:,} of {len(targets):,} rows are of classes that the recipe leaves out, and are left out here too."
    ]


def _check_some_rows(rows: Int[Tensor, " A"], place: str) -> None:
    if not len(rows):
        raise DataError(
            f"{place}: there is no row to judge the model on: each was trained on, or is of a class that the recipe "
            "leaves out. Give rows of its classes that it has not seen."
        )


def _judgement(
    data: str,
    model_path: Path,
    classifier: Classifier,
    network_logits: Float[Tensor, "N K"],
    targets: Int[Tensor, " N"],
    *,
    rows: pl.DataFrame | UInt8[Tensor, "N C H W"] | StoredPictures,
    row_numbers: Int[Tensor, " N"],
    notes: tuple[str, ...],
    report: Path | None,
    sample_weight: Float[Tensor, " N"] | None = None,
) -> EvaluationRun:
    logits = classifier.calibrate(network_logits)
    test = evaluate_logits(logits, targets, classifier.class_names, sample_weight=sample_weight)
    if report is not None:
        uncalibrated = summarise_logits(network_logits, targets, sample_weight=sample_weight)
        page = report_data(
            classifier,
            test,
            logits,
            targets,
            data=data,
            model_path=model_path,
            rows=rows,
            sample_weight=sample_weight,
            logits_before=network_logits,
            uncalibrated=uncalibrated,
            row_numbers=row_numbers,
            notes=notes,
        )
        write_report(page, report)
    return EvaluationRun(
        data=data, model_path=model_path, classifier=classifier, test=test, notes=notes, report_path=report
    )
