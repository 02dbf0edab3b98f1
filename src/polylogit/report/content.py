"""The contents of a report, as plain data; what is not given is left out of the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from polylogit.calibration import Calibration, CalibrationEffect, CalibrationFit, DecisionEvaluation, SetEvaluation
from polylogit.data.pictures.stored import StoredPictures
from polylogit.data.tables.audit import Audit
from polylogit.evaluation import ColumnImportance, Evaluation, Summary
from polylogit.report.conclusions import Conclusion, conclusions
from polylogit.report.effects import ColumnEffect
from polylogit.report.label_check import LabelCheck

__all__ = ["Coefficients", "ReportData"]


@dataclass(frozen=True, eq=False)
class Coefficients:
    """The weights of a linear model.

    Args:
        weight: One row of weights a class.
        feature_names: Name of each feature; empty for pictures.
        picture_shape: Channels, height and width where the features are pixels.
    """

    weight: Float[Tensor, "K D"]
    feature_names: tuple[str, ...] = ()
    picture_shape: tuple[int, int, int] | None = None


@dataclass(frozen=True, eq=False)
class ReportData:
    """Everything that a report shows. The first five are required, the others are shown where they are given.

    Args:
        data: The data's name.
        model: The kind of model.
        evaluation: The metrics on the evaluated rows.
        logits: The calibrated logits of these rows.
        targets: Their classes.
        sample_weight: Weight of each evaluated row, where rows carry one.
        rows_trained_on: How many rows the model was fitted to.
        uncalibrated: The main metrics of the same rows without calibration.
        logits_before: Their logits without calibration, where there was one.
        calibration: The map from the network's logits to the calibrated ones.
        calibration_fit: The evidence for it, where it is known.
        sets: Coverage and size of prediction sets on the evaluated rows, where there are any.
        decisions: What the decisions cost on the evaluated rows, where there are costs or class shares.
        labels: The check of the labels, where there was one.
        effect: What the calibration did to the evaluated rows, where there is one.
        selection: How the kind of model was chosen, as plain data; None where it was named.
        penalty: How C was chosen, as plain data; None where it was named, and for networks.
        history: One record for each epoch, as in the history file.
        pictures: The evaluated rows as pictures, in the order of `logits`.
        table: The evaluated rows as a table, in the same order.
        files: The file of each evaluated picture, where they came from files.
        occlusions: Occlusion maps of some of the pictures, by index.
        row_numbers: The number of each evaluated row in its file, counted from 1.
        coefficients: Of a linear model.
        importances: Of the columns of a table.
        effects: Of the columns of an additive model, the largest first.
        audit: The audit of the table; None where there was none.
        cross_validated: The main metrics of a cross-validation, which are then the headline.
        folds: The cross-validation with the scores of its folds, as plain data.
        foremost: The sentence on it.
        notes: What a reader must know to interpret the metrics.
        recipe: All options of the run, nested by section.
        facts: Other facts of the run by name: date, versions, seed, seconds, device.
        command: The command that repeats the run.
    """

    data: str
    model: str
    evaluation: Evaluation
    logits: Float[Tensor, "N K"]
    targets: Int[Tensor, " N"]
    sample_weight: Float[Tensor, " N"] | None = None
    rows_trained_on: int | None = None
    uncalibrated: Summary | None = None
    logits_before: Float[Tensor, "N K"] | None = None
    calibration: Calibration = field(default_factory=Calibration)
    calibration_fit: CalibrationFit | None = None
    sets: SetEvaluation | None = None
    decisions: DecisionEvaluation | None = None
    labels: LabelCheck | None = None
    effect: CalibrationEffect | None = None
    selection: Mapping[str, Any] | None = None
    penalty: Mapping[str, Any] | None = None
    history: Sequence[Mapping[str, int | float | None]] = ()
    pictures: UInt8[Tensor, "N C H W"] | StoredPictures | None = None
    table: pl.DataFrame | None = None
    files: Sequence[str] | None = None
    occlusions: Mapping[int, Float[Tensor, "h w"]] = field(default_factory=dict)
    row_numbers: Int[Tensor, " N"] | None = None
    coefficients: Coefficients | None = None
    importances: Sequence[ColumnImportance] = ()
    effects: Sequence[ColumnEffect] = ()
    audit: Audit | None = None
    cross_validated: Summary | None = None
    folds: Mapping[str, Any] | None = None
    foremost: str = ""
    notes: Sequence[str] = ()
    recipe: Mapping[str, object] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    command: str = ""

    @property
    def noun(self) -> str:
        """What one row is called."""
        return "row" if self.pictures is None else "picture"

    @property
    def nouns(self) -> str:
        """What several rows are called."""
        return f"{self.noun}s"

    @property
    def conclusions(self) -> tuple[Conclusion, ...]:
        """What follows from the metrics."""
        return conclusions(
            self.evaluation,
            self.uncalibrated,
            self.calibration_fit,
            cross_validated=self.cross_validated is not None,
            labels=self.labels,
            selection=self.selection,
        )
