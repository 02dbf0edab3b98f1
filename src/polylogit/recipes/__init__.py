"""Recipes: the options of a training run, checked as a whole, and the files that they are read from."""

from polylogit.recipes.reading import read_recipe, shipped_recipes, shipped_recipes_by_use, starting_entries
from polylogit.recipes.recipe import (
    AdditiveRecipe,
    AutoRecipe,
    CnnRecipe,
    LinearRecipe,
    MlpRecipe,
    ModelKind,
    NetworkRecipe,
    PretrainedRecipe,
    Recipe,
    ResidualRecipe,
    SolverRecipe,
    recipe_from_entries,
)

__all__ = [
    "AdditiveRecipe",
    "AutoRecipe",
    "CnnRecipe",
    "LinearRecipe",
    "MlpRecipe",
    "ModelKind",
    "NetworkRecipe",
    "PretrainedRecipe",
    "Recipe",
    "ResidualRecipe",
    "SolverRecipe",
    "read_recipe",
    "recipe_from_entries",
    "shipped_recipes",
    "shipped_recipes_by_use",
    "starting_entries",
]
