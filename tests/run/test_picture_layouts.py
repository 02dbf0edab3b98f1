"""Folders and tables of pictures as people have them, through train, evaluate and predict."""

import json
import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from polylogit import Classifier
from polylogit.errors import DataError, RecipeError
from polylogit.recipes import recipe_from_entries
from polylogit.run import evaluate, predict, train
from polylogit.run.picture_task import picture_task


def save(path, brightness, draw):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = draw.integers(0, 60, (8, 8)) + brightness
    Image.fromarray(values.astype(np.uint8)).save(path)


@pytest.fixture
def patients(tmp_path):
    """Eighty patients, five near copies of one random picture each; the class has nothing to do with the pictures."""
    draw, folder = np.random.default_rng(0), tmp_path / "patients"
    for patient in range(80):
        own = draw.integers(0, 200, (8, 8))
        for number in range(5):
            path = folder / ("ill" if patient % 2 else "well") / f"p{patient:02}" / f"p{patient:02}-{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((own + draw.integers(0, 9, (8, 8))).astype(np.uint8)).save(path)
    return folder


def linear(**data):
    return recipe_from_entries({"model": {"kind": "linear"}, "calibration": {"method": "none"}, "data": data})


@pytest.mark.parametrize("group", ["folder", r"(p\d+)-"])
def test_pictures_of_one_group_stay_on_one_side(patients, group):
    task = picture_task(str(patients), linear(group=group), None)
    groups = task.rows.groups
    assert set(groups[task.split.train].tolist()).isdisjoint(groups[task.split.test].tolist())
    assert len(task.split.test) == 80


def test_groups_take_the_optimism_away(patients, tmp_path):
    """Near copies of a training picture are recognised; pictures of other patients are not."""
    copies = train(str(patients), linear(test_fraction=0.4), out=tmp_path / "a.safetensors")
    honest = train(str(patients), linear(group="folder", test_fraction=0.4), out=tmp_path / "b.safetensors")
    assert copies.test.accuracy > 0.95
    assert honest.test.accuracy < 0.7


def test_a_network_keeps_whole_groups_for_validation(patients, tmp_path):
    entries = {
        "model": {"kind": "cnn", "widths": [4], "kernel_sizes": 3, "strides": 1, "pools": 2},
        "training": {"epochs": 1},
        "data": {"group": "folder"},
    }
    run = train(str(patients), recipe_from_entries(entries), out=tmp_path / "m.safetensors")
    again = evaluate(tmp_path / "m.safetensors", str(patients))
    assert again.test.as_json() == run.test.as_json()
    assert "only the 80 held-out ones are evaluated" in " ".join(again.notes)


