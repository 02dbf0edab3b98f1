"""Every option of every recipe changes something that can be measured, or is refused, for each kind of data.

Each option that applies to a kind of model and a kind of data has a line below: what is set to change the outcome,
where needed what is set before, and the data if they are not the usual ones. No option is exempt. A picture data set
takes the way of a picture folder once it is read; here it is shown which options it refuses.
"""

from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from polylogit.data.tables.sources import open_source
from polylogit.errors import PolylogitError, RecipeError
from polylogit.recipes import recipe_from_entries
from polylogit.recipes.data_kinds import data_kind, options_of
from polylogit.recipes.recipe import RECIPES
from polylogit.run import train
from polylogit.run.task_reading import read_task
from polylogit.system.mapped_file import is_mapped


@dataclass(frozen=True)
class Change:
    """What is set to see an option act.

    Args:
        after: Entries with the option.
        before: Entries without it that the outcome is compared with; both go over those of the kind of model.
        data: A name of `DATA`; the usual data where left out.
        fails: Whether the option is seen to act by an error.
    """

    after: dict
    before: dict = field(default_factory=dict)
    data: str = ""
    fails: bool = False


def of(section, **values):
    """One change an option of a section, for options that need nothing before them."""
    return {f"{section}.{name}": Change({section: {name: value}}) for name, value in values.items()}


def dear(first, *others):
    """Costs of which one pair is dear."""
    names = (first, *others)
    return {true: {name: float(name != true) * (50 if true == first else 1) for name in names} for true in names}


