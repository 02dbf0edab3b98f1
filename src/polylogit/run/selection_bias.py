"""What the log loss of a chosen candidate would be without the advantage of having been chosen by it.

See also: `polylogit.run.model_selection`, the choice.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["behind_the_lowest", "log_loss_without_choice", "simplest_within_error"]

RESAMPLES = 200

LEAST_GAIN = 1e-4
"""Nats; a smaller gain of log loss is none, however sure, and no reason for a model that is more complex."""


def simplest_within_error(losses: Float[Tensor, "C M"], weights: Float[Tensor, " M"]) -> int:
    """The first candidate whose mean loss is within one standard error, or 0.0001 nats, of the lowest.

    Args:
        losses: Of each candidate, from the simplest to the most complex, on the same rows.
        weights: Of the rows.

    Returns:
        Its number.

    Example:
        >>> losses = torch.tensor([[0.0, 1.0, 0.0, 1.1], [1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0]])
        >>> simplest_within_error(losses, torch.ones(4))
        0

    Source: Breiman, Friedman, Olshen and Stone (1984), "Classification and regression trees", section 3.4.3.
    """
    behind, errors = behind_the_lowest(losses, weights)
    return int((behind <= errors.clamp_min(LEAST_GAIN)).nonzero()[0])


def behind_the_lowest(
    losses: Float[Tensor, "C M"], weights: Float[Tensor, " M"]
) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"]]:
    """By how much the mean loss of each candidate is above the lowest, and the standard error of that.

    Args:
        losses: Of each candidate, on the same rows.
        weights: Of the rows.

    Returns:
        Both in the unit of the losses; the standard error is that of the difference, row by row.
    """
    share = weights / weights.sum()
    differences = losses - losses[(losses @ share).argmin()]
    behind = differences @ share
    return behind, ((differences - behind[:, None]).square() @ share.square()).sqrt()


def log_loss_without_choice(
    losses: Float[Tensor, "C M"],
    weights: Float[Tensor, " M"],
    groups: Int[Tensor, " M"] | None = None,
    *,
    seed: int,
    choose: Callable[[Tensor, Tensor], int] = simplest_within_error,
) -> float:
    """The mean loss of the candidate chosen on a bootstrap sample of rows, on the rows outside of the sample.

    Args:
        losses: Of each candidate, on the same rows.
        weights: Of the rows.
        groups: The group of each row, where rows of a group are alike: whole groups are drawn.
        seed: Of the draws.
        choose: The rule, from losses and weights to the number of a candidate.

    Returns:
        The mean over the samples; with so many candidates that one is the best by luck it is above the least mean loss.

    Example:
        >>> luck = torch.rand(50, 100, generator=torch.Generator().manual_seed(0))
        >>> lowest = lambda losses, weights: int((losses @ weights).argmin())
        >>> float(luck.mean(1).min()) < 0.46 < log_loss_without_choice(luck, torch.ones(100), seed=0, choose=lowest)
        True

    Source: Tsamardinos, Greasidou and Borboudakis (2018), Bootstrapping the out-of-sample predictions for efficient and
        accurate cross-validation, Machine Learning 107, algorithm 5.
    """
    units = torch.arange(losses.shape[1]) if groups is None else torch.unique(groups, return_inverse=True)[1]
    count = int(units.max()) + 1
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(RESAMPLES):
        drawn = torch.randint(count, (count,), generator=generator).bincount(minlength=count)[units]
        inside, outside = weights * drawn, weights * (drawn == 0)
        if inside.sum() > 0 and outside.sum() > 0:
            chosen = choose(losses, inside)
            found.append(float(losses[chosen] @ outside / outside.sum()))
    return sum(found) / len(found) if found else float(losses[choose(losses, weights)] @ weights / weights.sum())
