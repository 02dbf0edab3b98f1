"""Options of the other kind of data are refused, and no option of a recipe is forgotten."""

from typing import get_args

import pytest

from polylogit.errors import RecipeError
from polylogit.recipes import recipe_from_entries
from polylogit.recipes.data_kinds import DataKind, check_options_apply, options_of
from polylogit.recipes.recipe import RECIPES


@pytest.mark.parametrize(
    ("kind", "entries"),
    [
        ("picture folder", {"data": {"weight": "w"}}),
        ("picture folder", {"data": {"columns": {"legs": "number"}}}),
        ("picture folder", {"data": {"drop": ["legs"]}}),
        ("picture folder", {"data": {"target": "legs"}}),
        ("picture folder", {"cross_validation": {"repeats": 2}}),
        ("picture table", {"data": {"time": "day"}}),
        ("picture data set", {"data": {"group": "patient"}}),
        ("picture data set", {"data": {"test_fraction": 0.5}}),
        ("table", {"data": {"picture_size": 32}}),
        ("table", {"data": {"pictures_in_memory": "never"}}),
        ("table", {"model": {"kind": "mlp"}, "augmentation": {"shift": 1}}),
    ],
)
def test_options_of_another_kind_are_refused(kind, entries):
    section = next(name for name in entries if name != "model")
    option = f"{section}.{next(iter(entries[section]))}"
    with pytest.raises(
        RecipeError, match=rf"^{option}: does not apply to a {kind}, and scans is one\. Leave it out\.$"
    ):
        check_options_apply(recipe_from_entries(entries), kind, "scans")


def test_all_of_them_are_named_at_once():
    with pytest.raises(RecipeError, match=r"2 faults:\n  data\.target: .*\n  data\.time: "):
        check_options_apply(recipe_from_entries({"data": {"target": "kind", "time": "day"}}), "picture folder", "scans")


@pytest.mark.parametrize("option", ["split", "test"])
def test_a_fraction_is_refused_where_the_rows_are_named(option):
    recipe = recipe_from_entries({"data": {option: "part", "test_fraction": 0.3}})
    with pytest.raises(RecipeError, match=rf"data\.test_fraction: data\.{option} says which rows"):
        check_options_apply(recipe, "table", "scans.csv")


@pytest.mark.parametrize("kind", RECIPES)
def test_a_recipe_with_every_default_written_out_fits_all_data(kind):
    recipe = recipe_from_entries(recipe_from_entries({"model": {"kind": kind}}).as_entries())
    for data_kind in get_args(DataKind):
        check_options_apply(recipe, data_kind, "scans")


@pytest.mark.parametrize("kind", RECIPES)
def test_every_option_applies_to_some_data(kind):
    known = set(options_of(RECIPES[kind]))
    assert {option for data_kind in get_args(DataKind) for option in options_of(RECIPES[kind], data_kind)} == known
    assert len(known) > 20