ZOO = ("reptile", "amphibian", "bird", "fish", "insect", "invertebrate", "mammal")
ALL = {
    "seed": Change({"seed": 1}),
    **of("data", test_fraction=0.4),
    **of("training", class_weight="balanced", epochs=1),
    **of("prediction_sets", held_out_fraction=0.3),
}
TABLE = {
    **of("decision", costs=dear(*ZOO), prior=dict.fromkeys(ZOO, 1.0)),
    **of("data", target="legs", classes=["mammal", "bird", "fish"], drop=["milk"], columns={"legs": "category"}),
    **of("data", number_values="raw", weight="legs", time="legs"),
    "data.group": Change({"data": {"target": "type", "group": "herd"}}, {"data": {"target": "type"}}, "parts"),
    "data.split": Change({"data": {"target": "type", "split": "part"}}, {"data": {"target": "type"}}, "parts"),
    "data.test": Change({"data": {"test": "other.csv"}}),
    "data.free_text": Change({"data": {"target": "type", "free_text": "drop"}}, {"data": {"target": "type"}}, "texts"),
    "data.separator": Change({"data": {"target": "c", "separator": "|"}}, {"data": {"target": "c"}}, "separated"),
    "data.encoding": Change({"data": {"target": "c", "encoding": "latin-1"}}, {"data": {"target": "c"}}, "latin"),
    "data.quote": Change({"data": {"target": "c", "quote": "'"}}, {"data": {"target": "c"}}, "apostrophes"),
    "data.skip_lines": Change({"data": {"target": "c", "skip_lines": 1}}, {"data": {"target": "c"}}, "titled"),
    "data.comment": Change({"data": {"target": "c", "comment": "#"}}, {"data": {"target": "c"}}, "commented"),
    "data.missing": Change({"data": {"missing": "4"}}),
    "data.sheet": Change({"data": {"target": "c", "sheet": "may"}}, {"data": {"target": "c"}}, "workbook"),
    "data.unlabelled": Change({"data": {"target": "c", "unlabelled": "drop"}}, {"data": {"target": "c"}}, "unlabelled"),
    "data.in_memory": Change({"data": {"in_memory": "never"}}, {"data": {"in_memory": "always"}}),
    "data.decimal": Change({"data": {"target": "kind", "decimal": ","}}, {"data": {"target": "kind"}}, "commas"),
    "data.thousands": Change({"data": {"target": "kind", "thousands": "none"}}, {"data": {"target": "kind"}}, "commas"),
    "data.most_levels": Change(
        {"data": {"columns": {"legs": "category"}, "most_levels": 2}}, {"data": {"columns": {"legs": "category"}}}
    ),
    "data.duplicate_rows": Change({"data": {"duplicate_rows": "together"}}),
    "cross_validation.folds": Change({"cross_validation": {"folds": 2, "repeats": 1}}),
    "cross_validation.repeats": Change(
        {"cross_validation": {"folds": 2, "repeats": 2}}, {"cross_validation": {"folds": 2, "repeats": 1}}
    ),
}
PICTURES = {
    **of("decision", costs=dear("light", "dark"), prior={"light": 0.1, "dark": 0.9}),
    **of("data", classes=["light", "dark"], picture_size=12, picture_values="unit", pictures_in_memory="never"),
    "data.broken": Change({"data": {"broken": "skip"}}, data="broken"),
    "data.picture_background": Change({"data": {"picture_background": "black"}}, data="clear"),
    "data.group": Change({"data": {"group": "([0-9])[.]png"}}),
    "data.split": Change({"data": {"split": "(train|test)-"}}),
}
PICTURE_TABLE = PICTURES | {
    **of("data", path="other_file", target="other_kind", group="herd", split="part", weight="seen"),
    "data.separator": Change({"data": {"separator": "|"}}, fails=True),
    "data.encoding": Change({"data": {"encoding": "latin-1"}}, data="latin"),
}
OF_FEATURES = {  # a backbone has its own size and normalisation, and pictures are read only once
    **of("data", picture_size=48, classes=["light", "dark"]),
    "data.picture_values": Change({"data": {"picture_values": "unit"}}, fails=True),
    "data.pictures_in_memory": Change({"data": {"pictures_in_memory": "always"}}),
    **of("model", mirror=True, embed_weights=False),
    "calibration.method": Change(  # few pictures of many features make the probabilities overconfident
        {"data": {"test_fraction": 0.7}, "calibration": {"method": "temperature"}},
        {"data": {"test_fraction": 0.7}, "calibration": {"method": "none"}},
        data="many",
    ),
    "model.backbone": Change({"model": {"backbone": "resnet18"}}, fails=True),
    "model.weights": Change({"model": {"weights": "no/such/file"}}, fails=True),
    "cross_validation.folds": Change({"cross_validation": {"folds": 2, "repeats": 1}}),
    "cross_validation.repeats": Change(
        {"cross_validation": {"folds": 2, "repeats": 2}}, {"cross_validation": {"folds": 2, "repeats": 1}}
    ),
}
STRONG_PENALTY = {"C": 1e-3}  # far from the optimum, so that fine-tuning pays
TUNED = STRONG_PENALTY | {"finetune": "last", "finetune_epochs": 4, "finetune_learning_rate": 1e-3}
FINE_TUNING = {
    "training.finetune": Change({"training": TUNED}, {"training": STRONG_PENALTY}, "shapes"),
    "training.finetune_epochs": Change({"training": TUNED | {"finetune_epochs": 5}}, {"training": TUNED}, "shapes"),
    "training.finetune_learning_rate": Change(
        {"training": TUNED | {"finetune_learning_rate": 8e-4}}, {"training": TUNED}, "shapes"
    ),
}
AUGMENTATION = {
    **of("augmentation", flip=True, shift=2, cutout=3),
    "augmentation.edge": Change({"augmentation": {"shift": 2, "edge": "nearest"}}, {"augmentation": {"shift": 2}}),
}
SOLVER = {
    "calibration.method": Change(  # a weak penalty makes the probabilities overconfident
        {"training": {"C": 100}, "calibration": {"method": "temperature"}},
        {"training": {"C": 100}, "calibration": {"method": "none"}},
        data="many",
    ),
    **of("training", C=0.01, l1_ratio=1.0, tolerance=0.5),
}
OVERCONFIDENT = {"data": {"target": "kind"}, "training": {"C": 100}}
OVERCONFIDENT_TABLE = {
    "calibration.method": Change(
        OVERCONFIDENT | {"calibration": {"method": "temperature"}},
        OVERCONFIDENT | {"calibration": {"method": "none"}},
        data="noisy",
    )
}
LOOP = {
    **of("training", start="zeros", batch_size="all", optimizer="sgd", learning_rate=0.02, momentum=0.5),
    **of("training", weight_decay=0.5, schedule="cosine", warmup_fraction=0.6, label_smoothing=0.3),
    **of("training", gradient_clip=0.01, accumulation=3, averaging=0.9, validation_fraction=0.3),
    **of("training", least_steps=40),
    "training.patience": Change({"training": {"epochs": 30, "patience": 1}}, {"training": {"epochs": 30}}),
    "training.precision": Change({"training": {"precision": "bfloat16"}}, {"training": {"precision": "float32"}}),
    "calibration.method": Change(
        {"training": {"validation_fraction": 0.7}, "calibration": {"method": "temperature"}},
        {"training": {"validation_fraction": 0.7}, "calibration": {"method": "none"}},
        data="many",
    ),
}
ADDITIVE = {
    "model.bins": Change({"data": {"target": "kind"}, "model": {"bins": 2}}, {"data": {"target": "kind"}}, "noisy")
}
MLP = of("model", hidden=[8], activation="tanh", dropout=0.5, bias=False, reference_class=True, members=4)
BINS = {"model.bins": Change({"data": {"target": "kind"}, "model": {"bins": 4}}, {"data": {"target": "kind"}}, "noisy")}
CNN = {
    **of("model", widths=[4], kernel_sizes=5, strides=2, pools=1, blocks=1, padding="valid", batch_norm=False),
    **of("model", hidden=[8], orientations=4, dropout=0.5, views="cross"),
    "model.cell": Change({"model": {"orientations": 4, "cell": 2}}, {"model": {"orientations": 4}}),
    "model.colours": Change({"model": {"orientations": 4, "colours": True}}, {"model": {"orientations": 4}}),
}
RESIDUAL = of("model", stem=6, stem_kernel=3, widths=[4], blocks=0, dropout=0.5, views="cross")

