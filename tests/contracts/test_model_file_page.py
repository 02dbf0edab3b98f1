"""The second reader, which was written from docs/model_file.md alone, gives the probabilities of polylogit."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from polylogit import Classifier
from polylogit.calibration import Calibration
from polylogit.calibration.quadratic import QuadraticMap
from polylogit.calibration.structured_scaling import StructuredScaling
from polylogit.calibration.vector_scaling import VectorScaling
from polylogit.errors import PolylogitWarning
from polylogit.recipes import recipe_from_entries
from polylogit.run import train

from . import second_reader

FOLDER = Path(__file__).parents[1] / "fixtures" / "models_0_1"


def test_the_reader_knows_nothing_of_polylogit():
    source = Path(second_reader.__file__).read_text(encoding="utf-8")
    assert "import polylogit" not in source
    assert "from polylogit" not in source


@pytest.mark.parametrize("model", ["mixed_linear", "mixed_vector", "mixed_mlp", "mixed_curve_floor"])
def test_the_reader_of_the_page_predicts_the_same(model):
    with (FOLDER / "mixed.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    expected = json.loads((FOLDER / f"{model}.json").read_text(encoding="utf-8"))["probabilities"]
    found = second_reader.probabilities(FOLDER / f"{model}.safetensors", rows[: len(expected)])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


COLUMNS = {
    "plain": "number",
    "price": "number:$1,234.5",
    "weight": "number:1.234,5 kg",
    "when": "number:quarter",
    "code": "number:hexadecimal",
    "flag": "boolean",
    "day": "date:%d/%m/%Y",
    "shop": "category",
    "number": "category",
}


def row(at):
    price = f"{1000 + 37 * at % 900:,}.25"
    return {
        "plain": str(at % 9 - 4.5),
        "price": f"(${price})" if at % 5 == 0 else f"${price}",
        "weight": f"1.{at:03d},75 kg",
        "when": f"20{10 + at % 10}Q{1 + at % 4}",
        "code": hex(16 + 7 * at),
        "flag": ("yes", "No", "TRUE", "0")[at % 4],
        "day": f"{1 + at % 28:02d}/{1 + at % 12:02d}/19{60 + at % 40}",
        "shop": f"shop {at % 3 if at % 4 else at}",
        "number": str(at % 3),
        "y": "abc"[at % 7 % 3],
    }


@pytest.fixture(scope="module", params=["linear", "additive", "mlp"])
def trained(request, tmp_path_factory):
    """A classifier of columns of every type with gaps in all of them, and rows with unseen and missing cells."""
    rows = [row(at) for at in range(80)]
    for at, name in enumerate(COLUMNS):
        rows[at][name] = ""
    folder = tmp_path_factory.mktemp(request.param)
    with (folder / "t.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    entries = {
        "data": {"target": "y", "columns": COLUMNS, "most_levels": 5},
        "model": {"kind": request.param},
        "calibration": {"method": "none"},
    }
    if request.param == "mlp":
        entries["model"] |= {"hidden": [6, 5], "activation": "tanh", "reference_class": True, "dropout": 0.1}
        entries["training"] = {"epochs": 2}
    path = train(str(folder / "t.csv"), recipe_from_entries(entries), out=folder / "m.safetensors").model_path
    asked = [*rows[:12], *(row(at) for at in range(100, 110)), rows[20] | {"number": "2.0", "plain": "NA", "flag": "?"}]
    if request.param == "additive":
        binned = {column.type for column in Classifier.load(path).preprocessing.columns if column.ramps}
        assert binned == {"number", "date"}
    return Classifier.load(path), asked


CALIBRATIONS = {
    "none": Calibration(),
    "temperature": Calibration(temperature=0.6),
    "quadratic": Calibration(QuadraticMap(1.3, 0.2), temperature=1.7),
    "vector scaling": Calibration(vector_scaling=VectorScaling((0.5, 1.0, 2.0), (0.3, 0.0, -0.4))),
    "structured scaling": Calibration(structured_scaling=StructuredScaling((0.5, 1.0, 2.0), (0.3, 0.0, -0.4))),
    "structured scaling by a matrix": Calibration(
        structured_scaling=StructuredScaling(
            (0.5, 1.0, 2.0), (0.3, 0.0, -0.4), ((0.0, 0.1, -0.2), (0.3, 0.0, 0.1), (-0.1, 0.2, 0.0))
        )
    ),
    "mixing with the uniform distribution": Calibration(temperature=0.3, uniform_share=0.05),
}


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_every_type_of_column_and_every_calibration(trained, name, tmp_path):
    classifier, asked = trained
    assert {column.type for column in classifier.preprocessing.columns} == {"number", "boolean", "date", "category"}
    assert any(column.pooled for column in classifier.preprocessing.columns)
    path = tmp_path / "m.safetensors"
    replace(classifier, calibration=CALIBRATIONS[name], conformal=None).save(path)
    with pytest.warns(PolylogitWarning, match="never seen in training"):
        expected = Classifier.load(path).predict_probabilities(
            {name: [cells[name] for cells in asked] for name in COLUMNS}
        )
    np.testing.assert_allclose(second_reader.probabilities(path, asked), expected.numpy(), rtol=0, atol=1e-5)


def test_every_entry_of_the_calibration_is_tried():
    tried = {key for calibration in CALIBRATIONS.values() for key in calibration.as_header()}
    assert tried == set(Calibration().as_json())


def test_the_digest_is_the_one_of_the_page(zoo_run):
    _, digest, _, expected = second_reader.read(zoo_run.model_path)
    assert digest == expected
