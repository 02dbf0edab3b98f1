"""Evaluation of a saved model on labelled data; of the data that it was trained on, only on the held-out rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from polylogit.calibration import CalibrationEffect, DecisionEvaluation, SetEvaluation
from polylogit.classifier import Classifier
from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.pictures.sources import open_pictures
from polylogit.data.tables.columns import read_cells, stored_cells
from polylogit.data.tables.copies import find_copies
from polylogit.data.tables.encoder import TableEncoder
from polylogit.data.tables.named_column import select_named
from polylogit.data.tables.sources import open_source
from polylogit.data.tables.stored_frame import stored_rows
from polylogit.data.tables.unseen import check_mostly_seen, warning_words
from polylogit.errors import DataError
from polylogit.evaluation import Evaluation
from polylogit.model_header import PICTURE_DIGEST_LENGTH
from polylogit.plural import agreeing
from polylogit.recipes import Recipe
from polylogit.report import write_report
from polylogit.report.conclusions import Conclusion, conclusions
from polylogit.run.evaluated_rows import EvaluatedRows, evaluate_rows
from polylogit.run.model_recipe import recipe_to_read
from polylogit.run.output_paths import check_report_ending
from polylogit.run.picture_columns import picture_weights
from polylogit.run.picture_task import parts_of_pictures, picture_reading, targets_by_name
from polylogit.run.prediction_frames import notes_on_table
from polylogit.run.replacing import check_outputs
from polylogit.run.report_contents import report_data
from polylogit.run.table_memory import is_kept_in_files, note_on_files
from polylogit.run.table_split import rows_kept_together, split_of_table
from polylogit.run.table_task import dialect_of, known_targets, row_weights, without_weightless

__all__ = ["EvaluationRun", "RowsToEvaluate", "evaluate", "rows_to_evaluate"]


@dataclass(frozen=True)
class EvaluationRun:
    """The result of an evaluation.

    Args:
        data: The data's name.
        model_path: The model file.
        classifier: The classifier.
        test: Its metrics on the rows.
        sets: Coverage and size of its prediction sets on the rows; None where it has no scores for them.
        decisions: What its decisions cost; None where it chooses the most probable class.
        effect: What its calibration did to the rows; None where it has none.
        notes: What a reader must know to interpret the metrics.
        report_path: The page; None where none was asked for.
        warnings: Columns in which a fifth of the cells or more are unseen categories.
    """

    data: str
    model_path: Path
    classifier: Classifier
    test: Evaluation
    sets: SetEvaluation | None
    decisions: DecisionEvaluation | None
    effect: CalibrationEffect | None
    notes: tuple[str, ...]
    report_path: Path | None
    warnings: tuple[str, ...] = ()

    @property
    def conclusions(self) -> tuple[Conclusion, ...]:
        """What follows from the metrics."""
        return conclusions(self.test)

    def as_json(self) -> dict[str, Any]:
        """The object that `polylogit evaluate --json` prints."""
        return {
            "data": self.data,
            "model": self.classifier.model_kind,
            "classes": list(self.classifier.class_names),
            "rows_test": self.test.rows,
            "test": self.test.as_json(),
            "calibration_effect": None if self.effect is None else self.effect.as_json(),
            "decisions": None if self.decisions is None else self.decisions.as_json(),
            "prediction_sets": None if self.sets is None else self.sets.as_json(),
            "conclusions": [conclusion.as_json() for conclusion in self.conclusions],
            "target": self.classifier.trained_on.target,
            **self.classifier.calibration.as_json(),
            "model_path": str(self.model_path),
            "report_path": None if self.report_path is None else str(self.report_path),
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }


def evaluate(
    model_path: Path,
    data: str,
    *,
    report: Path | None = None,
    allow_unseen: bool = False,
    settings: Sequence[str] = (),
    data_root: Path | None = None,
    force: bool = False,
) -> EvaluationRun:
    """Evaluate a saved classifier on labelled data.

    Where the data are the very file that the model was trained on, only its held-out rows are evaluated. Rows of
    classes that the model's recipe leaves out are left out here too. Rows are weighted by the recipe's column of
    weights where the data have it.

    Args:
        model_path: A model file.
        data: DATA as given on the command line; it contains the target column too, or a folder per class.
        report: The file of the report: .html, .json or .md; none is written when left out.
        allow_unseen: Whether to evaluate a table even where most cells of a column are unseen categories.
        settings: Texts `data.option=value` about how the table is written, where this is not as in training,
            `data.unlabelled` and `data.in_memory`; for pictures `data.path`, `data.target`, `data.broken` and
            `data.pictures_in_memory`.
        data_root: Directory for downloaded data sets.
        force: Whether a report may replace a file that polylogit did not write.

    Returns:
        The metrics.

    Raises:
        ModelFileError: The model file is at fault.
        DataError: The data are at fault, contain a class that the model does not know, or have no rows to evaluate.
        RecipeError: A setting or the ending of the report is at fault, or the report would replace the model or the
            data.
        PolylogitError: The report would replace a file that polylogit did not write.
    """
    check_report_ending(report)
    check_outputs([] if report is None else [report], [model_path, data], force=force)
    classifier = Classifier.load(model_path)
    recipe = recipe_to_read(
        classifier,
        model_path,
        settings,
        besides=["unlabelled", "in_memory"],
        besides_of_pictures=["target", "pictures_in_memory"],
    )
    found = rows_to_evaluate(classifier, recipe, data, data_root=data_root, allow_unseen=allow_unseen)
    rows = found.rows
    if report is not None:
        notes = (*found.warnings, *found.notes)
        write_report(report_data(classifier, rows, data=found.data, model_path=model_path, notes=notes), report)
    return EvaluationRun(
        data=found.data,
        model_path=model_path,
        classifier=classifier,
        test=rows.evaluation,
        sets=rows.sets,
        decisions=rows.decisions,
        effect=rows.effect,
        notes=found.notes,
        report_path=report,
        warnings=found.warnings,
    )


@dataclass(frozen=True, eq=False)
class RowsToEvaluate:
    """The rows of some data that a classifier can be evaluated on.

    Args:
        data: The data's name.
        rows: The rows with its scores.
        notes: What a reader must know to interpret the metrics.
        warnings: What is likely to spoil them.
    """

    data: str
    rows: EvaluatedRows
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def rows_to_evaluate(
    classifier: Classifier,
    recipe: Recipe,
    data: str,
    *,
    data_root: Path | None = None,
    unseen_only: bool = False,
    allow_unseen: bool = False,
) -> RowsToEvaluate:
    """The rows of some data that a classifier can be evaluated on, with its scores; see `evaluate`.

    Args:
        classifier: The classifier.
        recipe: Its recipe, which says how the data are read.
        data: DATA as given on the command line.
        data_root: Directory for downloaded data sets.
        unseen_only: Whether data that the model was trained on as a whole are an error.
        allow_unseen: Whether to take a table even where most cells of a column are unseen categories; rows of the file
            that the model was trained on are always taken.

    Returns:
        The rows and their scores, with notes and warnings.

    Raises:
        DataError: As for `evaluate`, or the model was trained on every row.
    """
    if isinstance(classifier.preprocessing, PictureEncoder):
        return _evaluated_pictures(classifier, recipe, classifier.preprocessing, data, data_root)
    return _evaluated_table(
        classifier, recipe, classifier.preprocessing, data, unseen_only=unseen_only, allow_unseen=allow_unseen
    )


def _evaluated_table(
    classifier: Classifier,
    recipe: Recipe,
    encoder: TableEncoder,
    data: str,
    *,
    unseen_only: bool,
    allow_unseen: bool,
) -> RowsToEvaluate:
    trained_on = classifier.trained_on
    stored = is_kept_in_files([data], recipe.data.in_memory)
    source = open_source(data, dialect_of(recipe, trained_on.target), stored=stored)
    classes = known_targets(
        source,
        trained_on.target,
        classifier.class_names,
        leave_out_others=recipe.data.classes is not None,
        leave_out_unlabelled=recipe.data.unlabelled == "drop",
    )
    notes = [*source.notes, *_notes_on_others(classes, recipe)]
    weights = None
    if recipe.data.weight is not None and recipe.data.weight not in source.frame.columns:
        notes.append(f'there is no column "{recipe.data.weight}" of weights, so all rows weigh the same.')
    else:
        weights = row_weights(source, recipe)
    targets = without_weightless(classes, weights)
    rows = torch.nonzero(targets >= 0).flatten()
    is_training_file = source.fingerprint == trained_on.fingerprint
    if is_training_file:
        if recipe.data.test is not None and unseen_only:
            raise DataError(
                f"{source.name}: the model was trained on every row of this file. Its test set was {recipe.data.test}."
            )
        if recipe.data.test is not None:
            notes.append(
                f"{source.name}: the model was trained on every row of this file, so these are training metrics and "
                f"are optimistic. The test set was {recipe.data.test}."
            )
        else:
            cells = (stored_cells if stored else read_cells)(source.frame, encoder.readings)
            copies = find_copies(cells, classes.numpy())
            rows = split_of_table(source, targets, recipe, rows_kept_together(source, copies, recipe)).test
            notes.append(
                f"{source.name} is the file that the model was trained on: only its {len(rows)} held-out rows are "
                "evaluated."
            )
    _check_some_rows(rows, source.name)
    frame = stored_rows(source.frame, rows.numpy()) if stored else source.frame[rows.numpy()]
    scores, unseen = classifier.score_frame(frame, source.name)
    if not (allow_unseen or is_training_file):
        check_mostly_seen(unseen, encoder.columns, source.name)
    evaluated = evaluate_rows(
        classifier,
        scores,
        targets[rows],
        raw=select_named(frame, (column.name for column in encoder.columns)),
        numbers=rows + 1,
        weights=None if weights is None else weights[rows],
    )
    storage = [note_on_files(recipe.data.in_memory)] if stored else []
    return RowsToEvaluate(
        source.name,
        evaluated,
        notes=(*storage, *notes_on_table(classifier, frame, unseen), *notes),
        warnings=warning_words(unseen, encoder.columns),
    )


def _evaluated_pictures(
    classifier: Classifier, recipe: Recipe, encoder: PictureEncoder, data: str, data_root: Path | None
) -> RowsToEvaluate:
    reading = replace(picture_reading(recipe), form=encoder.input_shape, background=encoder.background, least_classes=1)
    source = open_pictures(data, root=data_root, reading=reading)
    targets = targets_by_name(source, classifier.class_names, leave_out_others=recipe.data.classes is not None)
    notes = _notes_on_others(targets if source.own_split is None else targets[source.own_split.test], recipe)
    columns = None if source.listing is None else source.listing.columns
    weights = None
    if recipe.data.weight is not None and recipe.data.weight not in (columns or ()):
        notes.append(f'there is no column "{recipe.data.weight}" of weights, so all pictures weigh the same.')
    else:
        weights = picture_weights(source, recipe)
    targets = without_weightless(targets, weights)
    rows = torch.nonzero(targets >= 0).flatten()
    seen = source.fingerprint == classifier.trained_on.fingerprint
    notes += [] if source.listing is None else source.listing.notes
    if source.own_split is not None and source.listing is not None:
        notes.append(f"{data} has training and test folders: only the pictures of its test part are evaluated.")
    if source.own_split is not None or seen:
        rows = parts_of_pictures(source, targets, recipe).split.test
    if not seen:
        rows, note = _not_trained_on(rows, source.digests, classifier)
        notes += note
    if source.own_split is None and seen:
        notes.append(
            f"{data} are the pictures that the model was trained on: only the {len(rows)} held-out ones are evaluated."
        )
    _check_some_rows(rows, source.name)
    pixels = source.pixels[rows]
    scores = classifier.score_pictures(pixels, data)
    listing = source.listing
    files = None if listing is None else tuple(listing.name(row) for row in rows.tolist())
    evaluated = evaluate_rows(
        classifier,
        scores,
        targets[rows],
        raw=pixels,
        numbers=rows + 1,
        files=files,
        weights=None if weights is None else weights[rows],
    )
    return RowsToEvaluate(source.name, evaluated, tuple(notes))


def _not_trained_on(
    rows: Int[Tensor, " N"], digests: Sequence[str], classifier: Classifier
) -> tuple[Int[Tensor, " M"], list[str]]:
    """The pictures whose files the model has not seen, and a note on the others."""
    known = set(classifier.trained_on.pictures or ())
    if not known or not digests:
        return rows, []
    new = torch.tensor([digests[row][:PICTURE_DIGEST_LENGTH] not in known for row in rows.tolist()], dtype=torch.bool)
    seen = len(rows) - int(new.sum())
    are_files, are = agreeing(seen, "is a file", "are files"), agreeing(seen, "is", "are")
    note = f"{seen:,} of {len(rows):,} pictures {are_files} that the model was trained on, and {are} left out."
    return rows[new], [note] if seen else []


def _notes_on_others(targets: Int[Tensor, " N"], recipe: Recipe) -> list[str]:
    others = int((targets < 0).sum())
    if not others:
        return []
    unlabelled = agreeing(others, "has no class", "have no class")
    left_out = agreeing(others, "is of a class that the recipe leaves out", "are of classes that the recipe leaves out")
    which = left_out if recipe.data.unlabelled != "drop" else unlabelled
    if recipe.data.unlabelled == "drop" and recipe.data.classes is not None:
        which = f"{unlabelled} or {left_out}"
    return [f"{others:,} of {len(targets):,} rows {which}, and {agreeing(others, 'is', 'are')} left out here too."]


def _check_some_rows(rows: Int[Tensor, " A"], place: str) -> None:
    if not len(rows):
        raise DataError(
            f"{place}: there is no row to evaluate: each was trained on, or is of a class that the recipe leaves out. "
            "Give rows of its classes that were not used in training."
        )
