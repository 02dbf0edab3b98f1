"""Recipes as TOML text: the options of a recipe, and a commented recipe to start from."""

import json
import textwrap
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter

from polylogit.recipes.data_kinds import DataKind, options_of
from polylogit.recipes.recipe import Recipe

__all__ = ["commented_recipe", "recipe_schema", "recipe_toml"]


def recipe_schema() -> dict[str, Any]:
    """The JSON schema of recipes, for editors and for checks by other programs."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **TypeAdapter(Recipe).json_schema()}


def recipe_toml(entries: Mapping[str, Any]) -> str:
    """The nested entries of a recipe as TOML.

    Args:
        entries: As `Recipe.as_entries` gives them.

    Returns:
        TOML that reads back as the same entries.

    Example:
        >>> print(recipe_toml({"seed": 3, "data": {"drop": ["a b"], "columns": {"no. of legs": "number"}}}))
        seed = 3
        <BLANKLINE>
        [data]
        drop = ["a b"]
        columns = {"no. of legs" = "number"}
        <BLANKLINE>
    """
    lines = [f"{name} = {_value(value)}" for name, value in entries.items() if not isinstance(value, Mapping)]
    for name, section in entries.items():
        if isinstance(section, Mapping):
            lines += ["", f"[{name}]", *(f"{option} = {_value(value)}" for option, value in section.items())]
    return "\n".join(lines) + "\n"


def commented_recipe(recipe: Recipe, kind: DataKind) -> str:
    """A recipe with every option that applies to a kind of data: described, and commented out where it is a default.

    Args:
        recipe: The recipe; its options that differ from their defaults are written as they are.
        kind: The kind of data.

    Returns:
        TOML that reads back as the recipe.

    Example:
        >>> from polylogit.recipes import LinearRecipe
        >>> print(commented_recipe(LinearRecipe(seed=1), "table")[:25])
        # Random seed.
        seed = 1
        <BLANKLINE>
    """
    blocks: list[str] = []
    section = ""
    for name in options_of(type(recipe), kind):
        parent, _, option = name.rpartition(".")
        if parent != section:
            section = parent
            blocks.append(f"[{parent}]")
        owner: BaseModel = getattr(recipe, parent) if parent else recipe
        field = type(owner).model_fields[option]
        value = getattr(owner, option)
        default = field.get_default(call_default_factory=True)
        described = textwrap.fill(str(field.description), 98, initial_indent="# ", subsequent_indent="# ")
        plain = owner.model_dump(mode="json")[option]
        written = f"{option} = {'...' if plain is None else _value(plain)}"
        keep = value != default or name == "model.kind"
        blocks.append(f"{described}\n{written if keep else '# ' + written}")
    return "\n\n".join(blocks) + "\n"


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
