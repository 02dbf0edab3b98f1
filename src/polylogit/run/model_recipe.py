"""The recipe in a model file, checked like any other recipe, with errors that name the file."""

from pathlib import Path

from polylogit.classifier import Classifier
from polylogit.errors import ModelFileError, RecipeError
from polylogit.recipes import Recipe, recipe_from_entries

__all__ = ["recipe_of_model"]


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
