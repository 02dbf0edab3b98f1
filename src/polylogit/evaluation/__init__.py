"""Evaluation: pure functions of logits and targets.

    rows.py         logits, targets and weights, checked once
    metrics.py      how good: accuracy and its interval, top-k, log loss, Brier score
    ranking.py      how well the probabilities order the rows: ROC AUC, average precision
    reliability.py  reliability bins and calibration errors
    smooth_calibration.py  smooth calibration error, its interval and a verdict
    coverage.py     selective classification: accuracy against coverage
    set_figures.py  coverage and size of prediction sets
    importance.py   permutation importance of columns
    paired.py       two classifiers on the same rows or folds
    summary.py      the main metrics: `Summary`
    figures.py      all metrics of one set of rows: `Evaluation`

Nothing here trains, reads files or draws. Logits are evaluated as given: for calibrated metrics apply the calibration
first.
"""

from polylogit.evaluation.coverage import Answered, CoverageCurve, answered_above, coverage_curve
from polylogit.evaluation.figures import Averages, Baselines, ClassFigures, Evaluation, evaluate_logits
from polylogit.evaluation.importance import ColumnImportance, permutation_importance
from polylogit.evaluation.reliability import (
    ReliabilityBins,
    calibration_error,
    consistency_intervals,
    reliability_bins,
)
from polylogit.evaluation.rows import ScoredRows
from polylogit.evaluation.set_figures import ClassSets, SetFigures, set_figures
from polylogit.evaluation.smooth_calibration import SmoothCalibration, smooth_calibration
from polylogit.evaluation.summary import Summary, summarise_logits

__all__ = [
    "Answered",
    "Averages",
    "Baselines",
    "ClassFigures",
    "ClassSets",
    "ColumnImportance",
    "CoverageCurve",
    "Evaluation",
    "ReliabilityBins",
    "ScoredRows",
    "SetFigures",
    "SmoothCalibration",
    "Summary",
    "answered_above",
    "calibration_error",
    "consistency_intervals",
    "coverage_curve",
    "evaluate_logits",
    "permutation_importance",
    "reliability_bins",
    "set_figures",
    "smooth_calibration",
    "summarise_logits",
]
