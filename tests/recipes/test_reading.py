"""Where recipes are read from: TOML files, model files, recipes of the package, and settings."""

from pathlib import Path

import pytest

from polylogit.errors import ModelFileError, RecipeError
from polylogit.recipes import (
    read_recipe,
    recipe_from_entries,
    shipped_recipes,
    shipped_recipes_by_use,
    starting_entries,
)


def test_settings_are_toml_values_or_words():
    entries = read_recipe(
        settings=["training.epochs=5", "training.C=1e-3", 'data.drop=["a b", "c"]', "data.target=type"]
    )
    assert entries == {"training": {"epochs": 5, "C": 1e-3}, "data": {"drop": ["a b", "c"], "target": "type"}}


def test_settings_go_over_the_file(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text("seed = 4\n[training]\nC = 2.0\nepochs = 7\n")
    assert read_recipe(path, ["training.C=9"]) == {"seed": 4, "training": {"C": 9, "epochs": 7}}


@pytest.mark.parametrize("setting", ["training.C", "=3", "training.=3", ".C=3"])
def test_a_setting_without_name_or_value_is_refused(setting):
    with pytest.raises(RecipeError, match=r"expected section\.option=value"):
        read_recipe(settings=[setting])


def test_an_option_is_no_section():
    with pytest.raises(RecipeError, match="seed is an option, not a section"):
        read_recipe(settings=["seed=3", "seed.x=4"])


def test_a_recipe_that_is_not_toml_is_named_with_its_line(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text("seed = 1\nC == 3\n")
    with pytest.raises(RecipeError, match=r"not a TOML file: .*line 2"):
        read_recipe(path)


def test_a_recipe_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(tmp_path / "none.toml")
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_recipe(tmp_path / "none.safetensors")


def test_a_model_file_is_a_recipe(zoo_run):
    assert recipe_from_entries(read_recipe(zoo_run.model_path)) == zoo_run.recipe


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_is_one(name):
    recipe = recipe_from_entries(read_recipe(Path(name)))
    assert recipe_from_entries(recipe.as_entries()) == recipe


def test_a_name_starts_from_its_recipe_and_the_own_entries_come_last():
    start = starting_entries("fashion-mnist", {"training": {"epochs": 3}}, pictures=True)
    assert start["model"]["kind"] == "cnn"
    assert start["model"]["orientations"] == 8
    assert start["training"] | {"epochs": 3} == start["training"]
    assert starting_entries("fashion-mnist", {"model": {"kind": "mlp"}}, pictures=True) == {"model": {"kind": "mlp"}}


def test_each_shipped_recipe_has_one_use():
    named = [name for names in shipped_recipes_by_use().values() for name in names]
    assert sorted(named) == list(shipped_recipes())
