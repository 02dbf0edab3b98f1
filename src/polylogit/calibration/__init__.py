"""Calibration: maps from a network's logits to logits whose probabilities can be trusted, fitted on held-out rows.

    calibration.py     the Calibration object: the parts below in one value
    temperature.py     one temperature for all logits
    quadratic.py       a quadratic map of the log-probabilities
    uniform_mixing.py  mixing with the uniform distribution
    vector_scaling.py  a scale and a bias for each class, of older model files
    structured_scaling.py  an affine map of the log-probabilities: SVS, SMS, Beta
    newton.py          what the fits give to the shared Newton minimiser
    candidates.py      the methods, in order of complexity
    cross_fitting.py   calibrations of rows that they were not fitted to
    selection.py       the choice among them
    calibration_effect.py  what a calibration did to labelled rows
    decision_rule.py   decisions by costs and by the class shares in use
    decision_evaluation.py  what these decisions cost on labelled rows
    prediction_sets.py  prediction sets of a wanted coverage, from the scores of held-out rows
    set_evaluation.py  these sets on labelled rows
    coverage_statement.py  what holds for these sets, in words

See also: `polylogit.evaluation.reliability`, which measures calibration.
"""

from polylogit.calibration.calibration import Calibration
from polylogit.calibration.calibration_effect import CalibrationEffect, calibration_effect
from polylogit.calibration.coverage_statement import coverage_statement
from polylogit.calibration.decision_evaluation import DecisionEvaluation, evaluate_decisions
from polylogit.calibration.decision_rule import DecisionRule
from polylogit.calibration.prediction_sets import ConformalScores, PredictionSetRule
from polylogit.calibration.quadratic import QuadraticMap
from polylogit.calibration.selection import CalibrationFit, CalibrationMethod, CandidateScore, fit_calibration
from polylogit.calibration.set_evaluation import SetEvaluation, evaluate_sets
from polylogit.calibration.structured_scaling import StructuredScaling
from polylogit.calibration.temperature import TemperatureFit, fit_temperature
from polylogit.calibration.vector_scaling import VectorScaling

__all__ = [
    "Calibration",
    "CalibrationEffect",
    "CalibrationFit",
    "CalibrationMethod",
    "CandidateScore",
    "ConformalScores",
    "DecisionEvaluation",
    "DecisionRule",
    "PredictionSetRule",
    "QuadraticMap",
    "SetEvaluation",
    "StructuredScaling",
    "TemperatureFit",
    "VectorScaling",
    "calibration_effect",
    "coverage_statement",
    "evaluate_decisions",
    "evaluate_sets",
    "fit_calibration",
    "fit_temperature",
]
