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

_OF_PICTURES = ("path", "broken", "separator", "encoding")
"""Options of how picture files are found; the separator and the encoding are those of a table of their names."""


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
    classifier: Classifier,
    model_path: Path,
    settings: Sequence[str],
    *,
    besides: Sequence[str] = (),
    besides_of_pictures: Sequence[str] = (),
) -> Recipe:
    """The recipe of a model file, with settings for data that are written in another way than those of training.

    Args:
        classifier: The loaded model.
        model_path: Its file, for messages.
        settings: Texts `data.option=value`, as for `read_recipe`; those of `Dialect` apply, and for a model of
            pictures those of how files are found.
        besides: Other options of the data section that apply to tables.
        besides_of_pictures: Other options of the data section that apply to pictures.

    Returns:
        The recipe.

    Raises:
        ModelFileError: As `recipe_of_model`.
        RecipeError: A setting is at fault or does not apply to reading the data.
    """
    recipe = recipe_of_model(classifier, model_path)
    if not settings:
        return recipe
    of_table = [*(option.name for option in fields(Dialect)), *besides]
    takes_pictures = isinstance(classifier.preprocessing, PictureEncoder)
    options = [*_OF_PICTURES, *besides_of_pictures] if takes_pictures else of_table
    entries = recipe.as_entries()
    for setting in settings:
        given = read_recipe(settings=[setting])
        data = given.pop("data", {})
        if given or not isinstance(data, dict) or not set(data) <= set(options):
            what = "the pictures are found" if takes_pictures else "the table is written"
            raise RecipeError(
                f"--set {setting}: the model is trained already, so only options of how {what} apply: "
                f"{', '.join(f'data.{option}' for option in options)}."
            )
        entries["data"] |= data
    return recipe_from_entries(entries)
