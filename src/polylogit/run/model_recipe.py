"""The recipe in a model file, checked like any other recipe, with errors that name the file."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from polylogit.classifier import Classifier
from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.tables.dialect import Dialect
from polylogit.errors import ModelFileError, RecipeError
from polylogit.recipes import Recipe, read_recipe, recipe_from_entries

__all__ = ["recipe_of_model", "recipe_to_read"]


def recipe_of_model(classifier: Classifier, model_path: Path) -> Recipe:
    """The recipe that a model file carries.

    Args:
        classifier: The loaded model.
        model_path: Its file, for the message.

    Returns:
        The recipe.

    Raises:
        ModelFileError: The recipe is at fault; a file that polylogit wrote never has one that is.
    """
    try:
        return recipe_from_entries(classifier.recipe)
    except RecipeError as fault:
        raise ModelFileError(f"{model_path}: the recipe in the model file is at fault: {fault}") from fault


def recipe_to_read(
    classifier: Classifier, model_path: Path, settings: Sequence[str], *, besides: Sequence[str] = ()
) -> Recipe:
    """The recipe of a model file, with settings for a table that is written in another way than that of training.

    Args:
        classifier: The loaded model.
        model_path: Its file, for messages.
        settings: Texts `data.option=value`, as for `read_recipe`; those of `Dialect` apply.
        besides: Other options of the data section that apply.

    Returns:
        The recipe.

    Raises:
        ModelFileError: As `recipe_of_model`.
        RecipeError: A setting is at fault or does not apply to reading a table, or the model takes pictures.
    """
    recipe = recipe_of_model(classifier, model_path)
    if not settings:
        return recipe
    if isinstance(classifier.preprocessing, PictureEncoder):
        raise RecipeError(f"--set {settings[0]}: applies to tables, but the model takes pictures. Leave it out.")
    options = [*(option.name for option in fields(Dialect)), *besides]
    entries = recipe.as_entries()
    for setting in settings:
        given = read_recipe(settings=[setting])
        data = given.pop("data", {})
        if given or not isinstance(data, dict) or not set(data) <= set(options):
            raise RecipeError(
                f"--set {setting}: the model is trained already, so only options of how the table is written apply: "
                f"{', '.join(f'data.{option}' for option in options)}."
            )
        entries["data"] |= data
    return recipe_from_entries(entries)
