"""The runs: recipe -> data -> fit -> evaluate -> classifier, and a saved classifier on new data.

The only place where the floors below are put together. Owns the order of the steps and what is written where. It
prints nothing: results are returned, progress goes to a callback.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.classes import balanced_class_weight, class_indices, ordered_class_names
from polylogit.classifier import Classifier
from polylogit.data.column_types import Reading, asked_reading
from polylogit.data.columns import read_columns
from polylogit.data.delimited import Dialect
from polylogit.data.encoder import Strangers, TableEncoder
from polylogit.data.sources import TableSource, open_source
from polylogit.data.split import stratified_split
from polylogit.data.type_inference import select_features
from polylogit.errors import DataError, PolylogitError, RecipeError, did_you_mean
from polylogit.evaluation import Evaluation, TemperatureFit, evaluate_logits, fit_temperature
from polylogit.fitting.convex import IterationRecord, LinearFit, fit_softmax_regression
from polylogit.fitting.held_out import held_out_logits
from polylogit.model_header import NetworkSpec, TrainedOn
from polylogit.networks import LinearNetwork
from polylogit.recipe import Recipe
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

PREDICTION_ENDINGS = (".csv", ".parquet", ".jsonl")

HELD_OUT_TOLERANCE = 1e-3
"""How exact the fits need to be that only serve the calibration; those of the classifier itself keep the recipe's."""


