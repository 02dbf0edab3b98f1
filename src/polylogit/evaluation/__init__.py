"""The judgement: pure functions of logits and targets.

    rows.py         logits, targets and weights, checked once
    metrics.py      how good: accuracy and its interval, top-k, log loss, Brier score
    ranking.py      how well the probabilities order the rows: ROC AUC, average precision
    reliability.py  how far the probabilities can be believed: bins and calibration errors
    coverage.py     what is had by answering only the sure rows
    importance.py   which columns it rests on
    summary.py      the figures that are told first: `Summary`
    figures.py      all of it about one set of rows: `Evaluation`

Nothing here trains, reads files or draws. Logits come in as they are to be judged: whoever wants the calibrated
figures divides by the temperature first.
"""

from polylogit.evaluation.coverage import Answered, CoverageCurve, answered_above, coverage_curve
from polylogit.evaluation.figures import Averages, Baselines, ClassFigures, Evaluation, evaluate_logits
from polylogit.evaluation.importance import ColumnImportance, permutation_importance
from polylogit.evaluation.reliability import ReliabilityBins, calibration_error, reliability_bins
from polylogit.evaluation.rows import ScoredRows
from polylogit.evaluation.summary import Summary, summarise_logits

__all__ = [
    "Answered",
    "Averages",
    "Baselines",
    "ClassFigures",
    "ColumnImportance",
    "CoverageCurve",
    "Evaluation",
    "ReliabilityBins",
    "ScoredRows",
    "Summary",
    "answered_above",
    "calibration_error",
    "coverage_curve",
    "evaluate_logits",
    "permutation_importance",
    "reliability_bins",
    "summarise_logits",
]
