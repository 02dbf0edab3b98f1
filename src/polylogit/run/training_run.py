"""The result of a training run, and its JSON object.

See also: `training.py`, which makes it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polylogit.calibration import CalibrationEffect, CalibrationFit, DecisionEvaluation, SetEvaluation
from polylogit.classifier import Classifier
from polylogit.data.tables.audit import Audit
from polylogit.evaluation import Evaluation, Summary
from polylogit.recipes import Recipe
from polylogit.report.conclusions import Conclusion, conclusions
from polylogit.report.label_check import LabelCheck
from polylogit.run.cross_validation import CrossValidation
from polylogit.run.model_selection import ModelChoice
from polylogit.run.penalty_choice import PenaltyChoice

__all__ = ["TrainingRun"]


@dataclass(frozen=True)
class TrainingRun:
    """The result of a training run.

    Args:
        data: The data's name.
        recipe: The recipe, complete.
        audit: What was found in the data; no errors, but perhaps warnings. None for a picture data set with a name.
        notes: What was left aside while the data were read, in sentences.
        classifier: The trained classifier.
        train: The main metrics on the training rows, which are optimistic.
        test: All metrics on the held-out rows; None where the recipe holds none out.
        test_uncalibrated: The main metrics of the same rows without calibration.
        sets: Coverage and size of prediction sets on the test rows; None without these, or without scores for sets.
        decisions: What the decisions cost on the test rows; None without these, or without costs and class shares.
        effect: What the calibration did to the test rows; None without these, or without a calibration.
        cross_validation: Metrics on every row, each scored by a model that was fitted without it; None where the
            recipe asks for none.
        calibration: The calibration and its evidence; None where the recipe asks for none.
        penalty: How C was chosen; None where the recipe names it, and for networks.
        selection: How the kind of model was chosen; None where the recipe names it.
        labels: The labels of the rows that were scored by models not fitted on them; None where there are none.
        epochs: Iterations of the solver, or epochs of the training loop.
        whole: Whether the fit ran to its end; False after an interrupt or a divergence.
        interrupted: Whether Ctrl-C cut it short.
        fit_message: Why the fit ended, in words.
        seconds: Wall time from reading the data to the written model file; evaluation and cross-validation come after.
        model_path: The model file.
        history_path: The file with one JSON object per epoch or iteration.
        report_path: The page; None where none was asked for, or no rows were held out.
        rows_per_process: How many of all rows each of several processes held; None where one process held all.
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
    decisions: DecisionEvaluation | None
    effect: CalibrationEffect | None
    cross_validation: CrossValidation | None
    calibration: CalibrationFit | None
    penalty: PenaltyChoice | None
    selection: ModelChoice | None
    labels: LabelCheck | None
    epochs: int
    whole: bool
    fit_message: str
    seconds: float
    model_path: Path
    history_path: Path
    report_path: Path | None
    rows_per_process: tuple[int, ...] | None = None
    replaced: tuple[Path, ...] = ()
    interrupted: bool = False

    @property
    def conclusions(self) -> tuple[Conclusion, ...]:
        """What follows from the test metrics; empty without test rows."""
        if self.test is None:
            return ()
        return conclusions(
            self.test,
            self.test_uncalibrated,
            self.calibration,
            cross_validated=self.cross_validation is not None,
            labels=self.labels,
            selection=None if self.selection is None else self.selection.as_json(),
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
            "calibration_effect": None if self.effect is None else self.effect.as_json(),
            "decisions": None if self.decisions is None else self.decisions.as_json(),
            "prediction_sets": None if self.sets is None else self.sets.as_json(),
            "cross_validation": None if self.cross_validation is None else self.cross_validation.as_json(),
            **self.classifier.calibration.as_json(),
            "calibration": None if self.calibration is None else self.calibration.as_json(),
            "penalty": None if self.penalty is None else self.penalty.as_json(),
            "selection": None if self.selection is None else self.selection.as_json(),
            "label_errors": None if self.labels is None else self.labels.as_json(),
            "seconds": round(self.seconds, 3),
            "processes": 1 if self.rows_per_process is None else len(self.rows_per_process),
            "rows_per_process": None if self.rows_per_process is None else list(self.rows_per_process),
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
