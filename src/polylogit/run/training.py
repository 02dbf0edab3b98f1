"""A training run, from data and a recipe to an evaluated classifier and the files that it writes.

See also: `polylogit.run.fit`, the fit itself.
"""

import time
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import polars as pl
import torch
from jaxtyping import Int, Num
from torch import Tensor

from polylogit.calibration import Calibration, DecisionRule
from polylogit.classifier import Classifier, Scores
from polylogit.data.pictures.stored import StoredPictures
from polylogit.data.tables.encoder import TableEncoder
from polylogit.evaluation import Summary, summarise_logits
from polylogit.fitting.callbacks import TrainingCallback
from polylogit.fitting.devices import DeviceName
from polylogit.model_header import PICTURE_DIGEST_LENGTH, TrainedOn
from polylogit.networks.test_time_augmentation import without_test_time_augmentation
from polylogit.recipes import AdditiveRecipe, AutoRecipe, Recipe
from polylogit.report import write_report
from polylogit.report.label_check import LabelCheck
from polylogit.run.conformal_rows import conformal_scores
from polylogit.run.cross_validation import cross_validate, cross_validation_summary
from polylogit.run.decisions import class_shares, decision_rule
from polylogit.run.evaluated_rows import EvaluatedRows, evaluate_rows
from polylogit.run.fit import fit_model
from polylogit.run.fitted_model import FittedModel, TrainingPlace
from polylogit.run.label_check import label_check_of
from polylogit.run.model_selection import choose_model
from polylogit.run.output_paths import (
    check_report_ending,
    checkpoint_path,
    claimed_model_path,
    existing_outputs,
    history_path,
    report_paths,
)
from polylogit.run.replacing import check_outputs
from polylogit.run.report_contents import report_data
from polylogit.run.task import Task
from polylogit.run.task_reading import read_task
from polylogit.run.training_run import TrainingRun
from polylogit.run.worker_processes import rows_per_process
from polylogit.system.exclusive_lock import exclusive_lock
from polylogit.system.sparse_rows import SparseRows

__all__ = ["train"]

_ROWS_SCORED_AT_ONCE = 10_000
"""A multiple of the rows in a block of the network, so that the blocks are the same as for all rows at once."""


