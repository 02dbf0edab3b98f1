"""The audit of picture files: each rule on a folder that breaks it, and nothing on one that breaks none."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from polylogit.data.pictures.audit import audit_pictures
from polylogit.data.pictures.sources import PictureFiles, open_pictures
from polylogit.data.split import Split


@pytest.fixture
def folder(tmp_path):
    """Two classes of thirty grey noise pictures each."""
    draw = np.random.default_rng(0)
    for name in ("calm", "storm"):
        (tmp_path / "sky" / name).mkdir(parents=True)
        for number in range(30):
            values = draw.integers(0, 256, (40, 60), dtype=np.uint8)
            Image.fromarray(values).save(tmp_path / "sky" / name / f"{number:02}.png")
    return tmp_path / "sky"


def findings(folder, test=()):
    """The findings by code; the test set is the files whose names are given."""
    source = open_pictures(str(folder), reading=PictureFiles(in_memory="never"))
    named = torch.tensor([file.name in test for file in source.listing.files])
    rows = torch.arange(len(named))
    audit = audit_pictures(source.listing, source.digests, Split(train=rows[~named], test=rows[named]))
    assert audit.rows == len(named)
    return {finding.code: finding for finding in audit.findings}


def test_sizes_and_colours_are_stated_and_nothing_else_is_found(folder):
    found = findings(folder)
    assert found.keys() == {"picture-sizes", "picture-colours"}
    assert str(found["picture-sizes"]) == "60 pictures, all of 60 x 40 pixels."
    assert str(found["picture-colours"]) == "the pictures are all grey."


def test_copies_within_a_class_across_classes_and_across_the_split(folder):
    shutil.copy(folder / "calm" / "03.png", folder / "calm" / "copy.png")
    found = findings(folder)
    assert (found["duplicate-rows"].file, found["duplicate-rows"].count) == ("calm/03.png", 1)
    assert "leakage" not in found
    across = findings(folder, test=["copy.png", "07.png"])
    assert (across["leakage"].file, across["leakage"].severity, across["leakage"].count) == (
        "calm/copy.png",
        "warning",
        1,
    )
    assert "1 of 3 test pictures is an exact copy of a training picture" in across["leakage"].message
    shutil.copy(folder / "calm" / "05.png", folder / "storm" / "other.png")
    both = findings(folder)
    assert both["contradictory-rows"].message.startswith(
        "the same picture is in several classes, as calm/05.png and storm/other.png (2 pictures)"
    )
    assert both["duplicate-rows"].count == 1  # the contradictory ones are not counted twice


def test_pictures_that_show_nothing(folder):
    Image.new("L", (60, 40), 4).save(folder / "storm" / "black.png")
    Image.new("L", (60, 40), 200).save(folder / "calm" / "white.png")
    found = findings(folder)
    assert found["dark-picture"].file == "storm/black.png"
    assert found["plain-picture"].file == "calm/white.png"
    assert found["plain-picture"].message == "1 of 62 pictures is of one plain colour."


def test_one_colour_picture_among_grey_ones_and_the_reverse(folder, tmp_path):
    Image.new("RGB", (60, 40), (200, 30, 30)).save(folder / "calm" / "red.png")
    found = findings(folder)
    assert (found["odd-colour"].file, found["odd-colour"].severity) == ("calm/red.png", "warning")
    for file in folder.rglob("*.png"):
        values = np.random.default_rng(len(file.name)).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(values).save(file)
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 60), dtype=np.uint8)).convert("RGB").save(
        folder / "storm" / "05.png"
    )
    found = findings(folder)
    assert (found["odd-colour"].file, found["odd-colour"].severity) == ("storm/05.png", "note")


def test_odd_sizes_and_long_shapes(folder):
    values = np.random.default_rng(0).integers(0, 256, (20, 100), dtype=np.uint8)
    Image.fromarray(values).save(folder / "calm" / "strip.png")
    found = findings(folder)
    assert (found["odd-size"].file, found["long-shape"].file) == ("calm/strip.png", "calm/strip.png")
    assert "60 to 100 pixels wide (median 60)" in found["picture-sizes"].message


def test_classes_as_in_tables(folder):
    (folder / "Calm ").mkdir()
    shutil.copy(folder / "calm" / "00.png", folder / "Calm " / "one.png")
    found = findings(folder)
    assert (found["class-too-rare"].file, found["near-duplicate-names"].file) == ("Calm /one.png", "Calm /one.png")


def test_what_was_not_looked_at_is_said(folder):
    source = open_pictures(str(folder), reading=PictureFiles(in_memory="never"))
    rows = torch.arange(60)
    audit = audit_pictures(source.listing, source.digests, Split(train=rows, test=rows[:0]), look=False)
    assert [finding.code for finding in audit.findings] == ["picture-sizes", "not-looked-at"]
