"""The fit of a model and its calibration: the exact solver for linear models, the training loop for networks.

See also: `linear_fit.py` and `network_fit.py`.
"""

from polylogit.errors import RecipeError
from polylogit.recipes import AutoRecipe, PretrainedRecipe, Recipe, SolverRecipe
from polylogit.run.fine_tuning import with_fine_tuning
from polylogit.run.fitted_model import FittedModel, TrainingPlace
from polylogit.run.linear_fit import fit_linear_model
from polylogit.run.network_fit import fit_network_model
from polylogit.run.task import Task

__all__ = ["fit_model"]


def fit_model(task: Task, recipe: Recipe, *, place: TrainingPlace) -> FittedModel:
    """Fit the model that the recipe asks for on the training rows of the task.

    Args:
        task: Rows, encoded and split; the test rows are not used.
        recipe: Which model, and how it is fitted.
        place: Device, checkpoint, history and callbacks.

    Returns:
        The fitted model.

    Raises:
        RecipeError: The recipe does not fit the data.
        DivergenceError: A network's loss was NaN or infinite before one epoch was whole.
    """
    if isinstance(recipe, SolverRecipe):
        fit = fit_linear_model(task, recipe, place)
        if isinstance(fit.recipe, PretrainedRecipe) and fit.recipe.training.finetune != "none" and not fit.interrupted:
            return with_fine_tuning(task, fit.recipe, fit, place)
        return fit
    if isinstance(recipe, AutoRecipe):
        raise RecipeError(
            'model.kind="auto" names no model: it is chosen when a table is trained on (polylogit train). '
            "Name a kind, such as --set model.kind=linear."
        )
    return fit_network_model(task, recipe, place)
