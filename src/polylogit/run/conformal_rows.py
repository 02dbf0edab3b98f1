"""The rows behind the prediction sets of a model: drawn from the training rows, or those of its calibration."""

import torch
from jaxtyping import Int
from torch import Tensor

from polylogit.calibration import ConformalScores
from polylogit.classifier import Classifier
from polylogit.data.split import Split, grouped_split, is_among
from polylogit.errors import DataError, RecipeError
from polylogit.evaluation import ScoredRows
from polylogit.evaluation.metrics import row_losses
from polylogit.recipes import Recipe, SolverRecipe
from polylogit.run.fitted_model import FittedModel
from polylogit.run.task import Task

__all__ = ["conformal_scores", "without_conformal_rows"]


def without_conformal_rows(
    split: Split,
    targets: Int[Tensor, " N"],
    recipe: Recipe,
    *,
    groups: Int[Tensor, " N"] | None = None,
    validation: Int[Tensor, " V"] | None = None,
) -> tuple[Split, Int[Tensor, " M"] | None]:
    """Take the rows that serve only for prediction sets out of the training rows.

    They are drawn at random, not class by class: the guarantee is for rows that are as random as new ones. The last
    row of a class stays in training; with groups whole groups are drawn.

    Args:
        split: Training and test rows.
        targets: Class indices of all rows.
        recipe: Its `prediction_sets.held_out_fraction` says how many.
        groups: Group of each row, where whole groups are held out together.
        validation: The data's own validation rows, which stay in training.

    Returns:
        The split with fewer training rows, and the rows taken out; None where the recipe asks for none.

    Raises:
        RecipeError: The training rows are too few, or no whole group can be taken out.
    """
    fraction = recipe.prediction_sets.held_out_fraction
    if not fraction:
        return split, None
    train = split.train
    if groups is not None:
        try:
            taken = train[grouped_split(targets[train], groups[train], fraction, recipe.seed).test]
        except DataError as fault:
            raise RecipeError(
                f"prediction_sets.held_out_fraction: no whole group fits into {fraction:g} of the {len(train)} "
                "training rows. Give a larger fraction, or 0."
            ) from fault
    else:
        free = train if validation is None else train[~is_among(train, validation)]
        drawn = free[torch.randperm(len(free), generator=torch.Generator().manual_seed(recipe.seed))]
        count = round(fraction * len(free))
        taken, kept = drawn[:count], drawn[count:]
        lost = ~torch.isin(targets[taken], torch.cat([targets[kept], targets[train[~is_among(train, free)]]]))
        for k in torch.unique(targets[taken[lost]]).tolist():
            taken = taken[taken != taken[targets[taken] == k][0]]
    if not len(taken):
        raise RecipeError(
            f"prediction_sets.held_out_fraction: {fraction:g} of {len(train)} training rows is no row. Give a larger "
            "fraction, or 0."
        )
    taken = taken.sort().values
    return Split(train=train[~is_among(train, taken)], test=split.test), taken


def conformal_scores(classifier: Classifier, task: Task, recipe: Recipe, fit: FittedModel) -> ConformalScores | None:
    """The scores from which the prediction sets of a trained classifier follow.

    Args:
        classifier: The classifier.
        task: Names the rows held out for prediction sets, where there are some.
        recipe: Its recipe.
        fit: Its fit; the held-out rows of its calibration serve otherwise.

    Returns:
        The scores; None where no row was held out.
    """
    if task.conformal_rows is not None:
        chosen = task.rows.take(task.conformal_rows)
        rows = ScoredRows.check(classifier.score(chosen.inputs).logits, chosen.targets, chosen.weights)
    elif fit.calibration is not None and fit.calibration.held_out is not None:
        rows = fit.calibration.held_out
    else:
        return None
    cross_fitted = isinstance(recipe, SolverRecipe) and fit.task is None  # fine-tuning keeps validation rows
    return ConformalScores.of_rows(
        row_losses(rows),
        rows.targets,
        len(task.class_names),
        weights=rows.weights if (rows.weights != 1).any() else None,
        source="held-out" if task.conformal_rows is not None else "cross-fitted" if cross_fitted else "validation",
        grouped=task.rows.groups is not None,
    )
