"""The fit of a calibration on held-out rows: a temperature, and further parts where the rows show that they help."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from jaxtyping import Float, Int
from torch import Tensor

from polylogit.calibration.calibration import Calibration
from polylogit.calibration.quadratic import fit_quadratic
from polylogit.calibration.temperature import TemperatureFit, fit_temperature
from polylogit.calibration.uniform_mixing import fit_uniform_share
from polylogit.calibration.vector_scaling import VectorFit, fit_vector_scaling
from polylogit.evaluation.metrics import log_loss
from polylogit.evaluation.rows import ScoredRows

__all__ = ["CalibrationFit", "fit_calibration"]


@dataclass(frozen=True)
class CalibrationFit:
    """A fitted calibration and its evidence.

    Attributes:
        calibration: The calibration; the identity where the rows do not suffice for one.
        rows: Number of held-out rows used.
        log_loss_before: Mean cross-entropy of these rows without calibration, in nats.
        log_loss_after: The same with it.
        relative_error: Standard error of the fitted temperature relative to it; None where none was fitted.
        reason: Why the temperature stayed at 1; None where it was fitted.
        vector: The fit of vector scaling; None where it was not asked for.
    """

    calibration: Calibration
    rows: int
    log_loss_before: float
    log_loss_after: float
    relative_error: float | None = None
    reason: str | None = None
    vector: VectorFit | None = None

    def as_json(self) -> dict[str, Any]:
        """The parts of the calibration and the evidence, as one flat object."""
        return self.calibration.as_json() | {
            "rows": self.rows,
            "log_loss_before": self.log_loss_before,
            "log_loss_after": self.log_loss_after,
            "relative_error": self.relative_error,
            "reason": self.reason,
            "vector": None if self.vector is None else self.vector.as_json(),
        }


def fit_calibration(
    logits: Float[Tensor, "N K"],
    targets: Int[Tensor, " N"],
    *,
    method: Literal["temperature", "vector"],
    sample_weight: Float[Tensor, " N"] | None = None,
) -> CalibrationFit:
    """The calibration that held-out rows give.

    Args:
        logits: Scores of rows that the network was not fitted to, any float type.
        targets: Their classes, 0 to K - 1.
        method: temperature: with a quadratic map and uniform mixing where they help. vector: a scale and a bias for
            each class beside the temperature where that helps, otherwise as temperature.
        sample_weight: Weight of each row, zero or more; None for equal weights.

    Returns:
        The calibration and its evidence; the temperature is 1, with a reason, where the rows do not suffice for one.

    Raises:
        ScoreError: As for `ScoredRows.check`.

    Example:
        >>> import torch
        >>> generator = torch.Generator().manual_seed(0)
        >>> logits = torch.randn(4000, 3, generator=generator)
        >>> targets = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
        >>> fit = fit_calibration(3 * logits, targets, method="vector")
        >>> round(fit.calibration.temperature, 1), fit.vector.scaling
        (3.0, None)
    """
    fit = fit_temperature(logits, targets, sample_weight=sample_weight)
    rows = ScoredRows.check(logits, targets, sample_weight)
    vector = None
    if method == "vector":
        vector = fit_vector_scaling(rows.with_logits(rows.logits / fit.temperature))
        if vector.scaling is not None:
            calibration = Calibration(temperature=fit.temperature, vector_scaling=vector.scaling)
            return _with_evidence(calibration, fit, rows, vector)
    if not fit.fitted:
        return _with_evidence(Calibration(), fit, rows, vector)
    quadratic = Calibration(quadratic=fit_quadratic(rows, fit.temperature).quadratic)
    mixing = fit_uniform_share(rows.with_logits(quadratic.apply(rows.logits)), fit.temperature)
    calibration = replace(quadratic, temperature=mixing.temperature, uniform_share=mixing.uniform_share)
    return _with_evidence(calibration, fit, rows, vector)


def _with_evidence(
    calibration: Calibration, fit: TemperatureFit, rows: ScoredRows, vector: VectorFit | None
) -> CalibrationFit:
    return CalibrationFit(
        calibration=calibration,
        rows=fit.rows,
        log_loss_before=fit.log_loss_before,
        log_loss_after=log_loss(rows.with_logits(calibration.apply(rows.logits))),
        relative_error=fit.relative_error,
        reason=fit.reason,
        vector=vector,
    )
