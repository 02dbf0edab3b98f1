"""The candidate calibrations, each a fit on held-out rows, in order of complexity."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from polylogit.calibration.calibration import Calibration
from polylogit.calibration.quadratic import fit_quadratic
from polylogit.calibration.structured_scaling import fit_structured_scaling
from polylogit.calibration.temperature import smoothed_temperature
from polylogit.calibration.uniform_mixing import fit_uniform_share
from polylogit.evaluation.rows import ScoredRows

__all__ = ["CANDIDATES", "Candidate", "candidates_for"]

ROWS_PER_CLASS = 10
"""A map with parameters for each class needs so many held-out rows per class."""

MOST_CLASSES_OF_A_MATRIX = 10
MOST_CLASSES_OF_A_VECTOR = 100
"""Above these the fit takes seconds, and on such data a temperature is as good (CalArena, arXiv 2605.30188)."""

ROWS_OF_A_QUADRATIC_MAP = 1000
"""Fitted on fewer rows its square extrapolates: on small tables it cost up to 0.1 nats (docs/log.md)."""

ROWS_PER_PARAMETER = 10
"""A full matrix needs so many held-out rows per parameter."""


@dataclass(frozen=True)
class Candidate:
    """A calibration method.

    Attributes:
        fit: The calibration of held-out rows, starting from another where that saves time; None where there is none.
        keeps_order: Whether the calibrated probabilities keep the order of the classes.
        applies: Whether there are classes and effective rows enough.
    """

    fit: Callable[[ScoredRows, Calibration | None], Calibration | None]
    keeps_order: bool
    applies: Callable[[int, float], bool] = lambda classes, rows: True


def _temperature(rows: ScoredRows, start: Calibration | None = None) -> Calibration | None:
    temperature = smoothed_temperature(rows)
    return None if temperature is None else Calibration(temperature=temperature)


def _mixing(rows: ScoredRows, start: Calibration | None = None) -> Calibration | None:
    temperature = smoothed_temperature(rows)
    if temperature is None:
        return None
    temperature, share = fit_uniform_share(rows, temperature)
    return Calibration(temperature=temperature, uniform_share=share) if share else None


def _quadratic(rows: ScoredRows, start: Calibration | None = None) -> Calibration | None:
    temperature = smoothed_temperature(rows)
    quadratic = None if temperature is None else fit_quadratic(rows, temperature)
    if temperature is None or quadratic is None:
        return None
    return Calibration(quadratic=quadratic, temperature=temperature)


def _quadratic_mixing(rows: ScoredRows, start: Calibration | None = None) -> Calibration | None:
    curved = _quadratic(rows)
    if curved is None or curved.quadratic is None:
        return None
    temperature, share = fit_uniform_share(rows.with_logits(curved.quadratic.apply(rows.logits)), curved.temperature)
    return Calibration(curved.quadratic, temperature, uniform_share=share) if share else None


def _structured(rows: ScoredRows, start: Calibration | None, *, matrix: bool) -> Calibration | None:
    temperature = smoothed_temperature(rows)
    if temperature is None:
        return None
    scaling = fit_structured_scaling(
        rows.with_logits(rows.logits / temperature),
        matrix=matrix,
        start=None if start is None else start.structured_scaling,
    )
    return None if scaling is None else Calibration(temperature=temperature, structured_scaling=scaling)


def _structured_vector(rows: ScoredRows, start: Calibration | None = None) -> Calibration | None:
    return _structured(rows, start, matrix=False)


def _structured_matrix(rows: ScoredRows, start: Calibration | None = None) -> Calibration | None:
    return _structured(rows, start, matrix=True)


CANDIDATES: Mapping[str, Candidate] = {
    "temperature": Candidate(_temperature, keeps_order=True),
    "temperature and uniform mixing": Candidate(_mixing, keeps_order=True),
    "quadratic map": Candidate(
        _quadratic, keeps_order=True, applies=lambda classes, rows: rows >= ROWS_OF_A_QUADRATIC_MAP
    ),
    "quadratic map and uniform mixing": Candidate(
        _quadratic_mixing, keeps_order=True, applies=lambda classes, rows: rows >= ROWS_OF_A_QUADRATIC_MAP
    ),
    "structured vector scaling": Candidate(
        _structured_vector,
        keeps_order=False,
        applies=lambda classes, rows: classes <= MOST_CLASSES_OF_A_VECTOR and rows >= ROWS_PER_CLASS * classes,
    ),
    "structured matrix scaling": Candidate(
        _structured_matrix,
        keeps_order=False,
        applies=lambda classes, rows: (
            2 < classes <= MOST_CLASSES_OF_A_MATRIX and rows >= ROWS_PER_PARAMETER * classes * (classes + 1)
        ),
    ),
}
"""The methods by name, the simplest first."""


def candidates_for(method: str, classes: int, effective_rows: float) -> dict[str, Candidate]:
    """The candidates of `calibration.method` that so many held-out rows of so many classes allow.

    Args:
        method: temperature: those that keep the order of the classes; vector: besides, those with a scale and a bias
            for each class; auto: all.
        classes: K.
        effective_rows: Number of held-out rows; with weights, see `ScoredRows.effective_rows`.

    Example:
        >>> list(candidates_for("temperature", 3, 100.0))[:2]
        ['temperature', 'temperature and uniform mixing']
    """
    return {
        name: candidate
        for name, candidate in CANDIDATES.items()
        if candidate.applies(classes, effective_rows)
        and (method == "auto" or candidate.keeps_order or (method == "vector" and "vector" in name))
    }