@pytest.fixture
def table(tmp_path):
    """Pictures in one folder and a table of their names, classes, parts and people."""
    draw, rows = np.random.default_rng(0), []
    for number in range(60):
        name = f"scan{number}.png"
        save(tmp_path / "scans" / name, 120 if number % 2 else 0, draw)
        part = "test" if number >= 48 else "train"
        rows.append(
            {"file": f"scans/{name}", "finding": ["dark", "light"][number % 2], "part": part, "who": number // 4}
        )
    pl.DataFrame(rows).write_csv(tmp_path / "labels.csv")
    return tmp_path / "labels.csv"


def test_a_table_of_file_names_is_trained_on_and_evaluated(table, tmp_path):
    run = train(str(table), linear(path="file", target="finding"), out=tmp_path / "m.safetensors")
    assert run.classifier.class_names == ("dark", "light")
    assert run.test.accuracy == 1
    again = evaluate(tmp_path / "m.safetensors", str(table))
    assert again.test.as_json() == run.test.as_json()
    found = predict(tmp_path / "m.safetensors", str(table.parent / "scans")).frame
    assert found["class"].to_list()[:4] == ["dark", "light", "dark", "light"]


def test_columns_of_the_table_split_it(table):
    task = picture_task(str(table), linear(path="file", target="finding", split="part"), None)
    assert task.split.test.tolist() == list(range(48, 60))
    task = picture_task(str(table), linear(path="file", target="finding", group="who"), None)
    assert set((task.split.train // 4).tolist()).isdisjoint((task.split.test // 4).tolist())


def test_the_command_line_takes_the_table(table, polylogit, tmp_path):
    words = ("train", table, "--target", "finding", "--set", "data.path=file", "--model", "linear", "--json")
    done = polylogit(*words, "--out", tmp_path / "m.safetensors")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["classes"] == ["dark", "light"]


def parts(folder, names):
    draw = np.random.default_rng(0)
    for part, count in names.items():
        for name, brightness in (("dark", 0), ("light", 120)):
            for number in range(count):
                save(folder / part / name / f"{number}.png", brightness, draw)
    return folder


def test_folders_of_parts_are_used_as_such(tmp_path):
    data = parts(tmp_path / "data", {"train": 20, "valid": 6, "test": 5})
    run = train(str(data), linear(), out=tmp_path / "m.safetensors")
    assert (run.as_json()["rows_train"], run.as_json()["rows_test"]) == (52, 10)
    task = picture_task(str(data), linear(), None)
    assert len(task.validation) == 12
    assert torch.isin(task.validation, task.split.train).all()


def test_parts_cannot_be_split_again(tmp_path):
    data = parts(tmp_path / "data", {"train": 4, "test": 4})
    with pytest.raises(RecipeError, match=r"data\.group: .* has training and test parts of its own"):
        picture_task(str(data), linear(group="folder"), None)


def test_what_is_left_aside_is_noted(tmp_path):
    draw, data = np.random.default_rng(0), tmp_path / "data"
    for number in range(20):
        save(data / "dark" / f"{number}.png", 0, draw)
        save(data / "light" / "more" / f"{number}.png", 120, draw)
    (data / "light" / "read me.txt").write_text("no picture")
    (data / "dark" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"broken\.png: no picture can be read"):
        train(str(data), linear(), out=tmp_path / "m.safetensors")
    run = train(str(data), linear(broken="skip"), out=tmp_path / "m.safetensors")
    assert len(run.notes) == 2
    assert "light/read me.txt" in run.notes[0]
    assert "1 picture cannot be read and was skipped" in run.notes[1]
    assert run.as_json()["notes"] == list(run.notes)
    assert run.as_json()["rows_train"] + run.as_json()["rows_test"] == 40


@pytest.mark.parametrize("background", ["white", "black"])
def test_the_background_is_kept_in_the_model_file(tmp_path, background):
    """Ink without colour on a transparent ground: the classes differ in the ink's shape alone."""
    for name, rows in (("bar", slice(3, 5)), ("block", slice(1, 7))):
        for number in range(20):
            ink = np.zeros((8, 8, 4), dtype=np.uint8)
            ink[rows, 1 + number % 3 : 5 + number % 3, 3] = 255
            if background == "black":
                ink[..., :3] = 255
            (tmp_path / "data" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(ink).save(tmp_path / "data" / name / f"{number}.png")
    run = train(str(tmp_path / "data"), linear(picture_background=background), out=tmp_path / "m.safetensors")
    assert run.test.accuracy == 1
    loaded = Classifier.load(tmp_path / "m.safetensors")
    assert loaded.preprocessing.background == background
    assert loaded.predict(tmp_path / "data" / "bar") == ["bar"] * 20


def test_what_was_trained_on_is_known_by_content(tmp_path):
    """After a picture is deleted and others are added or renamed, the rest are still those trained on."""
    draw, folder = np.random.default_rng(0), tmp_path / "noise"
    for number in range(40):
        save(folder / ("light" if number % 2 else "dark") / f"{number}.png", 100 * (number % 2), draw)
    run = train(str(folder), linear(), out=tmp_path / "m.safetensors")
    assert len(set(run.classifier.trained_on.pictures)) == 32
    task = picture_task(str(folder), linear(), None)
    first, second = (folder / task.locate(row + 1)[0] for row in task.split.train[:2].tolist())
    first.unlink()
    second.rename(second.with_name("renamed.png"))
    save(folder / "light" / "new.png", 100, draw)
    found = evaluate(tmp_path / "m.safetensors", str(folder))
    assert found.test.rows == 9  # the eight held out, and the new one
    assert "31 of 40 pictures are files that the model was trained on, and are left out." in found.notes
    (folder / "light" / "new.png").unlink()
    for row in task.split.test.tolist():
        (folder / task.locate(row + 1)[0]).unlink()
    with pytest.raises(DataError, match="there is no row to evaluate: each was trained on"):
        evaluate(tmp_path / "m.safetensors", str(folder))


def test_a_model_file_without_digests_is_evaluated_as_before(tmp_path):
    draw, folder = np.random.default_rng(0), tmp_path / "noise"
    for number in range(20):
        save(folder / ("light" if number % 2 else "dark") / f"{number}.png", 100 * (number % 2), draw)
    run = train(str(folder), linear(), out=tmp_path / "m.safetensors")
    old = replace(run.classifier, trained_on=run.classifier.trained_on.model_copy(update={"pictures": None}))
    old.save(tmp_path / "old.safetensors")
    assert evaluate(tmp_path / "old.safetensors", str(folder)).test.rows == 4
    save(folder / "light" / "new.png", 100, draw)
    assert evaluate(tmp_path / "old.safetensors", str(folder)).test.rows == 21


def test_check_audits_a_folder_and_a_table_of_pictures(tmp_path, polylogit):
    draw, folder = np.random.default_rng(0), tmp_path / "noise"
    for number in range(20):
        save(folder / ("light" if number % 2 else "dark") / f"{number}.png", 100 * (number % 2), draw)
    (folder / "light" / "again.png").write_bytes((folder / "light" / "1.png").read_bytes())
    result = polylogit("check", folder, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout.splitlines()[-1])
    assert (found["rows"], found["classes"]) == (21, {"dark": 10, "light": 11})
    codes = {each["code"]: each for each in found["findings"]}
    assert codes["duplicate-rows"]["file"] == "light/1.png"
    assert "all of 8 x 8 pixels" in codes["picture-sizes"]["message"]
    lines = [f"noise/{'light' if number % 2 else 'dark'}/{number}.png,{number % 2}" for number in range(20)]
    (tmp_path / "list.csv").write_text("\n".join(["file,kind", *lines]))
    listed = polylogit("check", tmp_path / "list.csv", "--target", "kind", "--set", "data.path=file")
    assert "20 rows\n2 classes: 0 10, 1 10" in listed.stdout
    named = polylogit("check", "mnist")
    assert named.exit_code == 2
    assert "check audits tables and picture files" in named.stderr


def test_training_warns_of_what_the_audit_found(tmp_path, polylogit):
    draw, folder = np.random.default_rng(0), tmp_path / "noise"
    for number in range(20):
        save(folder / ("light" if number % 2 else "dark") / f"{number}.png", 100 * (number % 2), draw)
    (folder / "dark" / "copy.png").write_bytes((folder / "light" / "1.png").read_bytes())
    result = polylogit("train", folder, "--model", "linear", "--json")
    assert result.exit_code == 0
    assert "dark/copy.png: the same picture is in several classes" in result.stderr
    assert "the same picture is in several classes" in json.loads(result.stdout.splitlines()[-1])["warnings"][0]


def test_the_report_names_the_files_of_the_most_confident_errors(patients, tmp_path):
    """The class has nothing to do with the pictures, so that there are errors; they are found by their file."""
    page = tmp_path / "report.html"
    run = train(str(patients), linear(group="folder"), out=tmp_path / "m.safetensors", report=page)
    assert run.test.accuracy < 0.9
    named = re.compile(r'<span class="muted">(ill|well)/p\d\d/p\d\d-\d\.png</span>')
    assert named.search(page.read_text())
    assert "no. " not in page.read_text()
    evaluate(tmp_path / "m.safetensors", str(patients), report=tmp_path / "again.html")
    assert re.search(
        r'<span class="muted">(ill|well)/p\d\d/p\d\d-\d\.png</span>', (tmp_path / "again.html").read_text()
    )


def test_one_class_is_enough_to_evaluate(shapes, tmp_path):
    entries = {"model": {"kind": "linear"}, "data": {"picture_size": 8}}
    run = train(str(shapes), recipe_from_entries(entries), out=tmp_path / "model.safetensors")
    for number in range(4):
        place = tmp_path / "new" / "discs" / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (100, 80), (50 * number, 9, 9)).save(place)
    found = evaluate(run.model_path, str(tmp_path / "new")).test
    assert (found.rows, sum(found.confusion[0])) == (4, 4)
    with pytest.raises(DataError, match="expected at least two folders, one per class"):
        train(str(tmp_path / "new"), recipe_from_entries(entries), out=tmp_path / "other.safetensors")
    (tmp_path / "new" / "discs").rename(tmp_path / "new" / "cubes")
    with pytest.raises(DataError, match='class "cubes" is none of the 3'):
        evaluate(run.model_path, str(tmp_path / "new"))
