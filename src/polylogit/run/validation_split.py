"""The validation rows of a network: training rows that its epochs are evaluated on and its calibration is fitted to."""

from contextlib import suppress

from jaxtyping import Int
from torch import Tensor

from polylogit.data.split import Split, grouped_split, is_among, stratified_split
from polylogit.errors import DataError, RecipeError
from polylogit.recipes import NetworkRecipe, PretrainedRecipe
from polylogit.run.task import Task

__all__ = ["fitted_and_validation_rows", "usual_validation_share"]

SHARE, LEAST_ROWS, MOST_ROWS = 0.1, 2000, 10_000
"""A tenth of the training rows, but at least and at most so many; docs/decisions.md gives the reasons."""

MOST_SHARE = 0.2
GROUP_SHARES = (0.3, 0.5)
"""Shares that are tried after the usual one where whole groups are kept together and are too large for it."""


def fitted_and_validation_rows(
    task: Task, recipe: NetworkRecipe | PretrainedRecipe
) -> tuple[Int[Tensor, " A"], Int[Tensor, " B"]]:
    """The training rows that the network is fitted on, and those kept for validation and calibration.

    Args:
        task: Its own validation rows are used where it has some; else its training rows are split by class, with
            copies on one side, or by group where a column names groups.
        recipe: Its `training.validation_fraction` overrides both; left out, and of a pretrained network, the share is
            `usual_validation_share`.

    Returns:
        Both, as numbers of rows of the task; the second is empty where the recipe's share is 0.

    Raises:
        RecipeError: No group can be kept whole.
    """
    rows = task.split.train
    share = None if isinstance(recipe, PretrainedRecipe) else recipe.training.validation_fraction
    if share == 0:
        return rows, rows[:0]
    if task.validation is not None and share is None:
        return rows[~is_among(rows, task.validation)], task.validation
    shares = [share] if share is not None else [usual_validation_share(len(rows)), *GROUP_SHARES]
    targets, groups = task.rows.targets[rows], task.rows.groups
    if groups is None or recipe.data.group is None:
        parts = stratified_split(targets, shares[0], recipe.seed, None if groups is None else groups[rows])
    else:
        parts = _whole_groups(targets, groups[rows], shares, recipe)
    return rows[parts.train], rows[parts.test]


def usual_validation_share(rows: int) -> float:
    """The share of the training rows that is kept for validation and calibration where a recipe does not say.

    Args:
        rows: How many training rows there are.

    Returns:
        A tenth; more where that would be under 2,000 rows, up to a fifth; less where it would be over 10,000.

    Example:
        >>> [round(usual_validation_share(rows) * rows) for rows in (1_000, 15_000, 60_000, 1_000_000)]
        [200, 2000, 6000, 10000]
    """
    return min(MOST_SHARE, min(max(SHARE * rows, LEAST_ROWS), MOST_ROWS) / rows)


def _whole_groups(
    targets: Int[Tensor, " N"],
    groups: Int[Tensor, " N"],
    shares: list[float],
    recipe: NetworkRecipe | PretrainedRecipe,
) -> Split:
    """Validation rows that share no group with those fitted on: the first of the shares that groups allow."""
    for share in shares:
        with suppress(DataError):
            return grouped_split(targets, groups, share, recipe.seed)
    if isinstance(recipe, PretrainedRecipe):
        raise RecipeError(
            f'training.finetune: no group of "{recipe.data.group}" can be kept for validation: each has more than '
            f'{shares[-1]:.0%} of the training rows, or the only rows of a class. Set it to "none".'
        )
    raise RecipeError(
        f'training.validation_fraction: no group of "{recipe.data.group}" can be kept for validation and calibration: '
        f"each has more than {shares[-1]:.0%} of the training rows, or the only rows of a class. Give a larger share, "
        'or 0 together with calibration.method = "none".'
    )
