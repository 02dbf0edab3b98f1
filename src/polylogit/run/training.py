"""A training run, from data and a recipe to an evaluated classifier and the files that it writes.

See also: `polylogit.run.fit`, the fit itself.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from polylogit.calibration import Calibration, CalibrationFit, SetEvaluation
from polylogit.classifier import Classifier
from polylogit.data.pictures.names import stands_for_pictures
from polylogit.data.tables.audit import Audit
from polylogit.evaluation import Evaluation, Summary, summarise_logits
from polylogit.fitting.callbacks import TrainingCallback
from polylogit.fitting.devices import DeviceName
from polylogit.model_header import TrainedOn
from polylogit.networks.test_time_augmentation import without_test_time_augmentation
from polylogit.recipes import Recipe
from polylogit.report import write_report
from polylogit.report.conclusions import Conclusion, conclusions
from polylogit.run.conformal_rows import conformal_scores
from polylogit.run.cross_validation import CrossValidation, cross_validate, cross_validation_told
from polylogit.run.evaluated_rows import EvaluatedRows, evaluate_rows
from polylogit.run.fit import FittedModel, TrainingPlace, fit_model
from polylogit.run.output_paths import checkpoint_path, claimed_model_path, existing_outputs, history_path, report_paths
from polylogit.run.picture_task import picture_task
from polylogit.run.replacing import check_outputs
from polylogit.run.report_contents import report_data
from polylogit.run.table_task import table_task
from polylogit.run.task import Task

__all__ = ["TrainingRun", "train"]


@dataclass(frozen=True)
class TrainingRun:
    """The result of a training run.

    Args:
        data: The data's name.
        recipe: The recipe, complete.
        audit: What was found in a table; no errors, but perhaps warnings. None for pictures.
        notes: What was left aside while the data were read, in sentences.
        classifier: The trained classifier.
        train: The main metrics on the training rows, which are optimistic.
        test: All metrics on the held-out rows; None where the recipe holds none out.
        test_uncalibrated: The main metrics of the same rows without calibration.
        sets: Coverage and size of prediction sets on the test rows; None without these, or without scores for sets.
        cross_validation: Metrics on every row, each scored by a model that was fitted without it; None where the
            recipe asks for none.
        calibration: The calibration and its evidence; None where the recipe asks for none.
        epochs: Iterations of the solver, or epochs of the training loop.
        whole: Whether the fit ran to its end; False after an interrupt or a divergence.
        fit_message: Why the fit ended, in words.
        seconds: Wall time from reading the data to the written model file; evaluation and cross-validation come after.
        model_path: The model file.
        history_path: The file with one JSON object per epoch or iteration.
        report_path: The page; None where none was asked for, or no rows were held out.
        replaced: Files of earlier runs that this run has replaced.
    """

    data: str
    recipe: Recipe
    audit: Audit | None
    notes: tuple[str, ...]
    classifier: Classifier
    train: Summary
    test: Evaluation | None
    test_uncalibrated: Summary | None
    sets: SetEvaluation | None
    cross_validation: CrossValidation | None
    calibration: CalibrationFit | None
    epochs: int
    whole: bool
    fit_message: str
    seconds: float
    model_path: Path
    history_path: Path
    report_path: Path | None
    replaced: tuple[Path, ...] = ()

    @property
    def conclusions(self) -> tuple[Conclusion, ...]:
        """What follows from the test metrics; empty without test rows."""
        if self.test is None:
            return ()
        return conclusions(
            self.test, self.test_uncalibrated, self.calibration, cross_validated=self.cross_validation is not None
        )

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
            "prediction_sets": None if self.sets is None else self.sets.as_json(),
            "cross_validation": None if self.cross_validation is None else self.cross_validation.as_json(),
            **self.classifier.calibration.as_json(),
            "calibration": None if self.calibration is None else self.calibration.as_json(),
            "seconds": round(self.seconds, 3),
            "epochs": self.epochs,
            "whole": self.whole,
            "fit_message": self.fit_message,
            "conclusions": [conclusion.as_json() for conclusion in self.conclusions],
            "target": self.classifier.trained_on.target,
            "seed": self.recipe.seed,
            "notes": list(self.notes),
            "warnings": [] if self.audit is None else [str(finding) for finding in self.audit.of("warning")],
            "model_path": str(self.model_path),
            "history_path": str(self.history_path),
            "report_path": None if self.report_path is None else str(self.report_path),
            "replaced": [str(path) for path in self.replaced],
        }


def train(
    data: str,
    recipe: Recipe,
    *,
    out: Path | None = None,
    report: Path | None = None,
    data_root: Path | None = None,
    device: DeviceName = "auto",
    resume: bool = False,
    observers: Sequence[TrainingCallback] = (),
    force: bool = False,
) -> TrainingRun:
    """Train a classifier, evaluate it on held-out rows, and write the model file.

    Args:
        data: DATA as given on the command line.
        recipe: Everything else that the run depends on. The same data, recipe, device and versions give the same
            model file.
        out: The model file; the history is written beside it, and while a network is fitted its checkpoint. Left out:
            in a new folder in `runs/`; see `polylogit.run.output_paths`.
        report: The file of the report: .html, .json or .md; none is written when left out, or when no rows are held
            out. At its default place beside the model file all three are written.
        data_root: Directory for downloaded data sets; see `polylogit.data.pictures.sources`.
        device: Where a network is fitted; linear models are fitted on the CPU.
        resume: Whether to resume from the checkpoint of an interrupted run of the same recipe on the same data.
        observers: Training callbacks, for networks and the solver alike; see `polylogit.fitting.callbacks`.
        force: Whether files that polylogit did not write may be replaced; those of earlier runs always are.

    Returns:
        The classifier and its metrics. Each file is written atomically after the fit; only the history grows by a
        row as each epoch ends.

    Raises:
        DataError: The data are at fault.
        RecipeError: The recipe does not fit the data, or a file to write is one of the data.
        ModelFileError: The checkpoint is damaged or of another run.
        DivergenceError: The loss became NaN or infinite before there were weights worth keeping.
        PolylogitError: A file cannot be written, or is there already and polylogit did not write it.
    """
    if out is None:
        with claimed_model_path(data, recipe.model.kind, resume=resume) as model_path:
            return train(
                data,
                recipe,
                out=model_path,
                report=report,
                data_root=data_root,
                device=device,
                resume=resume,
                observers=observers,
                force=force,
            )
    start = time.perf_counter()
    checkpoint, history = checkpoint_path(out), history_path(out)
    inputs = [data] if recipe.data.test is None else [data, recipe.data.test]
    check_outputs([out, checkpoint, history, *report_paths(out, report)], inputs, force=force)
    replaced = existing_outputs(out, report, resume=resume)
    if stands_for_pictures(data) or recipe.data.path is not None:
        task = picture_task(data, recipe, data_root)
    else:
        recipe, task = table_task(data, recipe)
    place = TrainingPlace(
        device=device, checkpoint=checkpoint, resume=resume, history=history, observers=tuple(observers)
    )
    fit = fit_model(task, recipe, place=place)
    classifier = _classifier(task, recipe, fit)
    classifier = replace(classifier, conformal=conformal_scores(classifier, task, recipe, fit.calibration))
    classifier.save(out)
    seconds = time.perf_counter() - start
    if fit.whole:
        checkpoint.unlink(missing_ok=True)
    train_summary, test = _evaluated(classifier, task)
    cross_validation = cross_validate(task, recipe, observers)
    report_path = None if test is None else report
    if test is not None and report_path is not None:
        page = report_data(
            classifier,
            test,
            data=task.name,
            model_path=out,
            calibration=fit.calibration,
            foremost="" if cross_validation is None else cross_validation_told(cross_validation, len(test.targets)),
            history=fit.history,
            audit=task.audit,
            cross_validated=None if cross_validation is None else cross_validation.summary,
            facts={"fit": fit.message, "seconds": f"{seconds:.1f}"},
        )
        for path in report_paths(out, report_path):
            write_report(page, path)
    return TrainingRun(
        data=task.name,
        recipe=recipe,
        audit=task.audit,
        notes=task.notes,
        classifier=classifier,
        train=train_summary,
        test=None if test is None else test.evaluation,
        test_uncalibrated=None if test is None else test.uncalibrated,
        sets=None if test is None else test.sets,
        cross_validation=cross_validation,
        calibration=fit.calibration,
        epochs=fit.epochs,
        whole=fit.whole,
        fit_message=fit.message,
        seconds=seconds,
        model_path=out,
        history_path=history,
        report_path=report_path,
        replaced=tuple(path for path in replaced if report_path is not None or path not in report_paths(out, report)),
    )


def _classifier(task: Task, recipe: Recipe, fit: FittedModel) -> Classifier:
    return Classifier(
        preprocessing=task.encoder,
        network=fit.network,
        network_spec=fit.spec,
        class_names=task.class_names,
        calibration=Calibration() if fit.calibration is None else fit.calibration.calibration,
        trained_on=TrainedOn(
            data=task.name,
            target=task.target,
            fingerprint=task.fingerprint,
            rows_train=len(task.split.train),
            rows_test=len(task.split.test),
        ),
        recipe=recipe.as_entries(),
    )


def _evaluated(classifier: Classifier, task: Task) -> tuple[Summary, EvaluatedRows | None]:
    """The main metrics on the training rows, and all metrics on the test rows where there are any."""
    split, rows = task.split, task.rows
    with without_test_time_augmentation(classifier.network):  # it multiplies the time, and the training rows are many
        train = classifier.score(rows.inputs[split.train])
    summary = summarise_logits(train.logits, rows.targets[split.train], sample_weight=task.weights_of(split.train))
    if not len(split.test):
        return summary, None
    return summary, evaluate_rows(
        classifier,
        classifier.score(rows.inputs[split.test]),
        rows.targets[split.test],
        raw=task.raw(split.test),
        numbers=split.test + 1 - task.rows_before_test,
        weights=task.weights_of(split.test),
    )
