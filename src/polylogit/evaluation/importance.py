"""Permutation importance of the columns of a table; the caller computes the logits of shuffled rows."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.evaluation.metrics import log_loss
from polylogit.evaluation.rows import ScoredRows

__all__ = ["ColumnImportance", "permutation_importance"]

REPEATS = 5


@dataclass(frozen=True)
class ColumnImportance:
    """How much the log loss rises when a column's values are shuffled among the rows.

    Args:
        column: Its name.
        mean: Mean rise over several shuffles, in nats.
        spread: Standard deviation over the shuffles.
    """

    column: str
    mean: float
    spread: float


def permutation_importance(
    columns: Sequence[str],
    logits_when_shuffled: Callable[[str, Int[Tensor, " N"]], Float[Tensor, "N K"]],
    logits: Float[Tensor, "N K"],
    targets: Int[Tensor, " N"],
    *,
    sample_weight: Float[Tensor, " N"] | None = None,
    seed: int = 0,
    repeats: int = REPEATS,
) -> list[ColumnImportance]:
    """Rise of the log loss when one column is shuffled, for each column.

    A column that is redundant with others has a small importance however informative it is: the importance describes
    this classifier, not the data.

    Args:
        columns: Their names.
        logits_when_shuffled: Gives the logits of all rows when the values of the column named are taken in the order of
            the row numbers that come with it.
        logits: Of the rows as they are.
        targets: The classes of the rows.
        sample_weight: Weight of each row, zero or more; None for equal weights. A row keeps its own in a shuffle.
        seed: Random seed of the shuffles.
        repeats: Shuffles of each column, at least 2.

    Returns:
        One entry for each column, in their order.

    Example:
        >>> inputs, targets = torch.eye(2).repeat(20, 1), torch.tensor([0, 1]).repeat(20)
        >>> def shuffled(column, order):
        ...     return inputs[order] if column == "used" else inputs
        >>> used, unused = permutation_importance(["used", "unused"], shuffled, inputs, targets)
        >>> used.mean > 0.3, unused.mean, unused.spread
        (True, 0.0, 0.0)

    Source: Breiman (2001), Random Forests, section 10; Fisher, Rudin and Dominici (2019), section 3.
    """
    before = log_loss(ScoredRows.check(logits, targets, sample_weight))
    generator = torch.Generator().manual_seed(seed)
    importances = []
    for column in columns:
        rises = []
        for _ in range(repeats):
            order = torch.randperm(len(targets), generator=generator)
            shuffled = ScoredRows.check(logits_when_shuffled(column, order), targets, sample_weight)
            rises.append(log_loss(shuffled) - before)
        mean = math.fsum(rises) / repeats
        spread = math.sqrt(math.fsum((rise - mean) ** 2 for rise in rises) / (repeats - 1))
        importances.append(ColumnImportance(column, mean, spread))
    return importances
