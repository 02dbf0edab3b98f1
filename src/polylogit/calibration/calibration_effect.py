"""What a calibration did to labelled rows: losses before and after, and what is left to calibrate."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.calibration.candidates import candidates_for
from polylogit.calibration.cross_fitting import cross_fitted, fits_by_fold, folds_of
from polylogit.calibration.temperature import MINIMUM_ROWS
from polylogit.evaluation import ScoredRows
from polylogit.evaluation.metrics import row_brier_scores, row_losses

__all__ = ["CalibrationEffect", "LossChange", "LossParts", "calibration_effect", "loss_parts"]

QUANTILE = 1.96
MOST_ROWS, MOST_LOGITS = 2000, 100_000
"""The parts of the log loss are estimated from at most so many rows, and logits of them, for they need many fits."""

RECALIBRATIONS = ("temperature", "structured vector scaling")
"""What the rows are recalibrated by; the second up to 100 classes."""


@dataclass(frozen=True)
class LossChange:
    """A mean loss of the same rows before and after calibration, each with a 95 % interval.

    Attributes:
        before: Without calibration.
        before_interval: Its interval.
        after: With calibration.
        after_interval: Its interval.
        change: After minus before; negative: the calibration lowered the loss.
        change_interval: Its interval, from the differences row by row.
    """

    before: float
    before_interval: tuple[float, float]
    after: float
    after_interval: tuple[float, float]
    change: float
    change_interval: tuple[float, float]

    @property
    def verdict(self) -> str:
        """lowered, raised, or not measurably changed: whether the interval of the change excludes 0."""
        low, high = self.change_interval
        return "lowered" if high < 0 else "raised" if low > 0 else "not measurably changed"


@dataclass(frozen=True)
class LossParts:
    """The log loss in two parts: what a better calibration would take away, and the rest.

    Attributes:
        calibration: The decrease of the log loss by the best recalibration of these very rows, cross-fitted; 0 or more.
        calibration_error: Standard error of it.
        refinement: The log loss that remains.
        recalibration: The name of the best recalibration.
        rows: How many rows it was estimated from.
    """

    calibration: float
    calibration_error: float
    refinement: float
    recalibration: str
    rows: int


@dataclass(frozen=True)
class CalibrationEffect:
    """What a calibration did to labelled rows.

    Attributes:
        log_loss: In nats.
        brier_score: From 0 to 2.
        parts_before: The parts of the log loss without calibration; None for fewer than 50 rows.
        parts_after: The same with calibration.
    """

    log_loss: LossChange
    brier_score: LossChange
    parts_before: LossParts | None
    parts_after: LossParts | None

    def sentence(self) -> str:
        """The figures in words, for a terminal and a page; the verdict follows from the interval."""
        loss, brier = self.log_loss, self.brier_score
        low, high = loss.change_interval
        text = (
            f"On the test rows calibration has {loss.verdict} the log loss: {loss.before:.4f} before and "
            f"{loss.after:.4f} after, change {loss.change:+.4f} (95% interval {low:+.4f} to {high:+.4f}); Brier score "
            f"{brier.before:.4f} and {brier.after:.4f}, {brier.verdict}."
        )
        if self.parts_after is None or self.parts_before is None:
            return text
        parts = self.parts_after
        more = parts.calibration > 2 * parts.calibration_error
        left = "A better calibration is measurably possible" if more else "No better calibration is measurable"
        return (
            f"{text} {left}: of the log loss {parts.calibration:.4f} (standard error {parts.calibration_error:.4f}) is "
            f"calibration, before it {self.parts_before.calibration:.4f}; the rest is refinement."
        )

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        plain = asdict(self)
        for name, change in (("log_loss", self.log_loss), ("brier_score", self.brier_score)):
            intervals = {key: list(value) for key, value in plain[name].items() if isinstance(value, tuple)}
            plain[name] |= intervals | {"verdict": change.verdict}
        return plain


def calibration_effect(before: ScoredRows, after: ScoredRows) -> CalibrationEffect:
    """Compare the logits of the same rows before and after calibration.

    Intervals are mean plus and minus 1.96 standard errors, which rest on the effective number of rows.

    Args:
        before: Rows with the network's logits.
        after: The same rows with calibrated logits.

    Returns:
        The losses and their parts.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> logits = torch.randn(2000, 3, generator=generator)
        >>> targets = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
        >>> effect = calibration_effect(ScoredRows.check(3 * logits, targets), ScoredRows.check(logits, targets))
        >>> effect.log_loss.verdict, effect.parts_before.calibration > 0.3, effect.parts_after.calibration < 0.005
        ('lowered', True, True)
    """
    return CalibrationEffect(
        log_loss=_change(before, row_losses(before), row_losses(after)),
        brier_score=_change(before, row_brier_scores(before), row_brier_scores(after)),
        parts_before=loss_parts(before),
        parts_after=loss_parts(after),
    )


def loss_parts(rows: ScoredRows) -> LossParts | None:
    """The log loss of rows as calibration and refinement.

    The calibration part is how far the log loss falls when the rows are recalibrated, by a temperature or by structured
    vector scaling if that is better, each row by a map that was fitted without it; the refinement part is what remains.
    So the calibration part is what these maps find of it, not all that there may be.

    Args:
        rows: Rows that the network and its calibration were not fitted to; of more than 2,000, or 100,000 / K, a
            draw of so many is used.

    Returns:
        The parts; None for fewer than 50 rows.

    Source: Broecker (2009), Reliability, Sufficiency, and the Decomposition of Proper Scores, eq. 13; the variational
        estimate of Berta, Holzmueller, Jordan and Bach (2025), Rethinking Early Stopping: Refine, Then Calibrate,
        arXiv 2501.19195, section 3.
    """
    count, classes = rows.logits.shape
    most = min(MOST_ROWS, MOST_LOGITS // classes)
    if count > most:
        chosen = torch.randperm(count, generator=torch.Generator().manual_seed(0))[:most]
        rows = ScoredRows(rows.logits[chosen], rows.targets[chosen], rows.weights[chosen])
    if rows.effective_rows < MINIMUM_ROWS:
        return None
    before, fold, losses = row_losses(rows), folds_of(rows.targets, None, 0, by_class=False), {}
    for name, candidate in candidates_for("vector", classes, rows.effective_rows).items():
        fit = candidate.fit(rows, None) if name in RECALIBRATIONS else None
        if fit is not None:
            losses[name] = row_losses(cross_fitted(rows, fold, fits_by_fold(rows, fold, candidate, fit)))
    gains = {name: rows.mean_and_error(before - after) for name, after in losses.items()}
    best = max(gains, key=lambda name: gains[name][0], default="none")
    gain, error = gains.get(best, (0.0, 0.0))
    return LossParts(
        calibration=max(gain, 0.0),
        calibration_error=error,
        refinement=rows.mean(before) - max(gain, 0.0),
        recalibration=best if gain > 0 else "none",
        rows=len(rows.targets),
    )


def _change(rows: ScoredRows, before: Float[Tensor, " N"], after: Float[Tensor, " N"]) -> LossChange:
    def mean_and_interval(values: Float[Tensor, " N"]) -> tuple[float, tuple[float, float]]:
        mean, error = rows.mean_and_error(values)
        return mean, (mean - QUANTILE * error, mean + QUANTILE * error)

    return LossChange(*mean_and_interval(before), *mean_and_interval(after), *mean_and_interval(after - before))
