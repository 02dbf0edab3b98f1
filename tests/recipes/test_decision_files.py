"""Files of costs and class shares."""

import json

import pytest

from polylogit.errors import RecipeError
from polylogit.recipes import read_recipe, recipe_from_entries
from polylogit.recipes.decision_files import read_costs, read_shares

COSTS = {"ill": {"ill": 0.0, "well": 10.0}, "well": {"ill": 1.0, "well": 0.0}}


def test_csv_and_json_say_the_same(tmp_path):
    (tmp_path / "c.csv").write_text("\ufefftrue,ill, well\nill,0,10\n\nwell,1,0\n")
    (tmp_path / "c.json").write_text(json.dumps(COSTS))
    assert read_costs(tmp_path / "c.csv") == read_costs(tmp_path / "c.json") == COSTS
    (tmp_path / "p.csv").write_text("class,share\nill,0.1\nwell,0.9\n")
    (tmp_path / "p.json").write_text('{"ill": 0.1, "well": 0.9}')
    assert read_shares(tmp_path / "p.csv") == read_shares(tmp_path / "p.json") == {"ill": 0.1, "well": 0.9}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.csv", "true,ill,well\n", "expected a header and a line for each class"),
        ("c.csv", "true,ill,well\nill,0\nwell,1,0\n", "line 2: expected 2 costs, got 1"),
        ("c.csv", "true,ill,well\nill,0,x\nwell,1,0\n", "line 2, \"well\": expected a number, got 'x'"),
        ("c.csv", "true,ill,ill\nill,0,1\nwell,1,0\n", "a name occurs twice"),
        ("c.json", "[1]", "expected an object"),
        ("c.json", "{", "not a JSON file"),
        ("c.json", '{"ill": {"ill": null}}', "expected a number, got None"),
        ("c.txt", "", "expected a .csv or .json file"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(RecipeError, match=message):
        read_costs(tmp_path / name)


def test_semicolons_and_decimal_commas_are_read(tmp_path):
    (tmp_path / "c.csv").write_text("true;ill;well\nill;0;10,5\nwell;1.25;0\n")
    assert read_costs(tmp_path / "c.csv") == {"ill": {"ill": 0, "well": 10.5}, "well": {"ill": 1.25, "well": 0}}
    (tmp_path / "p.csv").write_text("class\tshare\nill\t0,1\nwell\t0,9\n")
    assert read_shares(tmp_path / "p.csv") == {"ill": 0.1, "well": 0.9}


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RecipeError, match="the file cannot be read"):
        read_shares(tmp_path / "none.csv")


def test_the_recipe_holds_the_content_and_not_the_name_of_the_file(tmp_path):
    (tmp_path / "c.csv").write_text("true,ill,well\nill,0,10\nwell,1,0\n")
    entries = read_recipe(settings=[f"decision.costs={tmp_path / 'c.csv'}"])
    assert entries == {"decision": {"costs": COSTS}}
    recipe = tmp_path / "r.toml"
    recipe.write_text(f'[decision]\ncosts = "{tmp_path / "c.csv"}"\n')
    assert read_recipe(recipe) == entries


def test_the_recipe_of_a_model_file_never_makes_a_file_be_read(tmp_path):
    (tmp_path / "c.csv").write_text("true,ill,well\nill,0,10\nwell,1,0\n")
    with pytest.raises(RecipeError, match=r"decision\.costs: input should be a valid dictionary"):
        recipe_from_entries({"decision": {"costs": str(tmp_path / "c.csv")}})
