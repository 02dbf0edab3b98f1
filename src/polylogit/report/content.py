"""What a report is made of, as plain data.

Owns the list of things that a page can show. Whatever is left out is left out of the page; nothing here computes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from polylogit.calibration import Calibration, CalibrationFit
from polylogit.data.pictures.stored import StoredPictures
from polylogit.evaluation import ColumnImportance, Evaluation, Summary

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
    """Everything that a report tells. The first five are needed, the rest is shown where it is there.

    Args:
        data: The data's name.
        model: The kind of model.
        evaluation: Figures on the judged rows, as the classifier answers.
        logits: Its calibrated logits of the judged rows.
        targets: Their classes.
        sample_weight: Weight of each judged row, where rows carry one.
        rows_trained_on: How many rows the model was fitted to.
        uncalibrated: The first figures of the same rows without calibration.
        logits_before: Their logits without calibration, where there was one.
        calibration: The map from the network's logits to the calibrated ones.
        calibration_fit: The evidence for it, where it is known.
        history: One record an epoch, as `history.jsonl` has them.
        pictures: The judged rows as pictures, in the order of `logits`.
        table: The judged rows as a table, in the same order.
        row_numbers: The number of each judged row in its file, counting from 1.
        coefficients: Of a linear model.
        importances: Of the columns of a table.
        findings: What the audit of the data found, one sentence each; None where none was made.
        foremost: A sentence that tells more than the figures of the judged rows and so stands before them.
        notes: What a reader must know to take the figures rightly.
        recipe: All options of the run, nested by section.
        facts: Other things worth keeping, by name: versions, seed, seconds, the device.
        command: What repeats the run.
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
    history: Sequence[Mapping[str, int | float | None]] = ()
    pictures: UInt8[Tensor, "N C H W"] | StoredPictures | None = None
    table: pl.DataFrame | None = None
    row_numbers: Int[Tensor, " N"] | None = None
    coefficients: Coefficients | None = None
    importances: Sequence[ColumnImportance] = ()
    findings: Sequence[str] | None = None
    foremost: str = ""
    notes: Sequence[str] = ()
    recipe: Mapping[str, object] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    command: str = ""

    @property
    def noun(self) -> str:
        """What one row is called."""
        return "pictures" if self.pictures is not None else "rows"
