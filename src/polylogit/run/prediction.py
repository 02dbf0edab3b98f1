"""Prediction with a saved model: a class and probabilities for each row, to a file or in memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from polylogit.calibration import coverage_statement
from polylogit.classifier import Classifier
from polylogit.errors import RecipeError
from polylogit.report.prediction_page import write_prediction_page
from polylogit.run.explanations import ExplanationForm
from polylogit.run.model_recipe import recipe_to_read
from polylogit.run.prediction_file import PREDICTION_ENDINGS, check_columns_fit, write_frames
from polylogit.run.prediction_frames import prediction_frames
from polylogit.run.prediction_sheets import LeastSure
from polylogit.run.replacing import check_outputs
from polylogit.run.spreadsheet_text import check_names_fit_in_a_cell, with_sets_as_text, without_formulas
from polylogit.run.table_task import dialect_of

__all__ = ["PREDICTION_ENDINGS", "Predictions", "predict"]


@dataclass(frozen=True)
class Predictions:
    """The result of `predict`.

    Args:
        frame: The columns carried, or for picture files the column `file`; the column `class`, null where the
            classifier abstains; where a coverage is asked for the column `prediction_set`, lists of class names; then
            one column `probability_NAME` per class. Rows in the order of the data. None where they were written to a
            file.
        rows: N.
        notes: Columns that were not used, unseen categories, how many rows were answered, and what holds for the
            prediction sets.
        warnings: Columns in which a fifth of the cells or more are unseen categories, and classes that are in every
            prediction set because too few rows of them were held out.
    """

    frame: pl.DataFrame | None
    rows: int
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    def as_csv(self) -> str:
        """The frame as CSV, prediction sets with `|` between their classes; empty where it was written to a file.

        Raises:
            RecipeError: The name of a class in a set contains `|`.
            PolylogitError: A column that is carried has no form in CSV.
        """
        if self.frame is None:
            return ""
        if "prediction_set" in self.frame.columns:
            check_names_fit_in_a_cell(self.frame["prediction_set"].explode().unique())
        text = with_sets_as_text(self.frame)
        check_columns_fit(text, ".csv")
        return text.write_csv()


def predict(
    model_path: Path,
    data: str,
    out: Path | None = None,
    *,
    carry: Sequence[str] = (),
    abstain_below: float | None = None,
    coverage: float | None = None,
    by_class: bool = False,
    costs: Mapping[str, Mapping[str, int | float]] | None = None,
    prior: Mapping[str, int | float] | None = None,
    allow_unseen: bool = False,
    explain: bool = False,
    settings: Sequence[str] = (),
    data_root: Path | None = None,
    escape_formulas: bool = False,
    force: bool = False,
    report: Path | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Predictions:
    """Predict the class of each row, with a probability per class.

    Args:
        model_path: A model file.
        data: DATA as given on the command line; columns in any order, the target need not be there.
        out: The file to write: .csv, .parquet or .jsonl. Left out: the predictions are returned.
        carry: Columns of a table, also of one of picture files, that precede the prediction.
        abstain_below: Give no class to a row whose top probability is below this, 0 to 1.
        coverage: Give each row a prediction set, so that this share of the sets contains the true class.
        by_class: Whether the coverage should hold among the rows of each class.
        costs: Costs by true class and decision, in place of the model's own; the class of the least expected cost is
            given, and a column `expected_cost`. The probabilities stay.
        prior: Share of each class where the model is used, in place of the model's own.
        allow_unseen: Whether to predict a table even where most cells of a column are unseen categories.
        explain: Whether to add the contribution of each column to the difference between the most probable class and
            the next, in nats, and the strongest terms of text: as columns, or in .jsonl as one object.
        settings: Texts `data.option=value` about how the table is written, where this is not as in training; for
            pictures also `data.path`, the column of file names, and `data.broken`.
        data_root: Directory for downloaded data sets.
        escape_formulas: Whether text that a spreadsheet would take for a formula gets an apostrophe; for CSV only.
        force: Whether `out` and `report` may be files that polylogit did not write.
        report: The page to write for pictures (.html): a sheet of each predicted class, the least sure first.
        on_progress: Called with the rows predicted so far.

    Returns:
        The predictions.

    Raises:
        ModelFileError: The model file is at fault, or has no scores for prediction sets.
        DataError: The data are at fault. Nothing is written then.
        RecipeError: The ending of `out` is not known, `abstain_below` is no probability, a column cannot be carried,
            a setting is at fault, the model cannot give sets of this coverage or explain its predictions, costs or
            shares do not fit its classes, `out` is the model or one of the data, or `report` is asked for a table.
        PolylogitError: The predictions cannot be written, or `out` is a file that polylogit did not write.
    """
    if abstain_below is not None and not 0 <= abstain_below <= 1:
        raise RecipeError(f"--abstain-below {abstain_below:g}: expected a probability, 0 to 1.")
    if out is not None and out.suffix.lower() not in PREDICTION_ENDINGS:
        raise RecipeError(f"--out {out}: the ending is not known. Expected one of {', '.join(PREDICTION_ENDINGS)}.")
    if escape_formulas and out is not None and out.suffix.lower() != ".csv":
        raise RecipeError(f"--escape-formulas: applies to CSV, but {out} is not. Leave the option out.")
    if report is not None and report.suffix.lower() != ".html":
        raise RecipeError(f"--report {report}: expected a file name that ends in .html.")
    check_outputs([path for path in (out, report) if path is not None], [model_path, data], force=force)
    classifier = Classifier.load(model_path)
    if costs is not None or prior is not None:
        classifier = classifier.with_decision(costs=costs, prior=prior)
    recipe = recipe_to_read(classifier, model_path, settings)
    rule = None if coverage is None else classifier.prediction_set_rule(coverage, by_class=by_class)
    if rule is not None and out is not None and out.suffix.lower() == ".csv":
        check_names_fit_in_a_cell(classifier.class_names)
    form: ExplanationForm = "object" if out is not None and out.suffix.lower() == ".jsonl" else "columns"
    frames = prediction_frames(
        classifier,
        data,
        dialect=dialect_of(recipe),
        carry=carry,
        abstain_below=abstain_below,
        set_rule=rule,
        allow_unseen=allow_unseen,
        explain=form if explain else None,
        data_root=data_root,
        path_column=recipe.data.path,
        broken=recipe.data.broken,
        on_progress=on_progress,
    )
    if report is not None and frames.pictures is None:
        raise RecipeError(f"--report: shows pictures, and {data} is a table. Leave the option out.")
    sheets = LeastSure(classifier.class_names)
    predicted = frames if report is None else sheets.watching(frames)
    written = map(without_formulas, predicted) if escape_formulas else predicted
    if out is None:
        frame = pl.concat(written, how="vertical_relaxed")
    else:
        frame = None
        write_frames(written, out)
    statement, on_sets = _on_sets(classifier, coverage, by_class=by_class)
    notes = (*frames.notes, *statement)
    if report is not None and frames.pictures is not None:
        page = sheets.page(data, model_path, frames.pictures)
        write_prediction_page(replace(page, notes=notes), report)
    return Predictions(
        frame=frame,
        rows=frames.rows,
        notes=notes,
        warnings=(*frames.warnings, *on_sets),
    )


def _on_sets(classifier: Classifier, coverage: float | None, *, by_class: bool) -> tuple[list[str], list[str]]:
    """What holds for the prediction sets, and what spoils them."""
    scores = classifier.conformal
    if coverage is None or scores is None:
        return [], []
    statement = coverage_statement(scores, coverage, by_class=by_class)
    few = [classifier.class_names[k] for k in scores.too_few(coverage)] if by_class else []
    if not few:
        return [statement], []
    listed = ", ".join(few[:10]) + (", …" if len(few) > 10 else "")
    return [statement], [
        f"too few rows of {len(few)} of {len(classifier.class_names)} classes were held out for a coverage of "
        f"{coverage:g} class by class, so these classes are in every set: {listed}."
    ]
