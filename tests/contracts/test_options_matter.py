"""Every option of every kind of recipe changes something that can be measured."""

import numpy as np
import pytest
from PIL import Image

from polylogit.recipes.recipe import CnnRecipe, LinearRecipe, MlpRecipe, ResidualRecipe, recipe_from_entries
from polylogit.run import train

ALL = {
    "seed": {"seed": 1},
    "data.test_fraction": {"data": {"test_fraction": 0.4}},
    "training.class_weight": {"training": {"class_weight": "balanced"}},
    "training.epochs": {"training": {"epochs": 1}},
}
PROVED_IN_TESTS_OF_TABLES = {
    "data.columns", "data.free_text", "data.separator", "data.encoding", "data.group", "data.time", "data.split",
    "data.test", "data.weight", "data.path", "data.broken", "data.picture_background",
}  # fmt: skip
OF_TABLES = {
    "data.target": {"data": {"target": "legs"}},
    "data.classes": {"data": {"classes": ["mammal", "bird", "fish"]}},
    "data.drop": {"data": {"drop": ["milk"]}},
    "data.number_values": {"data": {"number_values": "raw"}},
}
OF_THE_SOLVER = {
    "calibration.method": {"calibration": {"method": "none"}},
    "training.C": {"training": {"C": 0.01}},
    "training.tolerance": {"training": {"tolerance": 0.5}},
}
OF_CROSS_VALIDATION = {
    "cross_validation.folds": {"cross_validation": {"folds": 2, "repeats": 1}},
    "cross_validation.repeats": {"cross_validation": {"folds": 2, "repeats": 2}},
}
OF_THE_LOOP = {
    f"training.{name}": {"training": {name: value}}
    for name, value in {
        "start": "zeros",
        "batch_size": "all",
        "optimizer": "sgd",
        "learning_rate": 0.02,
        "momentum": 0.5,
        "weight_decay": 0.5,
        "schedule": "cosine",
        "warmup_fraction": 0.6,
        "label_smoothing": 0.3,
        "gradient_clip": 0.01,
        "accumulation": 3,
        "averaging": 0.9,
        "patience": 1,
        "validation_fraction": 0.3,
        "precision": "bfloat16",
    }.items()
}
OF_THE_MLP = {
    "model.hidden": {"model": {"hidden": [8]}},
    "model.activation": {"model": {"activation": "tanh"}},
    "model.dropout": {"model": {"dropout": 0.5}},
    "model.bias": {"model": {"bias": False}},
    "model.reference_class": {"model": {"reference_class": True}},
}
OF_PICTURES = {
    "data.classes": {"data": {"classes": ["light", "dark"]}},
    "data.picture_size": {"data": {"picture_size": 12}},
    "data.picture_values": {"data": {"picture_values": "unit"}},
    "augmentation.flip": {"augmentation": {"flip": True}},
    "augmentation.shift": {"augmentation": {"shift": 2}},
    "augmentation.cutout": {"augmentation": {"cutout": 3}},
    "model.dropout": {"model": {"dropout": 0.5}},
    "model.views": {"model": {"views": "cross"}},
}
OF_THE_CNN = {
    "model.widths": {"model": {"widths": [4]}},
    "model.kernel_sizes": {"model": {"kernel_sizes": 5}},
    "model.strides": {"model": {"strides": 2}},
    "model.pools": {"model": {"pools": 1}},
    "model.blocks": {"model": {"blocks": 1}},
    "model.padding": {"model": {"padding": "valid"}},
    "model.batch_norm": {"model": {"batch_norm": False}},
    "model.hidden": {"model": {"hidden": [8]}},
    "model.orientations": {"model": {"orientations": 4}},
    "model.cell": {"model": {"cell": 2}},
}
OF_THE_RESIDUAL = {
    "model.stem": {"model": {"stem": 6}},
    "model.stem_kernel": {"model": {"stem_kernel": 3}},
    "model.widths": {"model": {"widths": [4]}},
    "model.blocks": {"model": {"blocks": 0}},
}
START = {
    "linear": {},
    "mlp": {"training": {"epochs": 2}},
    "cnn": {
        "model": {"widths": [8], "kernel_sizes": 3, "strides": 1, "pools": 2},
        "training": {"epochs": 2, "batch_size": 16},
    },
    "residual": {"model": {"stem": 4, "widths": [8]}, "training": {"epochs": 2, "batch_size": 16}},
}
CHANGES = {
    "linear": ALL | OF_TABLES | OF_THE_SOLVER | OF_CROSS_VALIDATION,
    "mlp": ALL | OF_TABLES | OF_CROSS_VALIDATION | OF_THE_LOOP | OF_THE_MLP,
    "cnn": ALL | OF_THE_LOOP | OF_PICTURES | OF_THE_CNN,
    "residual": ALL | OF_THE_LOOP | OF_PICTURES | OF_THE_RESIDUAL,
}
CASES = [(kind, option) for kind, changes in CHANGES.items() for option in changes]


