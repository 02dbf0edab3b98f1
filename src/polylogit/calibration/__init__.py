"""Calibration: maps from a network's logits to logits whose probabilities can be trusted, fitted on held-out rows.

    calibration.py     the Calibration object: the parts below in one value
    temperature.py     one temperature for all logits
    quadratic.py       a quadratic map of the log-probabilities
    uniform_mixing.py  mixing with the uniform distribution
    vector_scaling.py  a scale and a bias for each class
    selection.py       the choice among these

See also: `polylogit.evaluation.reliability`, which measures calibration.
"""

from polylogit.calibration.calibration import Calibration
from polylogit.calibration.quadratic import QuadraticMap
from polylogit.calibration.selection import CalibrationFit, fit_calibration
from polylogit.calibration.temperature import TemperatureFit, fit_temperature
from polylogit.calibration.vector_scaling import VectorScaling

__all__ = [
    "Calibration",
    "CalibrationFit",
    "QuadraticMap",
    "TemperatureFit",
    "VectorScaling",
    "fit_calibration",
    "fit_temperature",
]