def train(
    data: str,
    recipe: Recipe,
    *,
    out: Path | None = None,
    report: Path | None = None,
    data_root: Path | None = None,
    device: DeviceName = "auto",
    resume: bool = False,
    callbacks: Sequence[TrainingCallback] = (),
    force: bool = False,
    allow_download: bool = False,
    observers: Sequence[TrainingCallback] | None = None,
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
        callbacks: Training callbacks, for networks and the solver alike; see `polylogit.fitting.callbacks`.
        force: Whether files that polylogit did not write may be replaced; those of earlier runs always are.
        allow_download: Whether the weights of a pretrained network may be downloaded where they are not installed.
        observers: Deprecated: the former name of `callbacks`.

    Returns:
        The classifier and its metrics. Each file is written atomically after the fit; only the history grows by a
        row as each epoch ends.

    Raises:
        DataError: The data are at fault.
        RecipeError: The recipe does not fit the data, a file to write is one of the data, or the report has an ending
            that is not known.
        ModelFileError: The checkpoint is damaged or of another run.
        DivergenceError: The loss became NaN or infinite before there were weights worth keeping.
        PolylogitError: Another run is writing the model file; or a file cannot be written, or is there already and
            polylogit did not write it.
    """
    if observers is not None:
        warnings.warn("train: observers is now called callbacks.", DeprecationWarning, stacklevel=2)
        callbacks = (*callbacks, *observers)
    check_report_ending(report)
    claimed = nullcontext(out) if out is not None else claimed_model_path(data, recipe.model.kind, resume=resume)
    with claimed as model_path:
        place = TrainingPlace(
            device=device,
            checkpoint=checkpoint_path(model_path),
            resume=resume,
            history=history_path(model_path),
            callbacks=tuple(callbacks),
        )
        return _train(
            data,
            recipe,
            place,
            model_path=model_path,
            report=report,
            data_root=data_root,
            force=force,
            allow_download=allow_download,
        )


def _train(
    data: str,
    recipe: Recipe,
    place: TrainingPlace,
    *,
    model_path: Path,
    report: Path | None,
    data_root: Path | None,
    force: bool,
    allow_download: bool,
) -> TrainingRun:
    start = time.perf_counter()
    checkpoint, history = checkpoint_path(model_path), history_path(model_path)
    reports = report_paths(model_path, report)
    inputs = [data] if recipe.data.test is None else [data, recipe.data.test]
    check_outputs([model_path, checkpoint, history, *reports], inputs, force=force)
    replaced = existing_outputs(model_path, report, resume=place.resume)
    recipe, task = read_task(data, recipe, data_root, allow_download=allow_download, callbacks=place.callbacks)
    selection = None
    if isinstance(recipe, AutoRecipe):
        recipe, task, selection = choose_model(task, recipe, place.callbacks)
    decision = decision_rule(task, recipe)  # costs that do not fit are an error before the fit
    with exclusive_lock(model_path):  # of two runs at once, rows of the history would interleave
        fit = fit_model(task, recipe, place=place)
        recipe, task = fit.recipe or recipe, fit.task or task
        classifier = _classifier(task, recipe, fit, decision)
        classifier.save(model_path)
        seconds = time.perf_counter() - start
        if fit.whole:
            checkpoint.unlink(missing_ok=True)
    train_summary, test = _evaluated(classifier, task)
    run = TrainingRun(
        data=task.name,
        recipe=recipe,
        audit=task.audit,
        notes=(*task.notes, *fit.notes),
        classifier=classifier,
        train=train_summary,
        test=None if test is None else test.evaluation,
        test_uncalibrated=None if test is None else test.uncalibrated,
        sets=None if test is None else test.sets,
        decisions=None if test is None else test.decisions,
        effect=None if test is None else test.effect,
        cross_validation=cross_validate(task, recipe, place.callbacks),
        calibration=fit.calibration,
        penalty=fit.penalty,
        selection=selection,
        labels=_label_check(task, fit, test),
        epochs=fit.epochs,
        whole=fit.whole,
        interrupted=fit.interrupted and not fit.whole,
        fit_message=fit.message,
        seconds=seconds,
        model_path=model_path,
        history_path=history,
        report_path=None if test is None else report,
        rows_per_process=rows_per_process(),
        replaced=tuple(path for path in replaced if test is not None or path not in reports),
    )
    if test is not None and report is not None:
        _write_reports(reports, run, test, fit, _rows_of_effects(task, recipe))
    return run


def _rows_of_effects(task: Task, recipe: Recipe) -> pl.DataFrame | None:
    """The cells of the training rows, where the report shows effects that are centred on them."""
    columns = task.encoder.columns if isinstance(task.encoder, TableEncoder) else ()
    if not columns or not (isinstance(recipe, AdditiveRecipe) or any(column.type == "text" for column in columns)):
        return None
    rows = task.raw(task.split.train)
    return rows if isinstance(rows, pl.DataFrame) else None


def _write_reports(
    paths: Sequence[Path],
    run: TrainingRun,
    test: EvaluatedRows,
    fit: FittedModel,
    training_rows: pl.DataFrame | None,
) -> None:
    validated = run.cross_validation
    page = report_data(
        run.classifier,
        test,
        data=run.data,
        model_path=run.model_path,
        calibration=run.calibration,
        labels=run.labels,
        foremost="" if validated is None else cross_validation_summary(validated, len(test.targets)),
        history=fit.history,
        audit=run.audit,
        cross_validated=None if validated is None else validated.summary,
        folds=None if validated is None else validated.as_json(),
        selection=None if run.selection is None else run.selection.as_json(),
        penalty=None if run.penalty is None else run.penalty.as_json(),
        facts={
            "fit": run.fit_message,
            **({} if run.selection is None else {"model": run.selection.in_words}),
            **({} if run.penalty is None else {"penalty": run.penalty.in_words}),
            "seconds": f"{run.seconds:.1f}",
        },
        training_rows=training_rows,
    )
    for path in paths:
        write_report(page, path)


def _classifier(task: Task, recipe: Recipe, fit: FittedModel, decision: DecisionRule | None) -> Classifier:
    classifier = Classifier(
        preprocessing=task.encoder,
        network=fit.network,
        network_spec=fit.spec,
        class_names=task.class_names,
        decision=decision,
        calibration=Calibration() if fit.calibration is None else fit.calibration.calibration,
        trained_on=TrainedOn(
            data=task.name,
            target=task.target,
            fingerprint=task.fingerprint,
            rows_train=len(task.split.train),
            rows_test=len(task.split.test),
            threads=torch.get_num_threads(),
            class_shares=class_shares(task, recipe),
            pictures=_pictures_seen(task),
        ),
        recipe=recipe.as_entries(),
    )
    return replace(classifier, conformal=conformal_scores(classifier, task, recipe, fit))


def _pictures_seen(task: Task) -> list[str] | None:
    """The starts of the digests of the picture files that the model was fitted or calibrated on."""
    if not task.digests:
        return None
    held_out = set(task.split.test.tolist())
    seen = {task.digests[row] for row in task.rows.known.tolist() if row not in held_out}
    return sorted(digest[:PICTURE_DIGEST_LENGTH] for digest in seen)


def _evaluated(classifier: Classifier, task: Task) -> tuple[Summary, EvaluatedRows | None]:
    """The main metrics on the training rows, and all metrics on the test rows where there are any."""
    split, rows = task.split, task.rows
    with without_test_time_augmentation(classifier.network):  # it multiplies the time, and the training rows are many
        train = _score(classifier, rows.inputs, split.train)
    summary = summarise_logits(train.logits, rows.targets[split.train], sample_weight=task.weights_of(split.train))
    if not len(split.test):
        return summary, None
    return summary, evaluate_rows(
        classifier,
        _score(classifier, rows.inputs, split.test),
        rows.targets[split.test],
        raw=task.raw(split.test),
        numbers=split.test + 1 - task.rows_before_test,
        files=tuple(str(task.locate(row + 1)[0]) for row in split.test.tolist()) if task.digests else None,
        weights=task.weights_of(split.test),
    )


def _score(
    classifier: Classifier, inputs: Num[Tensor, "N ..."] | StoredPictures | SparseRows, index: Int[Tensor, " M"]
) -> Scores:
    """The scores of some rows, without a copy of all of them."""
    parts = [classifier.score(inputs[some]) for some in torch.split(index, _ROWS_SCORED_AT_ONCE)]
    return Scores(*map(torch.cat, zip(*parts, strict=True)))


def _label_check(task: Task, fit: FittedModel, test: EvaluatedRows | None) -> LabelCheck | None:
    """The check of the labels of the test rows, and of the training rows that the calibration was fitted to."""
    rows, logits = [], []
    if test is not None:
        rows, logits = [task.split.test], [test.network_logits]
    if fit.held_out is not None:
        rows.append(fit.held_out.rows)
        logits.append(fit.held_out.logits)
    return label_check_of(task, torch.cat(rows), torch.cat(logits)) if rows else None
