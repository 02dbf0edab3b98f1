"""The task that DATA and a recipe name, of a table or of pictures."""

from collections.abc import Sequence
from pathlib import Path

from polylogit.errors import RecipeError
from polylogit.fitting.callbacks import TrainingCallback
from polylogit.recipes import PretrainedRecipe, Recipe
from polylogit.recipes.data_kinds import data_kind
from polylogit.run.picture_task import picture_task
from polylogit.run.pretrained_task import pretrained_task
from polylogit.run.table_task import table_task
from polylogit.run.task import Task

__all__ = ["read_task"]


def read_task(
    data: str,
    recipe: Recipe,
    data_root: Path | None,
    *,
    allow_download: bool = False,
    callbacks: Sequence[TrainingCallback] = (),
) -> tuple[Recipe, Task]:
    """Read the rows of a task.

    Args:
        data: DATA as given on the command line.
        recipe: How the data are read, and split where they have no split of their own.
        data_root: Directory for downloaded data sets.
        allow_download: Whether the weights of a pretrained network may be downloaded.
        callbacks: Training callbacks; those of steps before the fit are called: see `TrainingCallback`.

    Returns:
        The recipe, with the target of a bundled table where it names none, and the task.

    Raises:
        DataError: The data are at fault.
        RecipeError: The recipe does not fit the data.
    """
    kind = data_kind(data, recipe.data.path)
    if isinstance(recipe, PretrainedRecipe):
        if kind in {"table", "picture data set"}:
            raise RecipeError(
                f"{data}: a model of kind pretrained takes picture files, and this is a {kind}. Take "
                f"{'--model linear or --model mlp' if kind == 'table' else '--model cnn'}."
            )
        return recipe, pretrained_task(data, recipe, allow_download=allow_download, callbacks=callbacks)
    if kind == "table":
        return table_task(data, recipe, callbacks)
    return recipe, picture_task(data, recipe, data_root, callbacks)
