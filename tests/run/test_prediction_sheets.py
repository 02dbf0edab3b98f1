"""The page of predictions of unlabelled pictures."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from polylogit.errors import PolylogitError, RecipeError
from polylogit.recipes import recipe_from_entries
from polylogit.report.prediction_page import prediction_html
from polylogit.run import predict, prediction_frames, train
from polylogit.run.prediction_sheets import LeastSure

NAMES = ("cat", "dog", "fox")


def frame(rows):
    """Predictions of (class, its probability)."""
    shares = {f"probability_{name}": [] for name in NAMES}
    for given, sure in rows:
        for name in NAMES:
            shares[f"probability_{name}"].append(sure if name == (given or "cat") else (1 - sure) / 2)
    return pl.DataFrame({"class": [name for name, _ in rows], **shares}, schema_overrides={"class": pl.String})


def page(*frames, data="new"):
    sheets = LeastSure(NAMES)
    passed = list(sheets.watching(frames))
    assert all(left is right for left, right in zip(passed, frames, strict=True))
    count = sum(each.height for each in frames)
    return sheets.page(data, Path("model.safetensors"), torch.zeros(count, 1, 2, 2, dtype=torch.uint8))


def test_the_least_sure_come_first_over_all_frames():
    found = page(frame([("cat", 0.9), ("dog", 0.7), ("cat", 0.5)]), frame([("cat", 0.6), (None, 0.4)]))
    cat, *others = found.classes
    assert (cat.name, cat.count, found.pictures) == ("cat", 3, 5)
    assert cat.mean_probability == pytest.approx(2 / 3)
    assert [picture.name for picture in cat.pictures] == ["no. 3", "no. 4", "no. 1"]
    assert {each.name: each.pictures[0].probability for each in others} == {"dog": 0.7, None: 0.4}
    assert found.empty == ("fox",)


def test_a_sheet_holds_a_bounded_number_of_pictures():
    rows = [("dog", 0.99 - number / 1000) for number in range(100)]
    (dog,) = page(frame(rows[:60]), frame(rows[60:])).classes
    assert dog.count == 100
    assert [picture.name for picture in dog.pictures] == [f"no. {number}" for number in range(100, 76, -1)]


def test_the_probability_of_the_given_class_counts_where_another_is_more_probable():
    decided = frame([("cat", 0.9)]).with_columns(pl.lit("dog").alias("class"))
    assert page(decided).classes[0].pictures[0].probability == pytest.approx(0.05)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lights")
    draw = np.random.default_rng(0)
    for name, light in (("dark", 0), ("<light>", 90)):
        (folder / name).mkdir()
        for number in range(30):
            Image.fromarray(draw.integers(light, light + 150, (6, 6), dtype=np.uint8)).save(
                folder / name / f"{number}.png"
            )
    return train(str(folder), recipe_from_entries({}), out=tmp_path_factory.mktemp("model") / "m.safetensors")


def test_a_page_is_written_beside_the_predictions(model, tmp_path, monkeypatch):
    monkeypatch.setattr(prediction_frames, "PICTURES_AT_ONCE", 7)
    new, place = model.data, tmp_path / "page.html"
    found = predict(model.model_path, new, report=place)
    html = place.read_text()
    counts = dict(re.findall(r"#class-\d+\">([^<]+)</a></th><td class=\"n\">(\d+)", html))
    expected = found.frame["class"].value_counts()
    assert counts == {
        name.replace("<", "&lt;").replace(">", "&gt;"): str(count) for name, count in expected.iter_rows()
    }
    assert html.count("<img") == min(24, int(counts["dark"])) + min(24, int(counts["&lt;light&gt;"]))
    least = found.frame.filter(pl.col("class") == "dark").sort("probability_dark")["file"][0]
    dark = html[html.index(">dark</h2>") :]
    assert dark.index(least.removeprefix(f"{new}/")) < dark.index("</li>")
    assert f'title="{new}' not in html
    predict(model.model_path, new, report=place)  # its own page may be replaced


def test_the_page_says_by_what_else_than_the_probability_classes_are_chosen(model, tmp_path):
    place = tmp_path / "page.html"
    predict(model.model_path, model.data, prior={"dark": 0.01, "<light>": 0.99}, report=place)
    assert "Note: Each row gets the most probable class under the class shares" in place.read_text()


def test_what_cannot_be_a_page_is_refused(model, zoo_run, tmp_path):
    with pytest.raises(RecipeError, match="--report: shows pictures, and zoo is a table"):
        predict(zoo_run.model_path, "zoo", report=tmp_path / "page.html")
    with pytest.raises(RecipeError, match=r"ends in \.html"):
        predict(model.model_path, model.data, report=tmp_path / "page.pdf")
    other = tmp_path / "other.html"
    other.write_text("<p>mine</p>")
    with pytest.raises(PolylogitError, match="did not write it"):
        predict(model.model_path, model.data, report=other)


def test_the_page_has_no_script_and_escapes_names():
    found = page(frame([("cat", 0.9)]), data="<b>")
    assert "<script" not in prediction_html(found)
    assert "<h1>&lt;b&gt;: 1 picture</h1>" in prediction_html(found)
