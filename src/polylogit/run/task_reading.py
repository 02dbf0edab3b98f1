"""The task that DATA and a recipe name, of a table or of pictures."""

from pathlib import Path

from polylogit.recipes import Recipe
from polylogit.recipes.data_kinds import data_kind
from polylogit.run.picture_task import picture_task
from polylogit.run.table_task import table_task
from polylogit.run.task import Task

__all__ = ["read_task"]


def read_task(data: str, recipe: Recipe, data_root: Path | None) -> tuple[Recipe, Task]:
    """Read the rows of a task.

    Args:
        data: DATA as given on the command line.
        recipe: How the data are read, and split where they have no split of their own.
        data_root: Directory for downloaded data sets.

    Returns:
        The recipe, with the target of a bundled table where it names none, and the task.

    Raises:
        DataError: The data are at fault.
        RecipeError: The recipe does not fit the data.
    """
    if data_kind(data, recipe.data.path) == "table":
        return table_task(data, recipe)
    return recipe, picture_task(data, recipe, data_root)
