"""The choice of a calibration by cross-fitted log loss, with a preference for the simpler one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jaxtyping import Float, Int
from torch import Tensor

from polylogit.calibration.calibration import Calibration
from polylogit.calibration.candidates import candidates_for
from polylogit.calibration.cross_fitting import cross_fitted, fits_by_fold, folds_of
from polylogit.calibration.temperature import MINIMUM_ROWS, relative_error
from polylogit.evaluation.metrics import log_loss, row_losses
from polylogit.evaluation.rows import ScoredRows
from polylogit.plural import agreeing, counted

__all__ = ["CalibrationFit", "CalibrationMethod", "CandidateScore", "fit_calibration"]

CalibrationMethod = Literal["auto", "temperature", "vector"]

STANDARD_ERRORS = 1.0
"""The simplest candidate whose cross-fitted log loss is within so many standard errors of the best is chosen."""


@dataclass(frozen=True)
class CandidateScore:
    """How a candidate did on held-out rows that it was not fitted to.

    Attributes:
        name: The candidate; see `polylogit.calibration.candidates`.
        gain: Decrease of the cross-fitted log loss against no calibration, in nats.
        gain_error: Standard error of the gain.
    """

    name: str
    gain: float
    gain_error: float


@dataclass(frozen=True)
class CalibrationFit:
    """A fitted calibration and its evidence.

    Attributes:
        calibration: The calibration; the identity where none is chosen.
        rows: Number of held-out rows used.
        log_loss_before: Mean cross-entropy of these rows without calibration, in nats.
        log_loss_after: The same with it; each row by a calibration that was fitted without that row.
        method: The name of the chosen candidate, or "none".
        candidates: All candidates that were tried, with their gains.
        relative_error: Standard error of the temperature relative to it; None where none was fitted.
        reason: Why there is no calibration; None where there is one.
        held_out: The rows with their calibrated logits, each by a calibration that was fitted without that row.
    """

    calibration: Calibration
    rows: int
    log_loss_before: float
    log_loss_after: float
    method: str = "none"
    candidates: tuple[CandidateScore, ...] = ()
    relative_error: float | None = None
    reason: str | None = None
    held_out: ScoredRows | None = field(default=None, compare=False, repr=False)

    @property
    def chosen(self) -> CandidateScore | None:
        """The evidence of the chosen candidate; None where none is chosen."""
        return next((score for score in self.candidates if score.name == self.method), None)

    def as_json(self) -> dict[str, Any]:
        """The parts of the calibration and the evidence, as one flat object."""
        return self.calibration.as_json() | {
            "rows": self.rows,
            "log_loss_before": self.log_loss_before,
            "log_loss_after": self.log_loss_after,
            "method": self.method,
            "candidates": [vars(score) for score in self.candidates],
            "relative_error": self.relative_error,
            "reason": self.reason,
            "vector": self._vector_as_json(),
        }

    def _vector_as_json(self) -> dict[str, Any] | None:
        """The entry `vector` of version 0.1.0: the scale and bias of each class, and the gain."""
        score = next((score for score in self.candidates if score.name == "structured vector scaling"), None)
        if score is None:
            return None
        scaling = self.calibration.structured_scaling if score is self.chosen else None
        return {
            "scale": None if scaling is None else list(scaling.scale),
            "bias": None if scaling is None else list(scaling.bias),
            "gain": score.gain,
            "gain_error": score.gain_error,
            "reason": None if scaling is not None else f"chosen: {self.method}",
        }


def fit_calibration(
    logits: Float[Tensor, "N K"],
    targets: Int[Tensor, " N"],
    *,
    method: CalibrationMethod = "auto",
    sample_weight: Float[Tensor, " N"] | None = None,
    groups: Int[Tensor, " N"] | None = None,
    seed: int = 0,
) -> CalibrationFit:
    """The calibration that held-out rows support.

    Every candidate is fitted on four fifths of the rows and evaluated on the others, five times. Of the candidates and
    no calibration the simplest is chosen whose log loss is within one standard error of the best; its parameters then
    come from all rows. So no calibration is accepted on the rows that it was fitted to.

    Args:
        logits: Scores of rows that the network was not fitted to, any float type.
        targets: Their classes, 0 to K - 1.
        method: The candidates; see `polylogit.calibration.candidates.candidates_for`.
        sample_weight: Weight of each row, zero or more; None for equal weights.
        groups: The group of each row where rows of a group are alike: groups are not divided between folds.
        seed: Random seed of the folds.

    Returns:
        The calibration and its evidence.

    Raises:
        ScoreError: As for `ScoredRows.check`.

    Example:
        >>> import torch
        >>> generator = torch.Generator().manual_seed(0)
        >>> logits = torch.randn(4000, 3, generator=generator)
        >>> targets = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
        >>> fit = fit_calibration(3 * logits, targets)
        >>> fit.method, round(fit.calibration.temperature, 1)
        ('temperature', 3.0)
        >>> fit_calibration(logits[:20], targets[:20]).reason
        '20 rows were held out, and 50 are needed'

    Source: Hastie, Tibshirani and Friedman (2009), The Elements of Statistical Learning, section 7.10 (the one standard
        error rule).
    """
    rows = ScoredRows.check(logits, targets, sample_weight)
    before = log_loss(rows)

    def none(reason: str, scores: tuple[CandidateScore, ...] = ()) -> CalibrationFit:
        return CalibrationFit(
            Calibration(), len(rows.targets), before, before, "none", scores, reason=reason, held_out=rows
        )

    if rows.effective_rows < MINIMUM_ROWS:
        few = round(rows.effective_rows)
        return none(f"{counted(few, 'row')} {agreeing(few, 'was', 'were')} held out, and {MINIMUM_ROWS} are needed")
    candidates = candidates_for(method, rows.logits.shape[1], rows.effective_rows)
    if sample_weight is not None and groups is not None:
        groups = groups[sample_weight.cpu() > 0]
    folds = {by_class: folds_of(rows.targets, groups, seed, by_class=by_class) for by_class in (True, False)}
    fold_of = {name: folds[candidate.keeps_order] for name, candidate in candidates.items()}
    fits = {name: candidate.fit(rows, None) for name, candidate in candidates.items()}
    by_fold = {
        name: fits_by_fold(rows, fold_of[name], candidates[name], fit) for name, fit in fits.items() if fit is not None
    }
    losses = {"none": row_losses(rows)} | {
        name: row_losses(cross_fitted(rows, fold_of[name], maps)) for name, maps in by_fold.items()
    }
    scores = tuple(
        CandidateScore(name, *rows.mean_and_error(losses["none"] - losses[name])) for name in losses if name != "none"
    )
    chosen = _simplest_near_best(rows, losses)
    fit = fits.get(chosen)
    if fit is None:
        return none(_why_none(scores), scores)
    return CalibrationFit(
        calibration=fit,
        rows=len(rows.targets),
        log_loss_before=before,
        log_loss_after=rows.mean(losses[chosen]),
        method=chosen,
        candidates=scores,
        relative_error=relative_error(rows, fit.temperature),
        held_out=cross_fitted(rows, fold_of[chosen], by_fold[chosen]),
    )


def _simplest_near_best(rows: ScoredRows, losses: Mapping[str, Float[Tensor, " N"]]) -> str:
    best = min(losses, key=lambda name: rows.mean(losses[name]))
    for name, its_losses in losses.items():
        excess, error = rows.mean_and_error(its_losses - losses[best])
        if excess <= STANDARD_ERRORS * error:
            return name
    return best


def _why_none(scores: tuple[CandidateScore, ...]) -> str:
    if not scores:
        return "the logits of the held-out rows are no better than chance"
    best = max(scores, key=lambda score: score.gain)
    if best.gain <= 0:
        return "no calibration lowers the log loss of held-out rows that it was not fitted to"
    return (
        f"the best candidate ({best.name}) lowers the log loss of held-out rows by {best.gain:.4f} nats, "
        f"within its standard error of {best.gain_error:.4f}"
    )