NO_CALIBRATION = {"calibration": {"method": "none"}}  # no refits, and so most of the time of a small fit
SHORT = {"training": {"epochs": 2, "batch_size": 16}, **NO_CALIBRATION}
START = {
    "auto": {"model": {"candidates": ["linear"]}, **NO_CALIBRATION},
    "linear": NO_CALIBRATION,
    "additive": NO_CALIBRATION,
    "pretrained": {
        "data": {"picture_size": 32},
        "training": {"C": 1.0},  # chosen, it would take most of the time
        "cross_validation": {"folds": 0},
        **NO_CALIBRATION,
    },
    "mlp": SHORT,
    "cnn": {"model": {"widths": [8], "kernel_sizes": 3, "strides": 1, "pools": 2}, **SHORT},
    "residual": {"model": {"stem": 4, "widths": [8]}, **SHORT},
    "picture table": {"data": {"path": "file", "target": "kind"}},
}
AUTO = {
    "training.class_weight": Change({"training": {"class_weight": "balanced"}}),
    "model.candidates": Change({"model": {"candidates": ["additive"]}}),
    "auto.reference": Change({"auto": {"reference": True}}),
    "calibration.method": Change(
        {"data": {"target": "kind"}, "calibration": {"method": "temperature"}},
        {"data": {"target": "kind"}, "calibration": {"method": "none"}},
        data="noisy",
    ),
}
CHANGES = {
    ("auto", "table"): {name: change for name, change in ALL.items() if name != "training.epochs"} | TABLE | AUTO,
    ("linear", "table"): ALL | TABLE | SOLVER | OVERCONFIDENT_TABLE,
    ("linear", "picture folder"): ALL | PICTURES | SOLVER,
    ("linear", "picture table"): ALL | PICTURE_TABLE | SOLVER,
    ("additive", "table"): ALL | TABLE | SOLVER | OVERCONFIDENT_TABLE | ADDITIVE,
    ("pretrained", "picture folder"): ALL | PICTURES | SOLVER | OF_FEATURES | FINE_TUNING,
    ("pretrained", "picture table"): ALL | PICTURE_TABLE | SOLVER | OF_FEATURES | FINE_TUNING,
    ("mlp", "table"): ALL | TABLE | LOOP | MLP | BINS,
    ("mlp", "picture folder"): ALL | PICTURES | AUGMENTATION | LOOP | MLP,
    ("cnn", "picture folder"): ALL | PICTURES | AUGMENTATION | LOOP | CNN,
    ("residual", "picture folder"): ALL | PICTURES | AUGMENTATION | LOOP | RESIDUAL,
}
CASES = [(*kinds, option) for kinds, changes in CHANGES.items() for option in changes]
IDS = ["-".join(case) for case in CASES]


def merged(under, over):
    both = {**under, **over}
    return {
        name: {**under.get(name, {}), **value} if isinstance(value, dict) else value for name, value in both.items()
    }


