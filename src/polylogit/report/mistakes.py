"""The most confident mistakes: what the classifier was surest of and wrong about.

See also: `templates/page.html.jinja`, which shows them.
"""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from polylogit.evaluation import ScoredRows

__all__ = ["Mistake", "confident_mistakes"]


@dataclass(frozen=True)
class Mistake:
    """One wrong answer.

    Args:
        row: Index of the evaluated row, from 0.
        true: Its class index.
        predicted: The class index it was given.
        probability: Of the class it was given.
        true_probability: Of its own class.
    """

    row: int
    true: int
    predicted: int
    probability: float
    true_probability: float


def confident_mistakes(
    logits: Float[Tensor, "N K"],
    targets: Int[Tensor, " N"],
    most: int = 24,
    *,
    sample_weight: Float[Tensor, " N"] | None = None,
) -> list[Mistake]:
    """The wrong answers of the highest probability, the surest first. Often the label is at fault, not the answer.

    Args:
        logits: Scores, calibrated.
        targets: The true class of each row.
        most: At most so many.
        sample_weight: Weight of each row; those of weight zero are no mistakes. Otherwise the order is the same.

    Returns:
        The mistakes, fewer where there are fewer.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[9.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> [mistake.row for mistake in confident_mistakes(logits, torch.tensor([1, 1, 1]))]
        [0, 1]
    """
    rows = ScoredRows.check(logits, targets)
    counted = rows.weights if sample_weight is None else sample_weight.to(rows.weights)
    wrong = ((rows.hits == 0) & (counted > 0)).nonzero()[:, 0]
    top = rows.probabilities.max(dim=1).values
    order = wrong[top[wrong].argsort(descending=True, stable=True)][:most]
    return [
        Mistake(
            row=row,
            true=int(rows.targets[row]),
            predicted=int(rows.predictions[row]),
            probability=float(top[row]),
            true_probability=float(rows.probabilities[row, rows.targets[row]]),
        )
        for row in order.tolist()
    ]
