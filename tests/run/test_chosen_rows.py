"""Which rows a run takes: only some classes, in an order of one's own, and none held out."""

import numpy as np
import polars as pl
import pytest
from PIL import Image

from polylogit.errors import DataError, RecipeError
from polylogit.recipes.recipe import recipe_from_entries
from polylogit.run import evaluate, predict, train

CHOSEN = ["fish", "bird"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Ninety rows of three classes, ten groups, a split of their own, and a time that runs with the rows."""
    draw = np.random.default_rng(0)
    kind = np.tile(["bird", "fish", "worm"], 30)
    frame = pl.DataFrame(
        {
            "weight": np.round(draw.normal(size=90) + 3 * (kind == "fish"), 3),
            "farm": np.arange(90) // 3 % 10,
            "part": np.where(np.arange(90) % 5 == 0, "test", "train"),
            "day": np.arange(90),
            "kind": kind,
        }
    )
    path = tmp_path_factory.mktemp("table") / "animals.csv"
    frame.write_csv(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three classes of pictures, each brighter than the one before."""
    folder = tmp_path_factory.mktemp("pictures")
    draw = np.random.default_rng(0)
    for name, light in (("dark", 0), ("grey", 90), ("light", 180)):
        (folder / name).mkdir()
        for number in range(10):
            values = draw.integers(light, light + 60, size=(4, 4)).astype(np.uint8)
            Image.fromarray(values).save(folder / name / f"{number}.png")
    return folder


def run(data, out, **options):
    return train(str(data), recipe_from_entries({"data": options}), out=out / "model.safetensors")


@pytest.mark.parametrize(
    "split", [{}, {"split": "part"}, {"group": "farm"}, {"time": "day"}], ids=["drawn", "split", "group", "time"]
)
def test_only_the_rows_of_the_chosen_classes_are_trained_on_and_evaluated(table, split, tmp_path):
    done = run(table, tmp_path, target="kind", classes=CHOSEN, **split)
    assert done.classifier.class_names == tuple(CHOSEN)
    assert done.train.rows + done.test.rows == 60
    assert 6 <= done.test.rows <= 20
    assert done.test.accuracy > 0.7
    again = evaluate(done.model_path, str(table))
    assert again.test == done.test
    assert "30 of 90 rows are of classes that the recipe leaves out, and are left out here too." in again.notes


def test_the_table_without_the_other_rows_gives_the_same_model(table, tmp_path):
    fewer = tmp_path / "fewer.csv"
    pl.read_csv(table).filter(pl.col("kind") != "worm").write_csv(fewer)
    weights = [
        run(data, tmp_path, target="kind", **options).classifier.network.state_dict()
        for data, options in ((table, {"classes": ["bird", "fish"]}), (fewer, {}))
    ]
    assert {name: value.tolist() for name, value in weights[0].items()} == {
        name: value.tolist() for name, value in weights[1].items()
    }


def test_on_other_data_too_rows_of_the_other_classes_are_left_out(table, tmp_path):
    done = run(table, tmp_path, target="kind", classes=CHOSEN)
    new = tmp_path / "new.csv"
    pl.read_csv(table).tail(9).write_csv(new)
    assert evaluate(done.model_path, str(new)).test.rows == 6
    pl.read_csv(table).filter(pl.col("kind") == "worm").write_csv(new)
    with pytest.raises(DataError, match="there is no row to evaluate"):
        evaluate(done.model_path, str(new))
    assert predict(done.model_path, str(new)).rows == 30


def test_without_chosen_classes_a_class_that_is_not_known_stays_a_fault(table, tmp_path):
    fewer = tmp_path / "fewer.csv"
    pl.read_csv(table).filter(pl.col("kind") != "worm").write_csv(fewer)
    done = run(fewer, tmp_path, target="kind")
    with pytest.raises(DataError, match='the class "worm" is none of the 2'):
        evaluate(done.model_path, str(table))


def test_rows_left_out_are_not_audited_against_the_others(tmp_path):
    path = tmp_path / "t.csv"
    kinds = ["cat", "dog"] * 20 + ["rare"]
    pl.DataFrame({"a": [*range(40), 0], "b": [*range(0, 80, 2), 0], "kind": kinds}).write_csv(path)
    about_the_rare_one = {"class-too-rare", "contradictory-rows"}
    told = run(path, tmp_path, target="kind").audit.of("warning")
    assert {finding.code for finding in told} >= about_the_rare_one
    told = run(path, tmp_path, target="kind", classes=["dog", "cat"]).audit.of("warning")
    assert not {finding.code for finding in told} & about_the_rare_one


def test_pictures_of_chosen_classes(folder, tmp_path):
    done = run(folder, tmp_path, classes=["light", "dark"])
    assert done.classifier.class_names == ("light", "dark")
    assert (done.train.rows, done.test.rows) == (16, 4)
    assert done.test.accuracy == 1.0
    again = evaluate(done.model_path, str(folder))
    assert again.test == done.test
    assert any("10 of 30 rows are of classes that the recipe leaves out" in note for note in again.notes)


@pytest.mark.parametrize(("data", "classes"), [("table", ["fish", "birt"]), ("folder", ["light", "drak"])])
def test_a_class_without_rows_is_reported_with_the_nearest(data, classes, request, tmp_path):
    options = {"target": "kind"} if data == "table" else {}
    with pytest.raises(DataError, match=rf'data\.classes names "{classes[1]}", but no row .* Did you mean'):
        run(request.getfixturevalue(data), tmp_path, classes=classes, **options)


def test_classes_may_be_written_as_numbers():
    recipe = recipe_from_entries({"data": {"classes": [3, "1"]}})
    assert recipe.data.classes == ("3", "1")


@pytest.mark.parametrize(
    ("classes", "words"), [(["cat"], "at least 2"), (["cat", "dog", "cat"], '"cat" is named twice')]
)
def test_fewer_than_two_classes_or_one_twice_are_refused(classes, words):
    with pytest.raises(RecipeError, match=f"data.classes: .*{words}"):
        recipe_from_entries({"data": {"classes": classes}})


def test_with_nothing_held_out_all_rows_are_trained_on_and_nothing_is_claimed(table, tmp_path, polylogit):
    told = polylogit("train", table, "--target", "kind", "--set", "data.test_fraction=0", "--out", "m.safetensors")
    assert told.exit_code == 0
    assert "90 training rows, 0 test rows" in " ".join(told.stdout.split())
    assert "these are training metrics and are optimistic" in " ".join(told.stdout.split())
    assert "report   none" in told.stdout
    assert not (tmp_path / "report.html").exists()
    done = run(table, tmp_path, target="kind", test_fraction=0)
    assert (done.train.rows, done.test, done.test_uncalibrated, done.report_path) == (90, None, None, None)
    assert done.calibration.rows == 90
    assert done.as_json()["test"] is None
    with pytest.raises(DataError, match="each was trained on"):
        evaluate(done.model_path, str(table))


def test_the_own_test_part_of_a_table_stays_held_out(table, tmp_path):
    assert run(table, tmp_path, target="kind", split="part").test.rows == 18