def options(entries, prefix=""):
    for name, value in entries.items():
        yield from options(value, f"{prefix}{name}.") if isinstance(value, dict) and value else [f"{prefix}{name}"]


def merged(under, over):
    both = {**under, **over}
    return {
        name: {**under.get(name, {}), **value} if isinstance(value, dict) else value for name, value in both.items()
    }


@pytest.mark.parametrize("recipe", [LinearRecipe, MlpRecipe, CnnRecipe, ResidualRecipe])
def test_every_option_is_tried(recipe):
    kind = recipe().model.kind
    # "model.kind" is what tells the recipes apart; the calibration of networks is tried in test_run_pictures,
    # as is where pictures stand, which must change nothing.
    elsewhere = {"model.kind", "data.pictures_in_memory", *PROVED_IN_TESTS_OF_TABLES} | (
        {"calibration.method"} if kind != "linear" else set()
    )
    if kind in ("linear", "mlp"):  # the options of pictures are tried with the networks for pictures
        elsewhere |= {"data.picture_size", "data.picture_values"}
        elsewhere |= {option for option in OF_PICTURES if option.startswith("augmentation.") and kind == "mlp"}
    else:
        elsewhere |= set(OF_TABLES)
    assert set(CHANGES[kind]) | elsewhere == set(options(recipe().model_dump()))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Sixty small pictures for the networks that need them; the bundled table for the others."""
    folder = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for name, count in (("dark", 20), ("light", 40)):
        (folder / name).mkdir()
        for number in range(count):
            values = draw.integers(0, 200, size=(8, 8), dtype=np.uint8) + (50 if name == "light" else 0)
            Image.fromarray(values.astype(np.uint8)).save(folder / name / f"{number}.png")
    return {"linear": "zoo", "mlp": "zoo", "cnn": str(folder), "residual": str(folder)}


@pytest.fixture(scope="module")
def figures(data, tmp_path_factory):
    """What a recipe comes to, each recipe fitted once."""
    out = tmp_path_factory.mktemp("models") / "model.safetensors"
    known = {}

    def of(kind, change):
        entries = merged({"model": {"kind": kind}}, merged(START[kind], change))
        if repr(entries) not in known:
            run = train(data[kind], recipe_from_entries(entries), out=out)
            state = {name: value.tolist() for name, value in run.classifier.network.state_dict().items()}
            known[repr(entries)] = {"weights": state, "test": run.test.as_json(), "epochs": run.epochs}
            known[repr(entries)]["folds"] = run.cross_validation and run.cross_validation.as_json()
        return known[repr(entries)]

    return of


@pytest.mark.parametrize(("kind", "option"), CASES, ids=[f"{kind}-{option}" for kind, option in CASES])
def test_it_matters(kind, option, figures):
    before = {
        "training.patience": {"training": {"epochs": 30}},
        "training.precision": {"training": {"precision": "float32"}},
        "model.cell": {"model": {"orientations": 4}},
        "cross_validation.repeats": {"cross_validation": {"folds": 2, "repeats": 1}},
    }.get(option, {})
    assert figures(kind, before) != figures(kind, merged(before, CHANGES[kind][option]))