@pytest.mark.parametrize(("kind", "data_kind"), CHANGES)
def test_every_option_that_applies_is_tried(kind, data_kind):
    # the kind of model is what tells the recipes apart
    assert {*CHANGES[kind, data_kind], "model.kind"} == set(options_of(RECIPES[kind], data_kind))


def pictures(folder, count, light, mode="L"):
    """Small noisy pictures of two brightnesses, the harder the less they differ, and a table of them."""
    draw, lines = np.random.default_rng(0), ["file,other_file,kind,other_kind,part,herd,seen"]
    for name, share, brightness in (("dark", 1, 0), ("light", 2, light)):
        (folder / name).mkdir(parents=True)
        for number in range(share * count // 3):
            values = draw.integers(0, 200, size=(8, 8) if mode == "L" else (8, 8, 4), dtype=np.uint8) + brightness
            part, other = "test" if number % 5 == 0 else "train", "even" if number % 2 else "odd"
            file = f"{folder.name}/{name}/{part}-{number}.png"
            Image.fromarray(values.astype(np.uint8), mode).save(folder.parent / file)
            lines.append(f"{file},{folder.name}/dark/test-0.png,{name},{other},{part},{number % 7},{number % 4}")
    table = folder.parent / f"{folder.name}.csv"
    table.write_text("\n".join(lines) + "\n")
    return str(folder), str(table)


@pytest.fixture(scope="module")
def data(tmp_path_factory, write_workbook, shapes):
    """DATA by name and kind of data."""
    folder = tmp_path_factory.mktemp("data")
    zoo = open_source("zoo").frame
    rows = range(zoo.height)
    part = pl.when(pl.int_range(pl.len()) % 3 == 2).then(pl.lit("test")).otherwise(pl.lit("train"))
    herd = pl.int_range(pl.len()) % 9
    zoo.with_columns(part.alias("part"), herd.alias("herd")).write_csv(folder / "parts.csv")
    notes = "".join(f"{n},{n % 7},a text that stands in row {n} alone,{'ab'[n % 2]}\n" for n in rows)
    (folder / "texts.csv").write_text("n,m,note,type\n" + notes)
    (folder / "separated.csv").write_text("a,b|c\n" + "".join(f"{n % 3},{n % 5}|{'xy'[n % 2]}\n" for n in rows))
    latin = "n,c\n" + "".join(f"{n},{'éa'[n % 2]}\n" for n in rows)
    (folder / "latin.csv").write_bytes(latin.encode("latin-1"))
    amounts = "".join(f"{n % 9 + 1},{n};{'ab'[n % 2]}\n{n};{'ba'[n % 2]}\n" for n in range(100, 200))
    (folder / "commas.csv").write_text("amount;kind\n" + amounts)
    zoo.sample(40, seed=0).write_csv(folder / "other.csv")
    noise = np.random.default_rng(0).standard_normal((400, 40))
    kinds = pl.Series("kind", np.where(noise[:, 0] + noise[:, 1:3].sum(axis=1) > 0, "a", "b"))
    flipped = pl.Series(np.arange(400) % 4 == 0)
    kinds = pl.select(pl.when(flipped).then(pl.lit("a")).otherwise(kinds).alias("kind")).to_series()
    pl.DataFrame(noise).with_columns(kinds).write_csv(folder / "noisy.csv")
    cells = "".join(f"{n},{'xy'[n % 2]}\n" for n in rows)
    (folder / "apostrophes.csv").write_text("n,c\n" + cells.replace("x", "'x'"))
    (folder / "titled.csv").write_text("all rows\nn,c\n" + cells)
    (folder / "commented.csv").write_text("n,c\n" + cells + "# end of\n")
    (folder / "unlabelled.csv").write_text("n,c\n" + cells + "7,\n")
    table = [["n", "c"], *([n, "xy"[n % 2]] for n in rows)]
    write_workbook(folder / "workbook.xlsx", {"april": table[:30], "may": table})
    names = (
        "parts",
        "texts",
        "separated",
        "latin",
        "other",
        "noisy",
        "commas",
        "apostrophes",
        "titled",
        "commented",
        "unlabelled",
    )
    named = {name: str(folder / f"{name}.csv") for name in names} | {"workbook": str(folder / "workbook.xlsx")}
    few = pictures(folder / "few", 60, light=12)
    many = pictures(folder / "many", 600, light=25)
    clear = pictures(folder / "clear", 60, light=12, mode="RGBA")
    broken = pictures(folder / "broken", 60, light=12)
    (folder / "broken" / "dark" / "test-0.png").write_bytes(b"no picture")
    listed = (folder / "few.csv").read_text().replace(",dark,", ",d\u00e9,")
    (folder / "few_latin.csv").write_bytes(listed.encode("latin-1"))
    kinds = zip(few, many, clear, broken, strict=True)
    folders, listings = (dict(zip(("", "many", "clear", "broken"), places, strict=True)) for places in kinds)
    folders["shapes"], listings["shapes"] = str(shapes), str(folder / "shapes.csv")
    drawings = "".join(f"{file},{file.parent.name}\n" for file in sorted(shapes.glob("*/*.png")))
    (folder / "shapes.csv").write_text("file,kind\n" + drawings)
    return {
        "table": {**named, "": "zoo", "many": "zoo", "other.csv": named["other"]},
        "picture folder": folders,
        "picture table": {**listings, "latin": str(folder / "few_latin.csv")},
    }


@pytest.fixture(scope="module")
def outcome(data, tmp_path_factory):
    """What a recipe comes to on some data, an error included; each pair is tried once."""
    out = tmp_path_factory.mktemp("models") / "model.safetensors"
    known = {}

    def tried(kind, data_kind, place, entries):
        usual = merged(START[kind], START.get(data_kind, {}))
        entries = merged({"model": {"kind": kind}}, merged(usual, entries))
        key = repr((place, entries))
        if key not in known:
            known[key] = _come_to(place, entries, out)
        return known[key]

    return tried


def _come_to(place, entries, out):
    try:
        recipe = recipe_from_entries(entries)
        if "pictures_in_memory" in entries.get("data", {}):  # the model is the same, its reading is not
            return type(read_task(place, recipe, None)[1].raw(torch.tensor([0]))).__name__
        if "in_memory" in entries.get("data", {}):
            return f"mapped: {is_mapped(read_task(place, recipe, None)[1].rows.inputs)}"
        run = train(place, recipe, out=out)
    except PolylogitError as error:
        return f"{type(error).__name__}: {error}"
    weights = {name: value.tolist() for name, value in run.classifier.network.state_dict().items()}
    folds = run.cross_validation and run.cross_validation.as_json()
    decisions = run.decisions and run.decisions.as_json()
    size = out.stat().st_size
    outcome = {"weights": weights, "test": run.test.as_json(), "epochs": run.epochs, "folds": folds, "cost": decisions}
    reference = run.selection and run.selection.reference and run.selection.reference.log_loss
    return outcome | {"size": size // 1_000_000, "reference": reference}


@pytest.mark.parametrize(("kind", "data_kind", "option"), CASES, ids=IDS)
def test_it_matters(kind, data_kind, option, data, outcome):
    change = CHANGES[kind, data_kind][option]
    place = data[data_kind][change.data]
    after = change.after
    if option == "data.test":
        after = {"data": {"test": data["table"]["other.csv"]}}
    before, after = outcome(kind, data_kind, place, change.before), outcome(kind, data_kind, place, after)
    assert before != after
    assert isinstance(after, str) == (change.fails or option in ("data.pictures_in_memory", "data.in_memory")), after


KINDS = [*CHANGES, ("linear", "picture data set"), ("mlp", "picture data set"), ("cnn", "picture data set")]
REFUSED = [
    (kind, data_kind, option)
    for kind, data_kind in KINDS
    for option in options_of(RECIPES[kind])
    if option not in {*options_of(RECIPES[kind], data_kind), "data.path"}  # the path makes a table one of pictures
]


@pytest.mark.parametrize(("kind", "kind_of_data", "option"), REFUSED, ids=["-".join(case) for case in REFUSED])
def test_what_does_not_apply_is_refused(kind, kind_of_data, option, data, tmp_path):
    change = next(changes[option] for kinds, changes in CHANGES.items() if option in changes)
    place = "mnist" if kind_of_data == "picture data set" else data[kind_of_data][""]
    section, _, name = option.partition(".")
    entries = merged(START.get(kind_of_data, {}), {section: {name: change.after[section][name]}})
    recipe = recipe_from_entries(merged({"model": {"kind": kind}}, entries))
    assert data_kind(place, recipe.data.path) == kind_of_data
    with pytest.raises(RecipeError, match=rf"^{option}: does not apply to a {kind_of_data}"):
        train(place, recipe, out=tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []
