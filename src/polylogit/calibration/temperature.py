"""Temperature scaling: one positive divisor of the logits, fitted on rows that the network was not fitted to."""

import math
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from polylogit.evaluation.metrics import log_loss, row_losses
from polylogit.evaluation.rows import ScoredRows
from polylogit.plural import agreeing, counted

__all__ = [
    "MINIMUM_ROWS",
    "TemperatureFit",
    "best_sharpness",
    "fit_temperature",
    "losses_after_temperature",
    "relative_error",
    "smoothed_temperature",
]

MINIMUM_ROWS = 50
MAXIMUM_RELATIVE_ERROR = 0.35  # chosen in docs/log.md
TOLERANCE = 1e-9


@dataclass(frozen=True)
class TemperatureFit:
    """A fitted temperature and its evidence.

    Attributes:
        temperature: Divisor of the logits; 1 where the rows do not suffice.
        rows: Number of held-out rows used.
        log_loss_before: Mean cross-entropy of the held-out rows with temperature 1, in nats.
        log_loss_after: The same with the temperature.
        relative_error: Standard error of the fitted temperature relative to it; None where none was fitted.
        reason: Why the temperature stayed at 1; None where it was fitted.
    """

    temperature: float
    rows: int
    log_loss_before: float
    log_loss_after: float
    relative_error: float | None
    reason: str | None

    @property
    def fitted(self) -> bool:
        """Whether the rows sufficed."""
        return self.reason is None


def fit_temperature(
    logits: Float[Tensor, "N K"], targets: Int[Tensor, " N"], *, sample_weight: Float[Tensor, " N"] | None = None
) -> TemperatureFit:
    """The temperature that gives held-out rows the smallest log loss.

    min over T > 0 of mean -log softmax(z / T)[target]

    In b = 1/T the problem is convex; its derivative is the mean of E_p[z] - z[target] and rises with b, so that a
    bracketed Newton iteration finds its only zero. No accuracy changes: dividing keeps the order of the logits.

    The temperature stays at 1, with a reason, where fewer than 50 rows are held out (with weights: rows of that
    much information), where every row is right or the logits are no better than chance (there is then no best
    finite temperature), and where its standard error exceeds 35 % of it.

    Args:
        logits: Scores of rows that the network was not fitted to, any float type.
        targets: Their classes, 0 to K - 1.
        sample_weight: Weight of each row, zero or more; None for equal weights.

    Returns:
        The temperature and its evidence.

    Raises:
        ScoreError: As for `ScoredRows.check`.

    Example:
        >>> import torch
        >>> generator = torch.Generator().manual_seed(0)
        >>> logits = torch.randn(4000, 3, generator=generator)
        >>> targets = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
        >>> fit = fit_temperature(3 * logits, targets)  # three times too large
        >>> round(fit.temperature, 1), fit.fitted
        (3.0, True)
        >>> fit_temperature(logits[:20], targets[:20]).reason
        '20 rows were held out; 50 are needed'

    Source: Guo, Pleiss, Sun and Weinberger (2017), section 4.2; the standard error is White's (1982) for a model that
        may be wrong.
    """
    rows = ScoredRows.check(logits, targets, sample_weight)
    before = log_loss(rows)

    def stay(reason: str, relative_error: float | None = None) -> TemperatureFit:
        return TemperatureFit(1.0, len(rows.targets), before, before, relative_error, reason)

    if rows.effective_rows < MINIMUM_ROWS:
        few = round(rows.effective_rows)
        return stay(f"{counted(few, 'row')} {agreeing(few, 'was', 'were')} held out; {MINIMUM_ROWS} are needed")
    if (rows.logits == rows.logits[:, :1]).all():
        return stay("the logits do not distinguish the classes")
    if _slopes(rows, 0.0)[0] >= 0:
        return stay("the logits are no better than chance on the held-out rows")
    own = rows.logits.gather(1, rows.targets[:, None])[:, 0]
    if (own == rows.logits.max(dim=1).values).all():
        return stay("every held-out row is right, so that no finite temperature is optimal")
    inverse = best_sharpness(rows)
    error = relative_error(rows, 1 / inverse)
    if error > MAXIMUM_RELATIVE_ERROR:
        return stay(f"the {len(rows.targets)} held-out rows determine it only to {error:.0%}", error)
    scaled = rows.with_logits(rows.logits * inverse)
    return TemperatureFit(1 / inverse, len(rows.targets), before, log_loss(scaled), error, None)


