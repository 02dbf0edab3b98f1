"""Calibration: maps from a network's logits to logits whose probabilities can be trusted, fitted on held-out rows.

    calibration.py     the Calibration object: the parts below in one value
    temperature.py     one temperature for all logits
    quadratic.py       a quadratic map of the log-probabilities
    uniform_mixing.py  mixing with the uniform distribution
    vector_scaling.py  a scale and a bias for each class, of older model files
    structured_scaling.py  an affine map of the log-probabilities: SVS, SMS, Beta
    newton.py          what the fits give to the shared Newton minimiser
    candidates.py      the methods, in order of complexity
    selection.py       the choice among them

See also: `polylogit.evaluation.reliability`, which measures calibration.
"""

from polylogit.calibration.calibration import Calibration
from polylogit.calibration.quadratic import QuadraticMap
from polylogit.calibration.selection import CalibrationFit, CalibrationMethod, CandidateScore, fit_calibration
from polylogit.calibration.structured_scaling import StructuredScaling
from polylogit.calibration.temperature import TemperatureFit, fit_temperature
from polylogit.calibration.vector_scaling import VectorScaling

__all__ = [
    "Calibration",
    "CalibrationFit",
    "CalibrationMethod",
    "CandidateScore",
    "QuadraticMap",
    "StructuredScaling",
    "TemperatureFit",
    "VectorScaling",
    "fit_calibration",
    "fit_temperature",
]
