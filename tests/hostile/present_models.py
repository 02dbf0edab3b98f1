"""Sound models of every kind that the present version writes, trained on drawn rows, texts and pictures for the fuzzer.

The models of version 0.1 are files of their own in tests/fixtures; these follow the code.
"""

import random
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import polars as pl
from PIL import Image

from polylogit.recipes import recipe_from_entries
from polylogit.run import train

__all__ = ["PRESENT_MODELS", "data_of", "model_of"]

ROWS, CLASSES = 60, ("a", "b", "c")
WORDS = ["parcel", "late", "fast", "좋아요", "很好", "broken", "&amp;", "<br>", "thanks", "never again", "ok"]
COSTS = {given: {true: float(given != true) + (given == "a") for true in CLASSES} for given in CLASSES}
PRESENT_MODELS = {
    "text": {"model": {"kind": "linear"}, "data": {"columns": {"review": "text"}}},
    "text_mlp": {"model": {"kind": "mlp", "hidden": [4], "members": 2}, "training": {"epochs": 2}},
    "additive": {"model": {"kind": "additive"}, "data": {"drop": ["review"]}},
    "decided": {
        "model": {"kind": "linear"},
        "data": {"drop": ["review"]},
        "calibration": {"method": "vector"},
        "decision": {"costs": COSTS},
    },
    "pretrained": {"model": {"kind": "pretrained"}, "data": {"picture_size": 32}},
    "pretrained_outside": {"model": {"kind": "pretrained", "embed_weights": False}, "data": {"picture_size": 32}},
}
"""The recipes of the models by their names."""


@cache
def _folder() -> Path:
    return Path(mkdtemp())


@cache
def data_of(model: str) -> Path:
    """Rows of texts, numbers, categories and dates with a class each; or a folder of pictures."""
    draw = random.Random(0)  # noqa: S311 - the rows are no secret
    if model.startswith("pretrained"):
        folder = _folder() / "pictures"
        for number in range(18):
            kind = folder / CLASSES[number % 3]
            kind.mkdir(parents=True, exist_ok=True)
            Image.frombytes("RGB", (32, 32), draw.randbytes(3 * 32 * 32)).save(kind / f"{number}.png")
        return folder
    kinds = [CLASSES[row % 3] for row in range(ROWS)]
    path = _folder() / "rows.csv"
    pl.DataFrame(
        {
            "review": [" ".join([kind * 4, *draw.choices(WORDS, k=6)]) for kind in kinds],
            "x": [draw.gauss(kind == "a", 1) for kind in kinds],
            "y": [draw.gauss(kind == "b", 1) for kind in kinds],
            "shop": draw.choices(["north", "south"], k=ROWS),
            "day": [f"2026-01-{draw.randint(1, 28):02}" for _ in kinds],
            "kind": kinds,
        }
    ).write_csv(path)
    return path


@cache
def model_of(model: str) -> Path:
    """The file of a model, which is trained when it is first asked for."""
    entries = {name: dict(section) for name, section in PRESENT_MODELS[model].items()}
    if not model.startswith("pretrained"):
        entries["data"] = {**entries.get("data", {}), "target": "kind"}
    if "epochs" not in entries.get("training", {}):
        entries["training"] = {"C": 1.0}
    path = _folder() / f"{model}.safetensors"
    train(str(data_of(model)), recipe_from_entries({**entries, "cross_validation": {"folds": 0}}), out=path)
    return path
