"""A classifier's scores of labelled rows and the metrics that follow from them."""

from dataclasses import dataclass
from functools import cached_property

import polars as pl
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from polylogit.calibration import (
    CalibrationEffect,
    DecisionEvaluation,
    SetEvaluation,
    calibration_effect,
    evaluate_decisions,
    evaluate_sets,
)
from polylogit.classifier import Classifier, Scores
from polylogit.data.pictures.stored import StoredPictures
from polylogit.evaluation import Evaluation, ScoredRows, Summary, evaluate_logits, summarise_logits

__all__ = ["EvaluatedRows", "evaluate_rows"]


@dataclass(frozen=True, eq=False)
class EvaluatedRows:
    """Labelled rows, a classifier's scores of them, and its metrics.

    Args:
        raw: The rows as they came: a table without its target, or pictures.
        targets: Their classes.
        weights: Weight of each row, where rows carry one.
        numbers: The number of each row in its file, counted from 1.
        files: The file of each picture, relative to the data; None for tables and data sets with a name.
        network_logits: The network's logits, before calibration.
        logits: The calibrated logits.
        evaluation: All metrics of the calibrated logits.
        effect: What the calibration did to them; None where there is none.
        decisions: What its decisions cost; None where it chooses the most probable class.
        sets: Coverage and size of prediction sets; None where the classifier has no scores for them.
    """

    raw: pl.DataFrame | UInt8[Tensor, "N C H W"] | StoredPictures
    targets: Int[Tensor, " N"]
    weights: Float[Tensor, " N"] | None
    numbers: Int[Tensor, " N"]
    files: tuple[str, ...] | None
    network_logits: Float[Tensor, "N K"]
    logits: Float[Tensor, "N K"]
    evaluation: Evaluation
    sets: SetEvaluation | None
    decisions: DecisionEvaluation | None
    effect: CalibrationEffect | None

    @cached_property
    def uncalibrated(self) -> Summary:
        """The main metrics of the network's logits, before calibration."""
        return summarise_logits(self.network_logits, self.targets, sample_weight=self.weights)


def evaluate_rows(
    classifier: Classifier,
    scores: Scores,
    targets: Int[Tensor, " N"],
    *,
    raw: pl.DataFrame | UInt8[Tensor, "N C H W"] | StoredPictures,
    numbers: Int[Tensor, " N"],
    weights: Float[Tensor, " N"] | None = None,
    files: tuple[str, ...] | None = None,
) -> EvaluatedRows:
    """Evaluate a classifier's scores of labelled rows.

    Args:
        classifier: The classifier.
        scores: Its logits of the rows, before and after calibration.
        targets: The class of each row.
        raw: The rows as they came, for the report.
        numbers: The number of each row in its file, counted from 1.
        weights: Weight of each row; None: all weigh the same.
        files: The file of each picture, for the report.

    Returns:
        The scores and the metrics.

    Raises:
        ScoreError: There is no row, or a logit is not finite.
    """
    evaluation = evaluate_logits(scores.logits, targets, classifier.class_names, sample_weight=weights)
    rows = ScoredRows.check(scores.logits, targets, weights)
    return EvaluatedRows(
        raw=raw,
        targets=targets,
        weights=weights,
        numbers=numbers,
        files=files,
        network_logits=scores.network_logits,
        logits=scores.logits,
        evaluation=evaluation,
        sets=None if classifier.conformal is None else evaluate_sets(classifier.conformal, rows),
        decisions=None
        if classifier.decision is None
        else evaluate_decisions(classifier.decision, rows, classifier.class_names),
        effect=calibration_effect(ScoredRows.check(scores.network_logits, targets, weights), rows)
        if classifier.calibrated
        else None,
    )
