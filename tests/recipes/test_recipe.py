"""Recipes are closed: an option is known, in range and of the kind of model, or it is refused."""

import pytest
from pydantic import BaseModel, ValidationError

from polylogit.errors import RecipeError
from polylogit.recipes import LinearRecipe, read_recipe, recipe_from_entries
from polylogit.recipes.recipe import RECIPES
from polylogit.recipes.sections import LinearModel


def test_all_faults_are_named_at_once():
    entries = {
        "sed": 1,
        "data": {"test_fraction": 1.5, "targt": "type"},
        "model": {"kind": "linaer"},
        "training": {"C": -1, "epochs": "many"},
    }
    with pytest.raises(RecipeError) as caught:
        recipe_from_entries(entries)
    message = str(caught.value)
    assert message.startswith("the recipe has 6 faults:")
    for words in (
        'sed: there is no such option. Did you mean "seed"?',
        'data.targt: there is no such option. Did you mean "target"?',
        "data.test_fraction: input should be less than 1, got 1.5.",
        "model.kind: expected one of auto, linear, additive, pretrained, mlp, cnn, residual, got 'linaer'. "
        'Did you mean "linear"?',
        "training.C: input should be greater than 0, or input should be 'auto', got -1.",
        "training.epochs: input should be a valid integer",
    ):
        assert words in message


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


def test_every_option_is_described():
    def missing(model: type[BaseModel]) -> list[str]:
        names = []
        for name, field in model.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                names += missing(field.annotation)
            elif not field.description:
                names.append(f"{model.__name__}.{name}")
        return names

    assert [name for recipe in RECIPES.values() for name in missing(recipe)] == []


def test_the_options_of_another_kind_are_refused():
    with pytest.raises(RecipeError, match=r"training\.C: there is no such option"):
        recipe_from_entries({"model": {"kind": "mlp"}, "training": {"C": 1.0}})
    with pytest.raises(RecipeError, match=r"model\.activation: there is no such option"):
        recipe_from_entries({"model": {"kind": "cnn", "activation": "tanh"}})


def test_the_model_section_is_that_of_the_recipe():
    with pytest.raises(ValidationError, match="linear"):
        LinearModel(kind="cnn")
    kinds = "auto, linear, additive, pretrained, mlp, cnn, residual"
    with pytest.raises(RecipeError, match=rf"model\.kind: expected one of {kinds}, got \['mlp'\]"):
        recipe_from_entries({"model": {"kind": ["mlp"]}})


@pytest.mark.parametrize(
    ("entries", "hint"),
    [
        ({"C": 10}, 'C: there is no such option. Did you mean "training.C"?'),
        ({"epochs": 3}, 'epochs: there is no such option. Did you mean "training.epochs"?'),
        ({"model": {"C": 10}}, 'model.C: there is no such option. Did you mean "training.C"?'),
        ({"data": {"seed": 10}}, 'data.seed: there is no such option. Did you mean "seed"?'),
    ],
)
def test_an_option_in_the_wrong_section_is_named_with_its_own(entries, hint):
    with pytest.raises(RecipeError) as caught:
        recipe_from_entries(entries)
    assert hint in str(caught.value)


def test_one_column_to_drop_needs_no_brackets():
    assert recipe_from_entries(read_recipe(settings=["data.drop=customer_id"])).data.drop == ("customer_id",)
