import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from polylogit.model_header import ModelHeader, TableColumn, read_header

SCHEMA = Path(__file__).parents[1] / "docs" / "model_file.schema.json"


def test_the_published_schema_is_the_one_that_the_loader_validates_against():
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == ModelHeader.model_json_schema()


def test_the_header_describes_all_but_the_tensors(zoo_run):
    header = read_header(zoo_run.model_path)
    assert header.class_names[0] == "amphibian"
    assert header.network.options == {"features": 16, "classes": 7}
    assert header.trained_on.data == "zoo"
    assert header.trained_on.target == "type"
    assert (header.trained_on.rows_train, header.trained_on.rows_test) == (81, 20)
    assert header.temperature == zoo_run.classifier.temperature


@pytest.mark.parametrize("column", [{"type": "number", "levels": ["a"]}, {"type": "category"}])
def test_levels_belong_to_categories(column):
    with pytest.raises(ValidationError, match="levels belong to a category"):
        TableColumn(name="a", **column)


def test_every_class_is_scaled_or_none(zoo_run):
    header = read_header(zoo_run.model_path).model_dump(mode="json", exclude_none=True)
    with pytest.raises(ValidationError, match="expected 7 scales and biases"):
        ModelHeader.model_validate(header | {"vector_scaling": {"scale": [1.0], "bias": [0.0]}})
    with pytest.raises(ValidationError, match=r"greater than or equal to 0\.000001"):
        ModelHeader.model_validate(header | {"vector_scaling": {"scale": [-1.0] * 7, "bias": [0.0] * 7}})