def _row_slopes(
    rows: ScoredRows, inverse: float, smoothing: float = 0.0
) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
    """First and second derivative of each row's cross-entropy by b = 1/T: E_p[z] - E_target[z] and Var_p[z]."""
    logits = rows.logits_by_class
    own = logits.gather(0, rows.targets[None])[0]
    if smoothing:
        own = (1 - smoothing) * own + smoothing * logits.mean(dim=0)
    probabilities = (logits * inverse).softmax(dim=0)
    mean = (probabilities * logits).sum(dim=0)
    variance = (probabilities * (logits - mean).square_()).sum(dim=0)
    return mean - own, variance


def _slopes(rows: ScoredRows, inverse: float, smoothing: float = 0.0) -> tuple[float, float]:
    first, second = _row_slopes(rows, inverse, smoothing)
    return rows.mean(first), rows.mean(second)


def smoothed_temperature(rows: ScoredRows) -> float | None:
    """The temperature of the smallest log loss with Laplace-smoothed targets: finite also where every row is right.

    Each target is (1 - e) one-hot + e/K with e = 1/(n + 1) for n effective rows: one row in total is spread evenly.

    Args:
        rows: Rows that the network was not fitted to.

    Returns:
        The temperature; None where the logits do not differ or are no better than chance.

    Example:
        >>> import torch
        >>> right = ScoredRows.check(torch.tensor([[3.0, 0.0], [0.0, 3.0]] * 50), torch.tensor([0, 1] * 50))
        >>> round(smoothed_temperature(right), 2)
        0.57

    Source: the smoothed targets of Platt (1999), section 2.1, with one pseudo-row for all classes.
    """
    smoothing = 1 / (rows.effective_rows + 1)
    if (rows.logits == rows.logits[:, :1]).all() or _slopes(rows, 0.0, smoothing)[0] >= 0:
        return None
    return 1 / best_sharpness(rows, smoothing=smoothing)


def losses_after_temperature(rows: ScoredRows) -> Float[Tensor, " N"]:
    """The log loss of each row after the best temperature for these rows, where the logits have one.

    Args:
        rows: The rows.

    Returns:
        Losses in nats.

    Source: Berta, Holzmüller, Jordan and Bach (2025), "Rethinking early stopping: refine, then calibrate".
    """
    temperature = smoothed_temperature(rows)
    return row_losses(rows if temperature is None else rows.with_logits(rows.logits / temperature))


def best_sharpness(rows: ScoredRows, start: float = 1.0, smoothing: float = 0.0) -> float:
    """The b = 1/T of the smallest log loss: the zero of its increasing derivative, by bracketed Newton steps."""
    low, high = 0.0, math.inf
    inverse = start
    for _ in range(200):
        first, second = _slopes(rows, inverse, smoothing)
        if first < 0:
            low = inverse
        else:
            high = inverse
        proposal = inverse - first / second if second > 0 else math.inf
        if not low < proposal < min(high, 4 * inverse):
            proposal = min(4 * inverse, 0.5 * (low + high))
        if abs(proposal - inverse) <= TOLERANCE * inverse:
            return proposal
        inverse = proposal
    return inverse


def relative_error(rows: ScoredRows, temperature: float) -> float:
    """Standard error of a temperature relative to it.

    In b = 1/T: sqrt(sum w^2 g^2) / (sum w h) / b with the first and second derivative g and h of each row's loss.

    Source: White (1982), Maximum Likelihood Estimation of Misspecified Models, theorem 3.2.
    """
    first, second = _row_slopes(rows, 1 / temperature)
    information = float(rows.weights @ second)
    if information == 0:
        return math.inf
    return float((rows.weights * first).square().sum().sqrt()) / information * temperature
