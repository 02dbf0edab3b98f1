"""`polylogit recipes` and `polylogit init`: what they print reads back as the same recipe."""

import json
import tomllib
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from polylogit.recipes import Recipe, read_recipe, recipe_from_entries, shipped_recipes


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_recipe_of_the_package_is_listed_and_shown(polylogit, name):
    assert name in polylogit("recipes", "list").stdout.split()
    shown = recipe_from_entries(tomllib.loads(polylogit("recipes", "show", name).stdout))
    assert shown == recipe_from_entries(read_recipe(Path(name)))


def test_show_reads_back(polylogit, tmp_path):
    (tmp_path / "r.toml").write_text('[data]\ncolumns = {"no. of \\"legs\\"" = "number"}\ndrop = ["a b"]\n')
    shown = tomllib.loads(polylogit("recipes", "show", "r.toml", "--set", "training.C=1e-7").stdout)
    assert recipe_from_entries(shown) == recipe_from_entries(read_recipe(tmp_path / "r.toml", ["training.C=1e-7"]))


def test_validate_names_the_faults(polylogit, tmp_path):
    (tmp_path / "good.toml").write_text("[training]\nC = 3\n")
    (tmp_path / "bad.toml").write_text("C = 3\n")
    assert "good.toml: valid, a recipe of kind linear" in polylogit("recipes", "validate", "good.toml").stderr
    done = polylogit("recipes", "validate", "bad.toml")
    assert (done.exit_code, 'Did you mean "training.C"?' in done.stderr) == (2, True)
    done = polylogit("recipes", "validate", "good.toml", "--data", "mnist", "--set", "data.group=g")
    assert "data.group: does not apply to a picture data set" in done.stderr


def test_the_schema_is_that_of_all_recipes(polylogit):
    schema = json.loads(polylogit("recipes", "schema").stdout)
    assert {part["$ref"].rpartition("/")[2] for part in schema["anyOf"]} == {
        "AutoRecipe",
        "LinearRecipe",
        "AdditiveRecipe",
        "PretrainedRecipe",
        "MlpRecipe",
        "CnnRecipe",
        "ResidualRecipe",
    }
    assert schema["$defs"] == TypeAdapter(Recipe).json_schema()["$defs"]


@pytest.mark.parametrize(
    ("data", "words"),
    [("animals.csv", ("--target", "kind", "--set", "training.C=3")), ("mnist", ()), ("mnist", ("--model", "mlp"))],
)
def test_init_writes_every_option_that_applies(polylogit, tmp_path, data, words):
    done = polylogit("init", data, *words)
    assert done.exit_code == 0, done.stderr
    text = (tmp_path / "recipe.toml").read_text(encoding="utf-8")
    recipe = recipe_from_entries(tomllib.loads(text))
    assert ("picture_values" in text, "number_values" in text) == (data == "mnist", data != "mnist")
    if data == "animals.csv":
        assert (recipe.data.target, recipe.training.C) == ("kind", 3)
    uncommented = "\n".join(
        line.removeprefix("# ") if line.startswith("# ") and " = " in line and " = ..." not in line else line
        for line in text.splitlines()
    )
    assert recipe_from_entries(tomllib.loads(uncommented)) == recipe


def test_init_replaces_no_file(polylogit, tmp_path):
    (tmp_path / "recipe.toml").write_text("mine")
    done = polylogit("init", "zoo")
    assert (done.exit_code, "there is such a file already" in done.stderr) == (1, True)
    assert (tmp_path / "recipe.toml").read_text() == "mine"


def test_predictions_for_spreadsheets_hold_no_formula(polylogit, tmp_path):
    rows = "".join(f"{n % 5},{'=1+1' if n % 2 else '@bird'},-{n}\n" for n in range(40))
    (tmp_path / "t.csv").write_text("legs,kind,balance\n" + rows)
    trained = polylogit("train", "t.csv", "--target", "kind", "--drop", "balance", "--out", "m.safetensors")
    assert trained.exit_code == 0, trained.stderr
    done = polylogit("predict", "m.safetensors", "t.csv", "--carry", "kind", "--carry", "balance", "--escape-formulas")
    cells = [line.split(",") for line in done.stdout.splitlines()[1:]]
    assert {row[0] for row in cells} == {"'=1+1", "'@bird"}
    assert cells[3][1] == "-3"
    assert all(row[2].startswith("'") for row in cells)
    assert polylogit("predict", "m.safetensors", "t.csv", "--out", "p.jsonl", "--escape-formulas").exit_code == 2
