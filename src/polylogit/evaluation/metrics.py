"""How good the predictions are: one function a figure, each a weighted mean over rows unless it says otherwise.

Log loss is not scikit-learn's, which takes probabilities and clips them. Areas under curves are in `ranking.py`,
figures that are read off the confusion matrix in `figures.py`, calibration errors in `reliability.py`.
"""

import math
from statistics import NormalDist

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.evaluation.rows import ScoredRows

__all__ = ["accuracy_interval", "brier_score", "log_loss", "row_brier_scores", "row_losses", "top_k_accuracy"]


def log_loss(rows: ScoredRows) -> float:
    """Mean cross-entropy in nats, from the logits themselves: nothing is clipped.

    mean of -log softmax(z)[target]

    Example:
        >>> log_loss(ScoredRows.check(torch.zeros(2, 4), torch.tensor([0, 3])))  # log 4
        1.386...
    """
    return rows.mean(row_losses(rows))


def row_losses(rows: ScoredRows) -> Float[Tensor, " N"]:
    """Cross-entropy of each row in nats."""
    return -rows.log_probabilities.gather(1, rows.targets[:, None])[:, 0]


def brier_score(rows: ScoredRows) -> float:
    """Mean squared distance between the probabilities and the one-hot target, 0 (best) to 2.

    mean of sum_k (p[k] - [k is the target])^2

    Example:
        >>> brier_score(ScoredRows.check(torch.zeros(2, 2), torch.tensor([0, 1])))
        0.5

    Source: Brier (1950), eq. 2.
    """
    return rows.mean(row_brier_scores(rows))


def row_brier_scores(rows: ScoredRows) -> Float[Tensor, " N"]:
    """Squared distance of each row's probabilities from its one-hot target."""
    probabilities = rows.probabilities
    own = probabilities.gather(1, rows.targets[:, None])[:, 0]
    return probabilities.square().sum(dim=1) - 2 * own + 1


def top_k_accuracy(rows: ScoredRows, k: int) -> float:
    """Share of rows whose class is among the k largest logits; of equal logits the earlier class counts as larger.

    Example:
        >>> rows = ScoredRows.check(torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]]), torch.tensor([1, 2]))
        >>> top_k_accuracy(rows, 1), top_k_accuracy(rows, 2), top_k_accuracy(rows, 3)
        (0.0, 0.5, 1.0)
    """
    own = rows.logits.gather(1, rows.targets[:, None])
    earlier = torch.arange(rows.logits.shape[1]) < rows.targets[:, None]
    ahead = (rows.logits > own) | ((rows.logits == own) & earlier)
    return rows.mean((ahead.sum(dim=1) < k).to(torch.float64))


def accuracy_interval(accuracy: float, effective_rows: int | float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of an accuracy: which covers the true one with the given confidence.

    (a + z^2/2n ± z sqrt(a (1 - a)/n + z^2/4n^2)) / (1 + z^2/n)

    Args:
        accuracy: Share of right rows, 0 to 1.
        effective_rows: Number of rows; with weights, the effective number of rows.
        confidence: Probability with which the interval covers, 0 to 1.

    Returns:
        Lower and upper end, within 0 and 1.

    Example:
        >>> [round(end, 4) for end in accuracy_interval(0.9, 100)]
        [0.8256, 0.9448]

    Source: Wilson (1927); Brown, Cai and DasGupta (2001), eq. 4.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    spread = z * math.sqrt(accuracy * (1 - accuracy) / effective_rows + (z / effective_rows / 2) ** 2)
    middle = accuracy + z * z / effective_rows / 2
    scale = 1 + z * z / effective_rows
    # the last digit must not put the accuracy outside its own interval
    return max(0.0, min(accuracy, (middle - spread) / scale)), min(1.0, max(accuracy, (middle + spread) / scale))
