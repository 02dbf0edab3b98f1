"""A second reader of model files, written from docs/model_file.md alone: nothing of polylogit predicts here."""

import csv
import datetime as dt
import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest

from polylogit import Classifier
from polylogit.errors import PolylogitWarning
from polylogit.recipes import recipe_from_entries
from polylogit.run import train

FOLDER = Path(__file__).parents[1] / "fixtures" / "models_0_1"
MISSING = ("", "?", "-", ".", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "Null", "null", "None", "none")
KINDS = {"F32": ("float32", "<f4"), "F64": ("float64", "<f8"), "I64": ("int64", "<i8")}


def read(path):
    """The header, the digest and the tensors of a file, and what the digest should be."""
    content = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    table = json.loads(content[8 : 8 + length])
    metadata = table.pop("__metadata__")
    digest, tensors = hashlib.sha256(metadata["polylogit"].encode() + b"\0"), {}
    for name, entry in sorted(table.items()):
        start, end = entry["data_offsets"]
        values, (kind, form) = content[8 + length + start : 8 + length + end], KINDS[entry["dtype"]]
        tensors[name] = np.frombuffer(values, dtype=form).reshape(entry["shape"])
        shape = ",".join(map(str, entry["shape"]))
        digest.update(f"{name}\0{kind}\0{shape}\0".encode() + values)
    return json.loads(metadata["polylogit"]), metadata.get("digest"), tensors, digest.hexdigest()


def column_features(column, cell, scaling):
    """The features of one cell."""
    kind, cell = column["type"], cell.strip()
    flags, scaled, missing = [], [], cell in MISSING if kind != "category" else not cell
    if kind == "category":
        levels = column["levels"]
        same = {level: at for at, level in enumerate(levels)}
        at = same.get(cell, same.get(cell.removesuffix(".0")))
        flags = [float(at == index) for index in range(len(levels))]
        flags += [float(at is None and not missing)] * column.get("pooled", False)
    elif kind == "number":
        scaled = [None if missing else float(cell)]
    elif kind == "boolean":
        scaled = [None if missing else float(cell.lower() in ("true", "yes", "1"))]
    else:
        day = None if missing else dt.datetime.strptime(cell[:10], column["format"]).date()
        age = None if day is None else -(day - dt.date(1970, 1, 1)).days / 365.25
        scaled = [None if day is None else float(day.year), age]
        flags = [float(day is not None and day.month == month) for month in range(1, 13)]
        flags += [float(day is not None and day.weekday() == weekday) for weekday in range(7)]
    places = [next(scaling) for _ in scaled]
    values = [0.0 if v is None else (v - mean) / scale for v, (mean, scale) in zip(scaled, places, strict=True)]
    return values + flags + [float(missing)] * column.get("missing", False)


def log_softmax(z):
    """Log-probabilities of each row of logits."""
    shifted = z - z.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def probabilities(path, rows):
    """A probability per row and class."""
    header, _, tensors, _ = read(path)
    state = list(zip(tensors["preprocessing.mean"], tensors["preprocessing.scale"], strict=True))
    features = []
    for row in rows:
        scaling = iter(state)
        columns = header["preprocessing"]["columns"]
        features.append([value for c in columns for value in column_features(c, row[c["name"]], scaling)])
    x = np.array(features, dtype=np.float32)
    if header["network"]["kind"] == "linear":
        z = x @ tensors["network.linear.weight"].T + tensors["network.linear.bias"]
    else:
        layers = sorted(int(name.split(".")[2]) for name in tensors if name.endswith(".weight"))
        for layer in layers:
            x = x @ tensors[f"network.layers.{layer}.weight"].T + tensors[f"network.layers.{layer}.bias"]
            x = x if layer == layers[-1] else np.maximum(x, 0)
        z = x
    z = z.astype(np.float64)
    if "curve" in header:
        s = log_softmax(z)
        z = header["curve"]["slope"] * s - header["curve"]["curvature"] * s**2
    z = z / header["temperature"]
    if "vector_scaling" in header:
        z = z * header["vector_scaling"]["scale"] + header["vector_scaling"]["bias"]
    if "structured_scaling" in header:
        entry, s = header["structured_scaling"], log_softmax(z)
        z = s * entry["scale"] + entry["bias"]
        if "off_diagonal" in entry:
            z += s @ np.array(entry["off_diagonal"]).T
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    floor = header.get("floor", 0.0)
    return (1 - floor) * p + floor / p.shape[1]


@pytest.mark.parametrize("model", ["mixed_linear", "mixed_vector", "mixed_mlp", "mixed_curve_floor"])
def test_the_reader_of_the_page_predicts_the_same(model):
    with (FOLDER / "mixed.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    expected = json.loads((FOLDER / f"{model}.json").read_text(encoding="utf-8"))["probabilities"]
    found = probabilities(FOLDER / f"{model}.safetensors", rows[: len(expected)])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_missing_unseen_and_pooled_cells_are_as_the_page_says(tmp_path):
    rows = []
    for at in range(60):
        cells = (str(at % 9), ("yes", "no")[at % 2], f"2024-0{1 + at % 9}-11", str(at % 3), "ab"[at % 2])
        rows.append(dict(zip(("n", "flag", "when", "code", "y"), cells, strict=True)))
    for at, name in enumerate(("n", "flag", "when", "code")):
        rows[at][name] = ""
    table = tmp_path / "t.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    columns = {"n": "number", "flag": "boolean", "when": "date", "code": "category"}
    recipe = recipe_from_entries({"data": {"target": "y", "columns": columns}})
    model = train(str(table), recipe, out=tmp_path / "m.safetensors").model_path
    asked = [
        *rows[:12],
        rows[5] | {"code": "2.0"},
        rows[5] | {"code": "never seen"},
        rows[5] | {"n": "NA", "flag": "?"},
    ]
    loaded = Classifier.load(model)
    names = list(columns)
    with pytest.warns(PolylogitWarning, match="never seen in training"):
        expected = loaded.predict_probabilities({name: [row[name] for row in asked] for name in names})
    np.testing.assert_allclose(probabilities(model, asked), expected.numpy(), rtol=0, atol=1e-5)


def test_the_digest_is_the_one_of_the_page(zoo_run):
    _, digest, _, expected = read(zoo_run.model_path)
    assert digest == expected
