"""A training run: recipe -> data -> fit -> evaluate -> classifier, and the files that it leaves.

Owns the order of the steps and what is written where. What a fit is stands in `polylogit.run.fit`.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from polylogit.calibration import CalibrationFit
from polylogit.classifier import Classifier
from polylogit.data.pictures.names import stands_for_pictures
from polylogit.data.tables.audit import Audit
from polylogit.evaluation import Evaluation, Summary, evaluate_logits, summarise_logits
from polylogit.fitting.callbacks import FitObserver
from polylogit.fitting.devices import DeviceName
from polylogit.model_header import TrainedOn, VectorScaling
from polylogit.networks.test_time_augmentation import takes_many_views, without_test_time_augmentation
from polylogit.recipes.recipe import Recipe
from polylogit.report import write_report
from polylogit.run.cross_validation import CrossValidation, cross_validate, cross_validation_told
from polylogit.run.fit import Progress, TrainingPlace, fit_model
from polylogit.run.picture_task import picture_task
from polylogit.run.report_contents import report_data
from polylogit.run.table_task import table_task

__all__ = ["TrainingRun", "checkpoint_path", "default_model_path", "train"]


@dataclass(frozen=True)
class TrainingRun:
    """What a training run gives.

    Args:
        data: The data's name.
        recipe: The recipe, complete.
        audit: What was found in a table; no errors, but perhaps warnings. None for pictures.
        classifier: The trained classifier.
        train: The first figures on the rows trained on.
        test: All figures on the rows held out; None where the recipe holds none out.
        test_uncalibrated: The first of them without calibration.
        cross_validation: Figures on every row, each from a model that has not seen it; None where they are not wanted.
        calibration: What it is and what it rests on; None where the recipe wants none.
        epochs: Iterations of the solver, or epochs of the loop.
        whole: Whether the fit came to its own end; False after an interrupt or a divergence.
        fit_message: How the fit ended, in words.
        seconds: Wall time from reading the data to the written model.
        model_path: The model file.
        history_path: One JSON object per epoch.
        report_path: The page; None where none was asked for, or no rows were held out.
    """

    data: str
    recipe: Recipe
    audit: Audit | None
    classifier: Classifier
    train: Summary
    test: Evaluation | None
    test_uncalibrated: Summary | None
    cross_validation: CrossValidation | None
    calibration: CalibrationFit | None
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
            "test": None if self.test is None else self.test.as_json(),
            "test_uncalibrated": None if self.test_uncalibrated is None else self.test_uncalibrated.as_json(),
            "cross_validation": None if self.cross_validation is None else self.cross_validation.as_json(),
            **self.classifier.calibration_as_json(),
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


def default_model_path(data: str, kind: str) -> Path:
    """`runs/<data>-<model>/model.safetensors`.

    Example:
        >>> default_model_path("tables/wine.csv", "linear").as_posix()
        'runs/wine-linear/model.safetensors'
    """
    return Path("runs") / f"{Path(data).stem}-{kind}" / "model.safetensors"


def checkpoint_path(model_path: Path) -> Path:
    """The file that keeps the state of a network's fit until it ends.

    Example:
        >>> checkpoint_path(Path("runs/zoo-mlp/model.safetensors")).as_posix()
        'runs/zoo-mlp/model.checkpoint.safetensors'
    """
    return model_path.with_name(f"{model_path.stem}.checkpoint.safetensors")


def train(
    data: str,
    recipe: Recipe,
    *,
    out: Path | None = None,
    report: Path | None = None,
    data_root: Path | None = None,
    device: DeviceName = "auto",
    resume: bool = False,
    on_progress: Progress | None = None,
    observers: Sequence[FitObserver] = (),
) -> TrainingRun:
    """Train a classifier, judge it on held-out rows, and keep it.

    Args:
        data: What stands for DATA on the command line.
        recipe: Everything else that the run depends on. The same data, recipe, device and versions give the same
            model file.
        out: The model file; `history.jsonl` is written beside it, and while a network is fitted its checkpoint.
        report: Where to write the report, an HTML page; nowhere when left out, or when no rows are held out to judge.
        data_root: Where data sets with a name lie; see `polylogit.data.pictures.sources`.
        device: Where a network is fitted; linear models are fitted on the CPU.
        resume: Whether to go on from the checkpoint of a run of the same recipe on the same data that was cut.
        on_progress: Called after each iteration of the solver, or each epoch.
        observers: Are told how the fit of a network goes; see `polylogit.fitting.callbacks`.

    Returns:
        The classifier and its figures. Files are written whole, after the fit, or not at all; only `history.jsonl`
        grows by a row as each epoch ends.

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
        task = picture_task(data, recipe, data_root)
    else:
        recipe, task = table_task(data, recipe)
    checkpoint = checkpoint_path(model_path)
    history_path = model_path.with_name("history.jsonl")
    place = TrainingPlace(
        device=device, checkpoint=checkpoint, resume=resume, history=history_path, observers=tuple(observers)
    )
    fit = fit_model(task, recipe, place=place, on_progress=on_progress)
    split, targets = task.split, task.targets
    classifier = Classifier(
        preprocessing=task.encoder,
        network=fit.network,
        network_spec=fit.spec,
        class_names=task.class_names,
        temperature=1.0 if fit.calibration is None else fit.calibration.temperature,
        curve=None if fit.calibration is None else fit.calibration.curve,
        floor=0.0 if fit.calibration is None else fit.calibration.floor,
        vector_scaling=_vector_scaling(fit.calibration),
        trained_on=TrainedOn(
            data=task.name,
            target=task.target,
            fingerprint=task.fingerprint,
            rows_train=len(split.train),
            rows_test=len(split.test),
        ),
        recipe=recipe.as_entries(),
    )
    classifier.save(model_path)
    if fit.whole:
        checkpoint.unlink(missing_ok=True)
    network_alone = classifier.uncalibrated
    with without_test_time_augmentation(fit.network):  # the training rows are many
        network_logits = network_alone.logits_of_inputs(task.inputs)
    train_logits = classifier.calibrate(network_logits[split.train])
    test_logits_before = network_logits[split.test]
    if takes_many_views(fit.network):
        test_logits_before = network_alone.logits_of_inputs(task.inputs[split.test])
    test_logits = classifier.calibrate(test_logits_before)
    cross_validation = cross_validate(task, recipe)
    test_targets, test_weights = targets[split.test], task.weights_of(split.test)
    test = uncalibrated = None
    if len(split.test):
        test = evaluate_logits(test_logits, test_targets, task.class_names, sample_weight=test_weights)
        uncalibrated = summarise_logits(test_logits_before, test_targets, sample_weight=test_weights)
    seconds = time.perf_counter() - start
    report = None if test is None else report
    if report is not None and test is not None:
        page = report_data(
            classifier,
            test,
            test_logits,
            test_targets,
            data=task.name,
            model_path=model_path,
            rows=task.inputs[split.test] if task.table is None else task.table[split.test.numpy()],
            sample_weight=test_weights,
            logits_before=test_logits_before,
            uncalibrated=uncalibrated,
            calibration=fit.calibration,
            row_numbers=split.test + 1 - task.rows_before_test,
            foremost="" if cross_validation is None else cross_validation_told(cross_validation, len(split.test)),
            history=fit.history,
            findings=None if task.audit is None else [str(finding) for finding in task.audit.findings],
            facts={"fit": fit.message, "seconds": f"{seconds:.1f}"},
        )
        write_report(page, report)
    return TrainingRun(
        data=task.name,
        recipe=recipe,
        audit=task.audit,
        classifier=classifier,
        train=summarise_logits(train_logits, targets[split.train], sample_weight=task.weights_of(split.train)),
        test=test,
        test_uncalibrated=uncalibrated,
        cross_validation=cross_validation,
        calibration=fit.calibration,
        epochs=fit.epochs,
        whole=fit.whole,
        fit_message=fit.message,
        seconds=seconds,
        model_path=model_path,
        history_path=history_path,
        report_path=report,
    )


def _vector_scaling(calibration: CalibrationFit | None) -> VectorScaling | None:
    taken = None if calibration is None else calibration.vector_taken
    return None if taken is None else VectorScaling(scale=list(taken.scale), bias=list(taken.bias))
