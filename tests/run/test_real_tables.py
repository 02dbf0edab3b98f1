"""Real mixed tables, as packages on the registry carry them, through the command line's own run."""

from importlib.resources import files

import pytest

from polylogit.errors import DataError
from polylogit.recipes.recipe import recipe_from_entries
from polylogit.run import train

PENGUINS = files("palmerpenguins") / "data"
WEATHER = files("vega_datasets") / "_data" / "seattle-weather.csv"
CARS = files("vega_datasets") / "_data" / "cars.json"


def run(path, tmp_path, **data):
    return train(str(path), recipe_from_entries({"data": data}), out=tmp_path / "m.safetensors")


def test_penguins_have_gaps_that_are_written_na(tmp_path):
    result = run(PENGUINS / "penguins.csv", tmp_path, target="species")
    assert result.classifier.class_names == ("Adelie", "Chinstrap", "Gentoo")
    names = result.classifier.preprocessing.feature_names
    assert {"bill_length_mm=(missing)", "sex=NA", "island=Dream"} <= set(names)
    assert result.test.accuracy >= 0.97


def test_penguins_as_they_were_noted_down(tmp_path):
    with pytest.raises(DataError, match='column "Individual ID": 190 distinct texts in 344 rows'):
        run(PENGUINS / "penguins-raw.csv", tmp_path, target="Species")
    result = run(PENGUINS / "penguins-raw.csv", tmp_path, target="Species", free_text="drop")
    types = {column.name: column.type for column in result.classifier.preprocessing.columns}
    assert types["Date Egg"] == "date"
    assert types["Clutch Completion"] == "boolean"
    assert types["Culmen Length (mm)"] == "number"
    assert {finding.column for finding in result.audit.of("warning")} == {"Region", "Stage"}
    assert result.test.accuracy >= 0.97


def test_weather_of_the_newest_days(tmp_path):
    result = run(WEATHER, tmp_path, target="weather", time="date")
    assert result.classifier.trained_on.rows_test == 292
    assert "date:month=12" in result.classifier.preprocessing.feature_names
    assert result.test.log_loss < result.test.baselines.frequency_log_loss


def test_cars_as_json_lines(tmp_path):
    import json

    cars = json.loads(CARS.read_text(encoding="utf-8"))
    (tmp_path / "cars.jsonl").write_text("".join(f"{json.dumps(car)}\n" for car in cars), encoding="utf-8")
    result = run(tmp_path / "cars.jsonl", tmp_path, target="Origin", free_text="drop")
    types = {column.name: column.type for column in result.classifier.preprocessing.columns}
    assert "Name" not in types
    assert types["Year"] == "date"
    assert result.test.accuracy > 0.7
