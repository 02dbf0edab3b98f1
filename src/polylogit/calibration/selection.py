"""The calibration that held-out rows give: a temperature, and what goes beyond it where the rows show that it helps.

Owns the choice among a temperature, a curve, a floor and vector scaling. Each has its own file.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor

from polylogit.calibration.quadratic import Curve, fit_curve, with_curve
from polylogit.calibration.temperature import TemperatureFit, fit_temperature
from polylogit.calibration.uniform_mixing import fit_floor, with_floor
from polylogit.calibration.vector_scaling import VectorFit, fit_vector_scaling
from polylogit.evaluation.metrics import log_loss
from polylogit.evaluation.rows import ScoredRows

__all__ = ["CalibrationFit", "calibrated_logits", "fit_calibration"]


@dataclass(frozen=True)
class CalibrationFit(TemperatureFit):
    """A calibration, and what it rests on: the temperature, and what goes beyond it.

    Attributes:
        curve: What the log-probabilities go through before the temperature; None where rows did not show that it helps.
        floor: The share of the probability that is spread over all classes; 0 where rows did not show that it helps.
        vector: A scale and a bias for each class; None where they were not asked for. Where they were taken there is no
            curve and no floor.
    """

    curve: Curve | None = None
    floor: float = 0.0
    vector: VectorFit | None = None

    @property
    def vector_taken(self) -> VectorFit | None:
        """The vector scaling, if it was asked for and the rows showed that it helps."""
        return self.vector if self.vector is not None and self.vector.reason is None else None

    def apply(self, logits: Float[Tensor, "N K"]) -> Float[Tensor, "N K"]:
        """Logits as they are answered; see `calibrated_logits`."""
        scaled = self.vector_taken
        return calibrated_logits(
            logits,
            temperature=self.temperature,
            curve=self.curve,
            floor=self.floor,
            scale=None if scaled is None else scaled.scale,
            bias=None if scaled is None else scaled.bias,
        )


def calibrated_logits(
    logits: Float[Tensor, "N K"],
    *,
    temperature: float,
    curve: Curve | None = None,
    floor: float = 0.0,
    scale: Sequence[float] | None = None,
    bias: Sequence[float] | None = None,
) -> Float[Tensor, "N K"]:
    """Logits through curve, temperature, vector scaling and floor, in this order.

    Args:
        logits: Scores of a network, any float type.
        temperature: They are divided by it.
        curve: What their log-probabilities go through before that; None changes nothing.
        floor: The share of the probability that is spread over all classes, from 0 to less than 1.
        scale: A factor for each class, after these; with `bias` or not at all.
        bias: Added to each class then.

    Returns:
        Logits of the calibrated probabilities.

    Example:
        >>> import torch
        >>> calibrated_logits(torch.tensor([[4.0, 0.0]]), temperature=2.0, scale=[1.0, 1.0], bias=[0.0, 1.0])
        tensor([[2., 1.]])
    """
    logits = with_curve(logits, curve) / temperature
    if scale is not None and bias is not None:
        logits = logits * logits.new_tensor(scale) + logits.new_tensor(bias)
    return with_floor(logits, floor)


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
        method: temperature: with a curve and a floor where they help. vector: a scale and a bias for each class besides
            the temperature where that helps, else as before.
        sample_weight: Weight of each row, zero or more; None for equal weights.

    Returns:
        The calibration; the temperature is 1, with a reason, where the rows do not suffice for one.

    Raises:
        ScoreError: As for `ScoredRows.check`.

    Example:
        >>> import torch
        >>> generator = torch.Generator().manual_seed(0)
        >>> logits = torch.randn(4000, 3, generator=generator)
        >>> targets = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
        >>> fit = fit_calibration(3 * logits, targets, method="vector")
        >>> round(fit.temperature, 1), fit.vector.reason
        (3.0, 'scaling each class does not lower the log loss of held-out rows beyond chance')
    """
    fit = fit_temperature(logits, targets, sample_weight=sample_weight)
    rows = ScoredRows.check(logits, targets, sample_weight)
    vector = None
    if method == "vector":
        vector = fit_vector_scaling(rows.with_logits(rows.logits / fit.temperature))
        if vector.reason is None:
            return _scored(CalibrationFit(**vars(fit), vector=vector), rows)
    if not fit.fitted:
        return CalibrationFit(**vars(fit), vector=vector)
    curve = fit_curve(rows, fit.temperature).curve
    mixture = fit_floor(rows.with_logits(with_curve(rows.logits, curve)), fit.temperature)
    found = vars(fit) | {"temperature": mixture.temperature}
    return _scored(CalibrationFit(**found, curve=curve, floor=mixture.floor, vector=vector), rows)


def _scored(fit: CalibrationFit, rows: ScoredRows) -> CalibrationFit:
    """The fit with the log loss that its rows have as it answers them."""
    return replace(fit, log_loss_after=log_loss(rows.with_logits(fit.apply(rows.logits))))
