from pathlib import Path

import pytest
from pydantic import BaseModel

from polylogit.errors import ModelFileError, RecipeError
from polylogit.recipes import (
    LinearRecipe,
    read_recipe,
    recipe_from_entries,
    shipped_recipes,
    shipped_recipes_by_use,
    starting_entries,
)


def test_all_faults_are_told_at_once():
    entries = {
        "sed": 1,
        "data": {"test_fraction": 1.5, "targt": "type"},
        "model": {"kind": "linaer"},
        "training": {"C": -1, "epochs": "many"},
    }
    with pytest.raises(RecipeError) as caught:
        recipe_from_entries(entries)
    told = str(caught.value)
    assert told.startswith("the recipe has 6 faults:")
    for words in (
        'sed: there is no such option. Did you mean "seed"?',
        'data.targt: there is no such option. Did you mean "target"?',
        "data.test_fraction: input should be less than 1, got 1.5.",
        "model.kind: input should be 'linear'",
        "training.C: input should be greater than 0, got -1.",
        "training.epochs: input should be a valid integer",
    ):
        assert words in told


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_options_are_finite(value):
    with pytest.raises(RecipeError, match=r"training\.C"):
        recipe_from_entries(read_recipe(settings=[f"training.C={value}"]))


def test_a_recipe_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        LinearRecipe().seed = 3


def test_a_recipe_survives_its_own_entries():
    recipe = recipe_from_entries({"seed": 3, "data": {"target": "type", "drop": ["legs"]}, "training": {"C": 0.5}})
    assert recipe_from_entries(recipe.as_entries()) == recipe


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


def test_a_recipe_that_is_not_toml_is_told_with_its_line(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text("seed = 1\nC == 3\n")
    with pytest.raises(RecipeError, match=r"not a TOML file: .*line 2"):
        read_recipe(path)


def test_a_recipe_that_is_not_there_is_told(tmp_path):
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(tmp_path / "none.toml")
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_recipe(tmp_path / "none.safetensors")


def test_a_model_file_is_a_recipe(zoo_run):
    assert recipe_from_entries(read_recipe(zoo_run.model_path)) == zoo_run.recipe


def test_every_option_is_described():
    def missing(model: type[BaseModel]) -> list[str]:
        names = []
        for name, field in model.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                names += missing(field.annotation)
            elif not field.description:
                names.append(f"{model.__name__}.{name}")
        return names

    assert missing(LinearRecipe) == []


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_is_one(name):
    recipe = recipe_from_entries(read_recipe(Path(name)))
    assert recipe_from_entries(recipe.as_entries()) == recipe


def test_a_name_starts_from_its_recipe_and_a_person_has_the_last_word():
    start = starting_entries("fashion-mnist", {"training": {"epochs": 3}}, pictures=True)
    assert start["model"]["kind"] == "cnn"
    assert start["augmentation"] == {"flip": True, "shift": 2}
    assert start["training"]["epochs"] == 3
    assert starting_entries("fashion-mnist", {"model": {"kind": "mlp"}}, pictures=True) == {"model": {"kind": "mlp"}}


def test_the_options_of_another_kind_are_refused():
    with pytest.raises(RecipeError, match=r"training\.C: there is no such option"):
        recipe_from_entries({"model": {"kind": "mlp"}, "training": {"C": 1.0}})
    with pytest.raises(RecipeError, match=r"model\.activation: there is no such option"):
        recipe_from_entries({"model": {"kind": "cnn", "activation": "tanh"}})


def test_each_shipped_recipe_has_one_use():
    named = [name for names in shipped_recipes_by_use().values() for name in names]
    assert sorted(named) == list(shipped_recipes())
