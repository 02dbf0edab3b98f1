"""The rule by which a trained classifier chooses the class, and the class shares that it rests on."""

import torch

from polylogit.calibration import DecisionRule
from polylogit.errors import RecipeError
from polylogit.recipes import Recipe
from polylogit.run.task import Task

__all__ = ["class_shares", "decision_rule"]


def class_shares(task: Task, recipe: Recipe) -> list[float] | None:
    """The share of each class among the training rows, by weight: what the probabilities of the model rest on.

    Args:
        task: The task.
        recipe: Its recipe.

    Returns:
        The shares; None with balanced class weights, whose probabilities rest on others, and where a class has no row.
    """
    if recipe.training.class_weight == "balanced":
        return None
    train = task.split.train
    sums = torch.bincount(task.rows.targets[train], weights=task.weights_of(train), minlength=len(task.class_names))
    return (sums.double() / sums.sum()).tolist() if bool((sums > 0).all()) else None


def decision_rule(task: Task, recipe: Recipe) -> DecisionRule | None:
    """The rule of a recipe's costs and class shares.

    Args:
        task: Names the classes.
        recipe: Its section `decision`.

    Returns:
        The rule; None where the most probable class is chosen.

    Raises:
        RecipeError: As for `DecisionRule.by_name`.
    """
    wanted = recipe.decision
    if wanted.costs is None and wanted.prior is None:
        return None
    try:
        return DecisionRule.by_name(
            task.class_names, costs=wanted.costs, prior=wanted.prior, trained=class_shares(task, recipe)
        )
    except RecipeError as fault:
        raise RecipeError(f"decision.{fault}") from fault
