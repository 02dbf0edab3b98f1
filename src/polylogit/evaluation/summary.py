"""The main metrics: quick to compute, and enough for comparing two sets of scores.

See also: `figures.py`, which has all metrics.
"""

from dataclasses import asdict, dataclass
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from polylogit.evaluation.metrics import accuracy_interval, brier_score, log_loss
from polylogit.evaluation.reliability import calibration_error
from polylogit.evaluation.rows import ScoredRows

__all__ = ["Summary", "summarise", "summarise_logits"]


@dataclass(frozen=True)
class Summary:
    """How good a classifier is on some rows, in short.

    Attributes:
        rows: Number of rows evaluated (those of weight zero are not).
        accuracy: Share of rows whose largest logit is their class.
        accuracy_interval: 95 % interval of the accuracy (Wilson).
        log_loss: Mean cross-entropy in nats.
        brier_score: Mean squared distance from the one-hot target, 0 to 2.
        calibration_error: Of the top probability, 15 bins of equal width (ECE).
    """

    rows: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    log_loss: float
    brier_score: float
    calibration_error: float

    def as_json(self) -> dict[str, Any]:
        """The same as dictionaries, lists, strings and numbers."""
        return asdict(self) | {"accuracy_interval": list(self.accuracy_interval)}


def summarise(rows: ScoredRows) -> Summary:
    """The summary of checked rows."""
    accuracy = rows.mean(rows.hits)
    return Summary(
        rows=len(rows.targets),
        accuracy=accuracy,
        accuracy_interval=accuracy_interval(accuracy, rows.effective_rows),
        log_loss=log_loss(rows),
        brier_score=brier_score(rows),
        calibration_error=calibration_error(rows),
    )


def summarise_logits(
    logits: Float[Tensor, "N K"], targets: Int[Tensor, " N"], *, sample_weight: Float[Tensor, " N"] | None = None
) -> Summary:
    """The summary of logits of rows whose class is known.

    Args:
        logits: Scores, any float type; calibrated where the metrics of the calibrated classifier are wanted.
        targets: The true class of each row, 0 to K - 1.
        sample_weight: Weight of each row, zero or more; None for equal weights.

    Returns:
        The main metrics.

    Raises:
        ScoreError: As for `ScoredRows.check`.

    Example:
        >>> import torch
        >>> summary = summarise_logits(torch.tensor([[2.0, 0.0], [0.0, 2.0], [1.0, 0.0]]), torch.tensor([0, 1, 1]))
        >>> round(summary.accuracy, 4), round(summary.log_loss, 4)
        (0.6667, 0.5224)
    """
    return summarise(ScoredRows.check(logits, targets, sample_weight))
