"""The schema of a model: generated from its header, complete, and accepted by the model itself."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from polylogit import Classifier
from polylogit.errors import PolylogitWarning
from polylogit.model_header import TableColumn, read_header
from polylogit.model_schema import ColumnSchema, ModelSchema
from polylogit.recipes import recipe_from_entries
from polylogit.run import train

DOCS = Path(__file__).parents[1] / "docs"
FIXTURES = Path(__file__).parent / "fixtures" / "models_0_1"


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A model of a table with every type of column, and gaps."""
    folder = tmp_path_factory.mktemp("schema")
    pl.DataFrame(
        {
            "n": [str(at % 9) if at else "" for at in range(60)],
            "price": [f"{at % 7 + 1}.000,5" for at in range(60)],
            "flag": ["yes", "no"] * 30,
            "when": [f"1{at % 9}/0{1 + at % 9}/2024" for at in range(60)],
            "skin": ["fur", "scales", "fur ", "feathers"] * 15,
            "y": ["a", "b"] * 30,
        }
    ).write_csv(folder / "t.csv")
    return train(str(folder / "t.csv"), recipe_from_entries({"data": {"target": "y"}}), out=folder / "m.safetensors")


def test_the_published_schema_is_that_of_the_object():
    assert json.loads((DOCS / "model_schema.json").read_text(encoding="utf-8")) == ModelSchema.model_json_schema()


def test_the_header_alone_gives_the_same(mixed):
    loaded = Classifier.load(mixed.model_path)
    assert loaded.schema == mixed.classifier.schema == ModelSchema.of(read_header(mixed.model_path))
    assert ModelSchema.model_validate_json(loaded.schema.model_dump_json()) == loaded.schema


def test_columns_are_described(mixed):
    n, price, flag, when, skin = mixed.classifier.schema.input.columns
    assert (n.type, n.minimum, n.maximum, n.missing_in_training) == ("number", 0.0, 8.0, True)
    assert (price.format, price.in_words()) == ("1.234,5", "1000.5 to 7000.5")
    assert (flag.type, flag.minimum, flag.in_words()) == ("boolean", None, "true, false")
    assert (when.format, when.minimum, when.maximum) == ("%d/%m/%Y", "2024-01-10", "2024-09-18")
    assert (skin.levels, skin.pooled, skin.missing_values) == (("feathers", "fur", "scales"), False, ("",))
    assert "NA" in n.missing_values


def test_the_example_row_is_accepted_and_known(mixed):
    row = mixed.classifier.schema.input.example_row()
    assert mixed.classifier.predict_rows([row])[0].unseen == ()


def test_the_json_schema_of_a_row_names_every_column(mixed):
    schema = mixed.classifier.schema.input.row_json_schema()
    assert schema["required"] == list(schema["properties"]) == ["n", "price", "flag", "when", "skin"]
    assert schema["properties"]["skin"]["examples"] == ["feathers", "fur", "scales"]
    assert "other values count as none" in schema["properties"]["skin"]["description"]
    assert "which training rows did not have" in schema["properties"]["price"]["description"]
    json.dumps(schema, allow_nan=False)


def test_pictures_are_described():
    with pytest.warns(PolylogitWarning, match="without a digest"):
        schema = Classifier.load(FIXTURES / "pictures_cnn.safetensors").schema
    pixels = np.load(FIXTURES / "pictures.npy")
    assert schema.input.kind == "picture"
    assert (schema.input.height, schema.input.width) == pixels.shape[-2:]
    assert schema.network == "cnn"


@pytest.mark.parametrize("name", ["zoo", "mixed_linear", "two_classes"])
def test_an_old_file_has_no_ranges_and_an_example_that_is_accepted(name):
    with pytest.warns(PolylogitWarning, match="without a digest"):
        classifier = Classifier.load(FIXTURES / f"{name}.safetensors")
    assert {column.minimum for column in classifier.schema.input.columns} == {None}
    assert classifier.predict_rows([classifier.schema.input.example_row()])[0].unseen == ()


def test_many_levels_are_shortened():
    column = ColumnSchema.of(
        TableColumn(name="c", type="category", levels=[f"{at:03}" for at in range(500)], pooled=True)
    )
    assert column.in_words().endswith("019, and 480 more")
    assert len(column.cell_json_schema()["examples"]) == 20
    assert "500 levels in training; other values count as one rare value" in column.cell_json_schema()["description"]


@pytest.mark.parametrize(
    "entries",
    [
        {"type": "number", "minimum": "2020-01-01"},
        {"type": "number", "example": "4"},
        {"type": "boolean", "maximum": True},
        {"type": "category", "levels": ["a"], "minimum": "a"},
        {"type": "date", "minimum": "yesterday"},
    ],
)
def test_a_header_with_values_of_another_type_is_rejected(entries):
    with pytest.raises(ValueError, match=r"minimum|maximum|example|isoformat"):
        TableColumn(name="c", **entries)
