"""The runs: recipe -> data -> fit -> evaluate -> classifier, and a saved classifier on new data.

The only place where the floors below are put together. Owns the order of the steps and what is written where. It
prints nothing: results are returned, progress goes to a callback.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from polylogit.classifier import Classifier
from polylogit.data.audit import Audit
from polylogit.data.encoder import Strangers, TableEncoder
from polylogit.data.picture_names import stands_for_pictures
from polylogit.data.picture_sources import open_pictures, read_unlabelled
from polylogit.data.pictures import PictureEncoder
from polylogit.data.sources import open_source
from polylogit.data.split import stratified_split
from polylogit.errors import PolylogitError, RecipeError
from polylogit.evaluation import Evaluation, TemperatureFit, evaluate_logits
from polylogit.fitting.devices import DeviceName
from polylogit.model_header import TrainedOn
from polylogit.prediction import PREDICTION_ENDINGS, notes_on_columns, prediction_frame, write_predictions
from polylogit.problem import picture_problem, targets_by_name
from polylogit.recipe import AnyRecipe, Recipe
from polylogit.report import write_report
from polylogit.reporting import report_data
from polylogit.table_problem import dialect_of, known_targets, split_of_table, table_problem
from polylogit.training import Progress, TrainingPlace, fit_model
from polylogit.whole_file import writing_whole

__all__ = [
    "PREDICTION_ENDINGS",
    "Judgement",
    "Predictions",
    "TrainingRun",
    "default_model_path",
    "evaluate",
    "predict",
    "train",
]


@dataclass(frozen=True)
class TrainingRun:
    """What a training run gives.

    Args:
        data: The data's name.
        recipe: The recipe, complete.
        audit: What was found in a table; no errors, but perhaps warnings. None for pictures.
        classifier: The trained classifier.
        train: Figures on the rows trained on.
        test: Figures on the rows held out.
        test_uncalibrated: The same with temperature 1.
        calibration: The temperature and what it rests on; None where the recipe wants none.
        epochs: Iterations of the solver, or epochs of the loop.
        whole: Whether the fit came to its own end; False after an interrupt or a divergence.
        fit_message: How the fit ended, in words.
        seconds: Wall time from reading the data to the written model.
        model_path: The model file.
        history_path: One JSON object per epoch.
        report_path: The page; None where none was asked for.
    """

    data: str
    recipe: AnyRecipe
    audit: Audit | None
    classifier: Classifier
    train: Evaluation
    test: Evaluation
    test_uncalibrated: Evaluation
    calibration: TemperatureFit | None
    epochs: int
    whole: bool
    fit_message: str
    seconds: float
    model_path: Path
    history_path: Path
    report_path: Path | None

    def as_json(self) -> dict[str, Any]:
        """The object that `polylogit train --json` prints."""
        return {
            "data": self.data,
            "model": self.recipe.model.kind,
            "classes": list(self.classifier.class_names),
            "rows_train": self.classifier.trained_on.rows_train,
            "rows_test": self.classifier.trained_on.rows_test,
            "train": self.train.as_json(),
            "test": self.test.as_json(),
            "test_uncalibrated": self.test_uncalibrated.as_json(),
            "temperature": self.classifier.temperature,
            "calibration": None if self.calibration is None else asdict(self.calibration),
            "seconds": round(self.seconds, 3),
            "epochs": self.epochs,
            "whole": self.whole,
            "fit_message": self.fit_message,
            "seed": self.recipe.seed,
            "warnings": [] if self.audit is None else [str(finding) for finding in self.audit.of("warning")],
            "model_path": str(self.model_path),
            "history_path": str(self.history_path),
            "report_path": None if self.report_path is None else str(self.report_path),
        }


@dataclass(frozen=True)
class Judgement:
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
            "temperature": self.classifier.temperature,
            "model_path": str(self.model_path),
            "report_path": None if self.report_path is None else str(self.report_path),
            "notes": list(self.notes),
        }


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


def default_model_path(data: str, kind: str) -> Path:
    """`runs/<data>-<model>/model.safetensors`.

    Example:
        >>> default_model_path("tables/wine.csv", "linear").as_posix()
        'runs/wine-linear/model.safetensors'
    """
    return Path("runs") / f"{Path(data).stem}-{kind}" / "model.safetensors"


def train(
    data: str,
    recipe: AnyRecipe,
    *,
    out: Path | None = None,
    report: Path | None = None,
    data_root: Path | None = None,
    device: DeviceName = "auto",
    resume: bool = False,
    on_progress: Progress | None = None,
) -> TrainingRun:
    """Train a classifier, judge it on held-out rows, and keep it.

    Args:
        data: What stands for DATA on the command line.
        recipe: Everything else that the run depends on. The same data, recipe, device and versions give the same
            model file.
        out: The model file; `history.jsonl` is written beside it, and while a network is fitted its checkpoint.
        report: Where to write the report, an HTML page; nowhere when left out.
        data_root: Where data sets with a name lie; see `polylogit.data.picture_sources`.
        device: Where a network is fitted; linear models are fitted on the CPU.
        resume: Whether to go on from the checkpoint of a run of the same recipe on the same data that was cut.
        on_progress: Called after each iteration of the solver, or each epoch.

    Returns:
        The classifier and its figures. Files are written whole, after the fit, or not at all.

    Raises:
        DataError: The data are at fault.
        RecipeError: The recipe does not fit the data.
        ModelFileError: The checkpoint is damaged or of another run.
        DivergenceError: The loss became NaN or infinite before there were weights worth keeping.
        PolylogitError: A file cannot be written.
    """
    start = time.perf_counter()
    model_path = out or default_model_path(data, recipe.model.kind)
    if stands_for_pictures(data):
        problem = picture_problem(data, recipe, data_root)
    else:
        recipe, problem = table_problem(data, recipe)
    checkpoint = model_path.with_name(f"{model_path.stem}.checkpoint.safetensors")
    place = TrainingPlace(device=device, checkpoint=checkpoint, resume=resume)
    fit = fit_model(problem, recipe, place=place, on_progress=on_progress)
    split, targets = problem.split, problem.targets
    classifier = Classifier(
        preprocessing=problem.encoder,
        network=fit.network,
        network_spec=fit.spec,
        class_names=problem.class_names,
        temperature=1.0 if fit.calibration is None else fit.calibration.temperature,
        trained_on=TrainedOn(
            data=problem.name,
            target=problem.target,
            fingerprint=problem.fingerprint,
            rows_train=len(split.train),
            rows_test=len(split.test),
        ),
        recipe=recipe.as_entries(),
    )
    history_path = model_path.with_name("history.jsonl")
    classifier.save(model_path)
    _write_history(history_path, fit.history)
    if fit.whole:
        checkpoint.unlink(missing_ok=True)
    train_logits, test_logits = (
        classifier.logits_of_inputs(problem.inputs[rows]) for rows in (split.train, split.test)
    )
    test_targets = targets[split.test]
    test = evaluate_logits(test_logits, test_targets, problem.class_names)
    uncalibrated = evaluate_logits(test_logits * classifier.temperature, test_targets, problem.class_names)
    seconds = time.perf_counter() - start
    if report is not None:
        page = report_data(
            classifier,
            test,
            test_logits,
            test_targets,
            data=problem.name,
            model_path=model_path,
            rows=problem.inputs[split.test] if problem.table is None else problem.table[split.test.numpy()],
            uncalibrated=uncalibrated,
            calibration=fit.calibration,
            row_numbers=split.test + 1,
            history=fit.history,
            findings=None if problem.audit is None else [str(finding) for finding in problem.audit.findings],
            facts={"fit": fit.message, "seconds": f"{seconds:.1f}"},
        )
        write_report(page, report)
    return TrainingRun(
        data=problem.name,
        recipe=recipe,
        audit=problem.audit,
        classifier=classifier,
        train=evaluate_logits(train_logits, targets[split.train], problem.class_names),
        test=test,
        test_uncalibrated=uncalibrated,
        calibration=fit.calibration,
        epochs=fit.epochs,
        whole=fit.whole,
        fit_message=fit.message,
        seconds=seconds,
        model_path=model_path,
        history_path=history_path,
        report_path=report,
    )


def evaluate(model_path: Path, data: str, *, report: Path | None = None, data_root: Path | None = None) -> Judgement:
    """Judge a saved classifier on rows with known classes.

    Where the data are the very file that the model was trained on, only the rows held out then are judged.

    Args:
        model_path: A model file.
        data: What stands for DATA on the command line; it holds the target column too, or a folder per class.
        report: Where to write the report, an HTML page; nowhere when left out.
        data_root: Where data sets with a name lie.

    Returns:
        The figures.

    Raises:
        ModelFileError: The model file is at fault.
        DataError: The data are at fault, or hold a class that the model does not know.
    """
    classifier = Classifier.load(model_path)
    if isinstance(classifier.preprocessing, PictureEncoder):
        form = classifier.preprocessing.input_shape
        return _judge_pictures(model_path, classifier, form, data, data_root=data_root, report=report)
    source = open_source(data, dialect_of(Recipe.from_entries(classifier.recipe)))
    trained_on = classifier.trained_on
    targets = known_targets(source, trained_on.target, classifier.class_names)
    rows, notes = torch.arange(len(targets)), []
    if source.fingerprint == trained_on.fingerprint:
        recipe = Recipe.from_entries(classifier.recipe)
        rows = split_of_table(source, targets, recipe).test
        notes.append(
            f"{source.name} is what the model was trained on: only the {len(rows)} rows held out then are judged."
        )
    frame, targets = source.frame[rows.numpy()], targets[rows]
    logits, strangers = classifier.logits_counting(frame, source.name)
    return _judgement(
        source.name,
        model_path,
        classifier,
        logits,
        targets,
        rows=frame.select([column.name for column in classifier.preprocessing.columns]),
        row_numbers=rows + 1,
        notes=(*_notes(classifier, frame, strangers), *notes),
        report=report,
    )


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
        dialect = dialect_of(Recipe.from_entries(classifier.recipe))
        written = write_predictions(
            classifier, data, out, dialect=dialect, carry=carry, abstain_below=abstain_below, on_progress=on_progress
        )
        told = _abstained(written.answered, written.rows, abstain_below)
        return Predictions(frame=None, rows=written.rows, notes=(*written.notes, *told))
    else:
        source = open_source(data, dialect_of(Recipe.from_entries(classifier.recipe)))
        logits, strangers = classifier.logits_counting(source.frame, source.name)
        notes = _notes(classifier, source.frame, strangers)
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


def _judge_pictures(
    model_path: Path,
    classifier: Classifier,
    form: tuple[int, int, int],
    data: str,
    *,
    data_root: Path | None,
    report: Path | None,
) -> Judgement:
    source = open_pictures(data, root=data_root, form=form)
    targets = targets_by_name(source, classifier.class_names)
    rows, notes = torch.arange(len(targets)), []
    split = source.own_split
    if split is None and source.fingerprint == classifier.trained_on.fingerprint:
        recipe = Recipe.from_entries(classifier.recipe)
        split = stratified_split(targets, recipe.data.test_fraction, recipe.seed)
        notes.append(
            f"{data} is what the model was trained on: only the {len(split.test)} pictures held out are judged."
        )
    if split is not None:
        rows = split.test
    pixels = source.pictures.pixels[rows]
    return _judgement(
        source.name,
        model_path,
        classifier,
        classifier.predict_logits(pixels, data),
        targets[rows],
        rows=pixels,
        row_numbers=rows + 1,
        notes=tuple(notes),
        report=report,
    )


def _judgement(
    data: str,
    model_path: Path,
    classifier: Classifier,
    logits: Float[Tensor, "N K"],
    targets: Int[Tensor, " N"],
    *,
    rows: pl.DataFrame | UInt8[Tensor, "N C H W"],
    row_numbers: Int[Tensor, " N"],
    notes: tuple[str, ...],
    report: Path | None,
) -> Judgement:
    test = evaluate_logits(logits, targets, classifier.class_names)
    if report is not None:
        uncalibrated = evaluate_logits(logits * classifier.temperature, targets, classifier.class_names)
        page = report_data(
            classifier,
            test,
            logits,
            targets,
            data=data,
            model_path=model_path,
            rows=rows,
            uncalibrated=uncalibrated,
            row_numbers=row_numbers,
            notes=notes,
        )
        write_report(page, report)
    return Judgement(
        data=data, model_path=model_path, classifier=classifier, test=test, notes=notes, report_path=report
    )


def _notes(classifier: Classifier, frame: pl.DataFrame, strangers: Strangers) -> tuple[str, ...]:
    """What a reader of predictions must know of the table they were made from."""
    encoder = classifier.preprocessing
    on_cells = strangers.notes(encoder) if isinstance(encoder, TableEncoder) else ()
    return (*notes_on_columns(classifier, frame), *on_cells)


def _write_history(path: Path, history: tuple[dict[str, Any], ...]) -> None:
    with writing_whole(path) as temporary:
        temporary.write_text("".join(f"{json.dumps(record)}\n" for record in history), encoding="utf-8")


def _write_frame(path: Path, frame: pl.DataFrame) -> None:
    with writing_whole(path) as temporary:
        match path.suffix.lower():
            case ".csv":
                frame.write_csv(temporary)
            case ".parquet":
                frame.write_parquet(temporary)
            case ".jsonl":
                frame.write_ndjson(temporary)
            case ending:
                raise PolylogitError(f"{path}: the ending {ending!r} is not known.")