@dataclass(frozen=True)
class TrainingRun:
    """What a training run gives.

    Args:
        data: The data's name.
        recipe: The recipe, complete.
        classifier: The trained classifier.
        train: Figures on the rows trained on.
        test: Figures on the rows held out.
        test_uncalibrated: The same with temperature 1.
        calibration: The temperature and what it rests on; None where the recipe wants none.
        epochs: Outer iterations of the solver.
        fit_message: How the fit ended, in words.
        seconds: Wall time from reading the data to the written model.
        model_path: The model file.
        history_path: One JSON object per epoch.
    """

    data: str
    recipe: Recipe
    classifier: Classifier
    train: Evaluation
    test: Evaluation
    test_uncalibrated: Evaluation
    calibration: TemperatureFit | None
    epochs: int
    fit_message: str
    seconds: float
    model_path: Path
    history_path: Path

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
            "seed": self.recipe.seed,
            "model_path": str(self.model_path),
            "history_path": str(self.history_path),
            "report_path": None,
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
    """

    data: str
    model_path: Path
    classifier: Classifier
    test: Evaluation
    notes: tuple[str, ...]

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
            "report_path": None,
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Predictions:
    """What `predict` gives.

    Args:
        frame: The column `class`, then one column `probability_NAME` per class; rows in the order of the data.
        notes: Columns left aside and values never seen in training.
    """

    frame: pl.DataFrame
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
    recipe: Recipe,
    *,
    out: Path | None = None,
    on_iteration: Callable[[IterationRecord], None] | None = None,
) -> TrainingRun:
    """Train a classifier, judge it on held-out rows, and keep it.

    Args:
        data: What stands for DATA on the command line.
        recipe: Everything else that the run depends on. The same data, recipe and versions give the same model file.
        out: The model file; `history.jsonl` is written beside it.
        on_iteration: Called after each outer iteration of the solver.

    Returns:
        The classifier and its figures. Files are written whole, after the fit, or not at all.

    Raises:
        DataError: The data are at fault.
        RecipeError: The recipe does not fit the data.
        PolylogitError: A file cannot be written.
    """
    start = time.perf_counter()
    model_path = out or default_model_path(data, recipe.model.kind)
    source = open_source(data, _dialect(recipe))
    recipe = _with_target(recipe, source)
    labels = _labels(source, str(recipe.data.target))
    features, readings = select_features(
        source.frame,
        leave_out=[str(recipe.data.target), *recipe.data.drop],
        asked={name: asked_reading(words) for name, words in recipe.data.columns.items()},
        drop_unusable=recipe.data.free_text == "drop",
        place=source.name,
    )
    class_names = _class_names(labels, source.name)
    targets = class_indices(labels, class_names)
    split = stratified_split(targets, recipe.data.test_fraction, recipe.seed)

    encoder = TableEncoder.fit(features, source.name, split.train, readings)
    inputs = encoder.encode(features, source.name)
    history: list[IterationRecord] = []

    def record(iteration: IterationRecord) -> None:
        history.append(iteration)
        if on_iteration is not None:
            on_iteration(iteration)

    fit = _fit_linear(inputs[split.train], targets[split.train], len(class_names), recipe, record)
    calibration = _calibrate(inputs[split.train], targets[split.train], len(class_names), recipe)
    classifier = Classifier(
        preprocessing=encoder,
        network=LinearNetwork.with_weights(fit.weight, fit.bias),
        network_spec=NetworkSpec(kind="linear", options={"features": encoder.features, "classes": len(class_names)}),
        class_names=class_names,
        temperature=1.0 if calibration is None else calibration.temperature,
        trained_on=TrainedOn(
            data=source.name,
            target=str(recipe.data.target),
            fingerprint=source.fingerprint,
            rows_train=len(split.train),
            rows_test=len(split.test),
        ),
        recipe=recipe.as_entries(),
    )
    train_logits, test_logits = (classifier.logits_of_inputs(inputs[rows]) for rows in (split.train, split.test))
    history_path = model_path.with_name("history.jsonl")
    classifier.save(model_path)
    _write_history(history_path, history)
    return TrainingRun(
        data=source.name,
        recipe=recipe,
        classifier=classifier,
        train=evaluate_logits(train_logits, targets[split.train], class_names),
        test=evaluate_logits(test_logits, targets[split.test], class_names),
        test_uncalibrated=evaluate_logits(test_logits * classifier.temperature, targets[split.test], class_names),
        calibration=calibration,
        epochs=fit.iterations,
        fit_message=f"{fit.iterations} iterations: {fit.message}",
        seconds=time.perf_counter() - start,
        model_path=model_path,
        history_path=history_path,
    )


def evaluate(model_path: Path, data: str) -> Judgement:
    """Judge a saved classifier on rows with known classes.

    Where the data are the very file that the model was trained on, only the rows held out then are judged.

    Args:
        model_path: A model file.
        data: What stands for DATA on the command line; it holds the target column too.

    Returns:
        The figures.

    Raises:
        ModelFileError: The model file is at fault.
        DataError: The data are at fault, or hold a class that the model does not know.
    """
    classifier = Classifier.load(model_path)
    source = open_source(data, _dialect(Recipe.from_entries(classifier.recipe)))
    trained_on = classifier.trained_on
    labels = _labels(source, trained_on.target)
    targets = _known_indices(labels, classifier.class_names, source.name, trained_on.target)
    frame = source.frame
    notes = []
    if source.fingerprint == trained_on.fingerprint:
        recipe = Recipe.from_entries(classifier.recipe)
        rows = stratified_split(targets, recipe.data.test_fraction, recipe.seed).test
        frame, targets = frame[rows.numpy()], targets[rows]
        notes.append(
            f"{source.name} is what the model was trained on: only the {len(rows)} rows held out then are judged."
        )
    logits, strangers = classifier.logits_counting(frame, source.name)
    notes = [*_notes(classifier, frame, strangers), *notes]
    return Judgement(
        data=source.name,
        model_path=model_path,
        classifier=classifier,
        test=evaluate_logits(logits, targets, classifier.class_names),
        notes=tuple(notes),
    )


def predict(model_path: Path, data: str, out: Path | None = None) -> Predictions:
    """Predict the class of each row, with a probability per class.

    Args:
        model_path: A model file.
        data: What stands for DATA on the command line; columns in any order, the target need not be there.
        out: Where to write the predictions: .csv, .parquet or .jsonl; nowhere when left out.

    Returns:
        The predictions.

    Raises:
        ModelFileError: The model file is at fault.
        DataError: The data are at fault.
        PolylogitError: The predictions cannot be written, or their ending is not known.
    """
    if out is not None and out.suffix.lower() not in PREDICTION_ENDINGS:
        raise RecipeError(f"--out {out}: the ending is not known. Expected one of {', '.join(PREDICTION_ENDINGS)}.")
    classifier = Classifier.load(model_path)
    source = open_source(data, _dialect(Recipe.from_entries(classifier.recipe)))
    logits, strangers = classifier.logits_counting(source.frame, source.name)
    probabilities = torch.softmax(logits, dim=1)
    names = [classifier.class_names[index] for index in probabilities.argmax(dim=1).tolist()]
    columns: dict[str, Any] = {"class": names}
    for index, name in enumerate(classifier.class_names):
        columns[f"probability_{name}"] = probabilities[:, index].numpy()
    frame = pl.DataFrame(columns)
    if out is not None:
        _write_frame(out, frame)
    return Predictions(frame=frame, notes=_notes(classifier, source.frame, strangers))


def _dialect(recipe: Recipe) -> Dialect:
    return Dialect(separator=recipe.data.separator, encoding=recipe.data.encoding)


def _with_target(recipe: Recipe, source: TableSource) -> Recipe:
    """The recipe with the target that the source itself knows, where the recipe names none."""
    if recipe.data.target is not None:
        return recipe
    if source.target is None:
        listed = ", ".join(source.frame.columns[-8:])
        raise RecipeError(
            f"{source.name}: which column holds the classes? Name it with --target; the last columns are: {listed}."
        )
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"target": source.target})})


def _labels(source: TableSource, target: str) -> list[str]:
    if target not in source.frame.columns:
        raise DataError(
            f'{source.name}: there is no column "{target}" to take the classes from.'
            f"{did_you_mean(target, source.frame.columns)}"
        )
    series = read_columns(source.frame, {target: Reading("category")}, source.name)[target]
    if series.null_count():
        row = int(series.is_null().arg_max() or 0)
        raise DataError(
            f'{source.name}, column "{target}", row {row + 1}: the class is missing ({series.null_count()} of '
            f"{len(series)} rows). Drop these rows, or write a class name into them."
        )
    labels: list[str] = series.to_list()
    return labels


def _class_names(labels: list[str], place: str) -> tuple[str, ...]:
    class_names = ordered_class_names(labels)
    if len(class_names) < 2:
        raise DataError(
            f'{place}: every row is of the class "{class_names[0]}". Expected at least two classes; is the target '
            "column the right one?"
        )
    return class_names


def _known_indices(labels: list[str], class_names: tuple[str, ...], place: str, target: str) -> Int[Tensor, " N"]:
    try:
        return class_indices(labels, class_names)
    except DataError as fault:
        raise DataError(f'{place}, column "{target}", {fault}') from fault


def _fit_linear(
    inputs: Tensor, targets: Tensor, classes: int, recipe: Recipe, record: Callable[[IterationRecord], None] | None
) -> LinearFit:
    training = recipe.training
    balanced = training.class_weight == "balanced"
    return fit_softmax_regression(
        inputs,
        targets,
        classes=classes,
        C=training.C,
        sample_weight=balanced_class_weight(targets, classes)[targets] if balanced else None,
        tolerance=training.tolerance,
        max_iterations=training.epochs,
        on_iteration=record,
    )


def _calibrate(inputs: Tensor, targets: Tensor, classes: int, recipe: Recipe) -> TemperatureFit | None:
    """A temperature from training rows, each scored by a model that was fitted without it."""
    if recipe.calibration.method == "none":
        return None
    looser = recipe.training.model_copy(update={"tolerance": max(recipe.training.tolerance, HELD_OUT_TOLERANCE)})
    recipe = recipe.model_copy(update={"training": looser})

    def fit_and_score(fitted: Int[Tensor, " A"], scored: Int[Tensor, " B"]) -> Float[Tensor, "B K"]:
        fit = _fit_linear(inputs[fitted], targets[fitted], classes, recipe, record=None)
        return (inputs[scored].double() @ fit.weight.T.double() + fit.bias.double()).float()

    held_out = held_out_logits(targets, fit_and_score, seed=recipe.seed)
    return None if held_out is None else fit_temperature(held_out.logits, targets[held_out.rows])


def _notes(classifier: Classifier, frame: pl.DataFrame, strangers: Strangers) -> tuple[str, ...]:
    """What a reader of predictions must know of the table they were made from."""
    notes = []
    others = classifier.preprocessing.other_columns(frame)
    others = tuple(name for name in others if name != classifier.trained_on.target)
    if others:
        listed = ", ".join(others[:10]) + (", …" if len(others) > 10 else "")
        notes.append(f"columns that the model does not use: {listed}.")
    return (*notes, *strangers.notes(classifier.preprocessing))


def _write_history(path: Path, history: list[IterationRecord]) -> None:
    lines = [
        json.dumps(
            {
                "epoch": record.iteration,
                "objective": record.objective,
                "optimality_gap": record.optimality_gap,
                "seconds": round(record.seconds, 6),
            }
        )
        for record in history
    ]
    with writing_whole(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


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
