"""Weights and parts of pictures that a table of file names gives."""

import signal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from polylogit.errors import DataError, ModelFileError, RecipeError
from polylogit.fitting.callbacks import TrainingCallback
from polylogit.recipes import recipe_from_entries
from polylogit.run import evaluate, train
from polylogit.run.picture_task import picture_task

COUNT = 60


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Noisy pictures of two classes, and the columns of a table of them."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    files, kinds = [], []
    for number in range(COUNT):
        kind = ("dark", "light")[number % 2]
        grey = np.clip(draw.normal(100 if kind == "dark" else 130, 60, (8, 8)), 0, 255).astype(np.uint8)
        files.append(f"{number}.png")
        kinds.append(kind if number % 7 else "light")  # some wrong labels
        Image.fromarray(grey).save(files[-1])
    return {"file": files, "kind": kinds, "part": ["test" if number % 3 == 0 else "train" for number in range(COUNT)]}


def recipe_of(kind="linear", **data):
    entries = {"model": {"kind": kind}, "data": {"path": "file", "target": "kind", **data}}
    if kind == "linear":
        entries |= {"training": {"C": 0.01}, "calibration": {"method": "none"}}
    return recipe_from_entries(entries)


def written(columns, name="labels.csv"):
    pl.DataFrame(columns).write_csv(name)
    return name


def test_weights_count_in_the_fit_and_in_every_metric(pictures):
    weights = [0.5 + number % 4 for number in range(COUNT)]
    data = written(pictures | {"weight": weights})
    plain = train(data, recipe_of(split="part"), out=Path("plain.safetensors"))
    run = train(data, recipe_of(split="part", weight="weight"), out=Path("weighted.safetensors"))
    fits = [one.classifier.network.state_dict()["linear.weight"] for one in (plain, run)]
    assert not torch.allclose(*fits, rtol=1e-3)
    held_out = torch.arange(0, COUNT, 3)
    pixels = torch.stack([torch.from_numpy(np.asarray(Image.open(f"{row}.png")).copy()) for row in held_out.tolist()])
    names = run.classifier.predict(pixels.numpy())
    hits = torch.tensor([name == pictures["kind"][row] for name, row in zip(names, held_out.tolist(), strict=True)])
    own = torch.tensor(weights)[held_out]
    expected = float((hits * own).sum() / own.sum())
    assert run.test.accuracy == pytest.approx(expected)
    assert run.test.accuracy != pytest.approx(float(hits.double().mean()))
    assert evaluate(Path("weighted.safetensors"), data).test.accuracy == pytest.approx(expected)


def test_rows_of_weight_zero_are_left_out(pictures):
    data = written(pictures | {"weight": [float(number >= 12) for number in range(COUNT)]})
    task = picture_task(data, recipe_of(split="part", weight="weight"), None)
    rows = torch.cat([task.split.train, task.split.test]).sort().values
    assert rows.tolist() == list(range(12, COUNT))


@pytest.mark.parametrize(
    ("weight", "message"),
    [("-1", "1.png: expected a weight of 0 or more, got -1"), ("", "1.png: expected a weight of 0 or more, got a mis")],
)
def test_a_weight_at_fault_is_an_error_with_the_name_of_the_file(weight, message, pictures):
    data = written(pictures | {"weight": [weight if number == 1 else "1" for number in range(COUNT)]})
    with pytest.raises(DataError, match=message):
        picture_task(data, recipe_of(weight="weight"), None)


def test_a_column_of_weights_that_is_not_there_is_an_error_in_training_and_a_note_in_evaluation(pictures):
    with pytest.raises(RecipeError, match=r'data.weight: labels.csv has no column "wieght"'):
        picture_task(written(pictures | {"weight": [1] * COUNT}), recipe_of(weight="wieght"), None)
    train("labels.csv", recipe_of(weight="weight", split="part"), out=Path("m.safetensors"))
    notes = evaluate(Path("m.safetensors"), written(pictures, "others.csv")).notes
    assert any("no column" in note and "weigh the same" in note for note in notes)


def test_pictures_for_validation_are_those_that_the_table_names(pictures):
    words = ["Test", "training", "valid", "train", "validation", "val"]
    data = written(pictures | {"part": [words[number % 6] for number in range(COUNT)]})
    task = picture_task(data, recipe_of("mlp", split="part"), None)
    validation = [number for number in range(COUNT) if number % 6 in (2, 4, 5)]
    assert task.validation.tolist() == validation
    assert task.split.test.tolist() == list(range(0, COUNT, 6))
    assert set(validation) < set(task.split.train.tolist())


def test_without_test_pictures_those_for_validation_are_the_test_pictures(pictures):
    data = written(pictures | {"part": ["val" if number % 4 == 0 else "train" for number in range(COUNT)]})
    task = picture_task(data, recipe_of(split="part"), None)
    assert task.validation is None
    assert task.split.test.tolist() == list(range(0, COUNT, 4))


def test_another_word_is_an_error_that_names_the_row(pictures):
    data = written(pictures | {"part": ["holdout" if number == 5 else "train" for number in range(COUNT)]})
    with pytest.raises(DataError, match='row 6: expected train, val or test, got "holdout"'):
        picture_task(data, recipe_of(split="part"), None)


def test_a_picture_that_is_listed_in_two_classes_is_named_with_its_rows(pictures):
    columns = {name: [*values, values[3]] for name, values in pictures.items()}
    columns["kind"][-1] = "dark" if columns["kind"][3] == "light" else "light"
    (finding,) = [
        finding
        for finding in picture_task(written(columns), recipe_of(), None).audit.findings
        if finding.code == "contradictory-rows"
    ]
    assert "3.png in rows 4 and 61" in finding.message


def test_a_fit_that_is_resumed_with_other_pictures_names_them(pictures):
    class Interrupt(TrainingCallback):
        def epoch_done(self, record):
            if record.epoch == 1:
                signal.raise_signal(signal.SIGINT)

    recipe = recipe_of("mlp", split="part")
    train(written(pictures), recipe, out=Path("m.safetensors"), callbacks=[Interrupt()])
    Image.fromarray(np.full((8, 8), 7, np.uint8)).save("5.png")
    Path("8.png").rename("late.png")
    pictures["file"][8] = "late.png"
    with pytest.raises(
        ModelFileError, match=r"\(1 changed: 5.png; 1 new: late.png; 1 no longer there: 8.png\) differs"
    ):
        train(written(pictures), recipe, out=Path("m.safetensors"), resume=True)
