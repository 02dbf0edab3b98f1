"""Tables of one's own through the whole run: every format, and the options that only they need."""

import gzip
import json

import numpy as np
import polars as pl
import pytest
import torch

from polylogit.classifier import Classifier
from polylogit.errors import DataError, RecipeError
from polylogit.recipes.recipe import recipe_from_entries
from polylogit.run import evaluate, predict, train


@pytest.fixture(scope="module")
def animals():
    """120 rows with a number, a boolean, a date, a category and gaps in all of them."""
    draw = np.random.default_rng(0)
    rows = 120
    kind = draw.choice(["bird", "fish", "mammal"], rows)
    weight = np.round(draw.normal(size=rows) + (kind == "mammal"), 3)
    frame = pl.DataFrame(
        {
            "weight": weight,
            "swims": draw.random(rows) < np.where(kind == "fish", 0.9, 0.2),
            "seen": np.datetime64("2023-01-01") + draw.integers(0, 700, rows),
            "skin": np.where(draw.random(rows) < 0.8, np.where(kind == "bird", "feathers", "scales"), "fur"),
            "kind": kind,
        }
    )
    for name in ("weight", "swims", "seen", "skin"):
        gaps = pl.Series(draw.random(rows) < 0.05)
        frame = frame.with_columns(pl.when(gaps).then(None).otherwise(pl.col(name)).alias(name))
    return frame


WRITERS = {
    "a.csv": lambda frame, path: frame.write_csv(path),
    "a.tsv": lambda frame, path: frame.write_csv(path, separator="\t"),
    "semicolons.csv": lambda frame, path: frame.write_csv(path, separator=";"),
    "quoted.csv": lambda frame, path: frame.write_csv(path, quote_style="always"),
    "windows.csv": lambda frame, path: frame.write_csv(path, line_terminator="\r\n", include_bom=True),
    "old_mac.csv": lambda frame, path: frame.write_csv(path, line_terminator="\r"),
    "utf16.csv": lambda frame, path: path.write_text(frame.write_csv(), encoding="utf-16"),
    "a.csv.gz": lambda frame, path: path.write_bytes(gzip.compress(frame.write_csv().encode())),
    "a.jsonl.gz": lambda frame, path: path.write_bytes(gzip.compress(frame.write_ndjson().encode())),
    "a.parquet": lambda frame, path: frame.write_parquet(path),
    "a.arrow": lambda frame, path: frame.write_ipc(path),
    "stream.arrow": lambda frame, path: frame.write_ipc_stream(path),
    "a.feather": lambda frame, path: frame.write_ipc(path, compression="lz4"),
    "a.jsonl": lambda frame, path: frame.write_ndjson(path),
}


@pytest.fixture(scope="module")
def run_of(tmp_path_factory):
    def run(data, **options):
        entries = {"data": {"target": "kind", **options}, "calibration": {"method": "none"}}
        out = tmp_path_factory.mktemp("run") / "model.safetensors"
        return train(str(data), recipe_from_entries(entries), out=out)

    return run


@pytest.fixture(scope="module")
def classifier(animals, run_of, tmp_path_factory):
    path = tmp_path_factory.mktemp("animals") / "a.parquet"
    animals.write_parquet(path)
    return run_of(path).classifier


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_is_the_same_table(name, animals, classifier, run_of, tmp_path):
    WRITERS[name](animals, tmp_path / name)
    expected = classifier.predict_logits(animals)
    assert torch.equal(classifier.predict_logits(tmp_path / name), expected)
    assert torch.equal(run_of(tmp_path / name).classifier.predict_logits(animals), expected)


def test_a_folder_of_parts_is_one_table(animals, classifier, run_of, tmp_path):
    for part in range(3):
        rows = animals[part * 40 : (part + 1) * 40]
        (rows if part != 1 else rows.select(reversed(rows.columns))).write_parquet(tmp_path / f"part-{part}.parquet")
    (tmp_path / "_SUCCESS").write_text("")
    assert torch.equal(run_of(tmp_path).classifier.predict_logits(animals), classifier.predict_logits(animals))


def test_rows_from_python_are_the_same_table(animals, classifier):
    expected = classifier.predict_probabilities(animals)
    same = (animals.lazy(), animals.to_pandas(), animals.to_arrow(), animals.to_dict(as_series=False))
    for rows in same:
        assert torch.equal(classifier.predict_probabilities(rows), expected)


def test_an_array_has_its_columns_in_the_order_of_training(run_of, tmp_path):
    values = np.random.default_rng(0).normal(size=(60, 3))
    frame = pl.DataFrame(values, schema=["a", "b", "c"])
    frame.with_columns(kind=pl.Series(values[:, 0] > 0)).write_parquet(tmp_path / "a.parquet")
    classifier = run_of(tmp_path / "a.parquet").classifier
    assert torch.equal(classifier.predict_logits(values), classifier.predict_logits(frame))
    with pytest.raises(DataError, match=r"expected an array of shape \(N, 3\), one column each for a, b, c; got"):
        classifier.predict_logits(values[:, :2])


def test_any_number_of_rows_gives_the_same_bits(animals, classifier):
    many = pl.concat([animals] * 150)
    expected = classifier.predict_logits(animals)
    assert torch.equal(classifier.predict_logits(many), expected.repeat(150, 1))
    for row in range(0, 120, 17):
        assert torch.equal(classifier.predict_logits(animals[row : row + 1]), expected[row : row + 1])
    assert classifier.predict_logits(animals.head(0)).shape == (0, 3)


def test_the_reloaded_file_gives_the_same_bits(animals, run_of, tmp_path):
    animals.write_csv(tmp_path / "a.csv")
    run = run_of(tmp_path / "a.csv")
    again = Classifier.load(run.model_path)
    assert torch.equal(again.predict_logits(animals), run.classifier.predict_logits(animals))
    assert again.preprocessing.columns == run.classifier.preprocessing.columns


def test_columns_are_taken_as_asked(run_of, tmp_path):
    frame = pl.DataFrame({"code": [1, 2, 3] * 20, "day": ["01/02/2024", "03/04/2024", "05/06/2024"] * 20})
    frame.with_columns(kind=pl.Series(["a", "b", "a"] * 20)).write_csv(tmp_path / "a.csv")
    plain = run_of(tmp_path / "a.csv").classifier.preprocessing
    assert [column.type for column in plain.columns] == ["number", "category"], "day and month could be exchanged"
    asked = run_of(tmp_path / "a.csv", columns={"code": "category", "day": "date:%d/%m/%Y"}).classifier.preprocessing
    assert [column.type for column in asked.columns] == ["category", "date"]
    assert asked.feature_names[:3] == ("code=1", "code=2", "code=3")
    with pytest.raises(DataError, match='names the column "cod", which is not there'):
        run_of(tmp_path / "a.csv", columns={"cod": "category"})


def test_a_column_of_picture_files_is_recognised(run_of, tmp_path):
    frame = pl.DataFrame({"file": [f"photos/{row}.JPG" for row in range(60)], "kind": ["a", "b"] * 30})
    frame.write_csv(tmp_path / "a.csv")
    with pytest.raises(
        DataError, match=r'names of picture files such as "photos/0\.JPG"\. Train on the pictures with --set'
    ):
        run_of(tmp_path / "a.csv")


def test_free_text_is_refused_or_dropped(run_of, tmp_path):
    frame = pl.DataFrame({"note": [f"text number {row}" for row in range(60)], "a": list(range(60))})
    frame.with_columns(kind=pl.Series(["a", "b"] * 30)).write_csv(tmp_path / "a.csv")
    with pytest.raises(DataError, match='column "note": 60 distinct texts in 60 rows; this looks like an identifier'):
        run_of(tmp_path / "a.csv")
    dropped = run_of(tmp_path / "a.csv", free_text="drop").classifier.preprocessing
    assert [column.name for column in dropped.columns] == ["a"]


def test_a_separator_and_an_encoding_can_be_named_and_are_kept_with_the_model(run_of, tmp_path):
    text = "größe#kind\n" + "1,5#groß\n0,3#klein\n" * 20
    (tmp_path / "a.csv").write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=r"not UTF-8.*--set data\.encoding=cp1252"):
        run_of(tmp_path / "a.csv", columns={"größe": "category"})
    run = run_of(tmp_path / "a.csv", separator="#", encoding="latin-1", columns={"größe": "category"})
    assert run.classifier.class_names == ("groß", "klein")
    assert predict(run.model_path, str(tmp_path / "a.csv")).frame["class"][:2].to_list() == ["groß", "klein"]


def test_unseen_categories_are_counted(animals, classifier, tmp_path):
    classifier.save(tmp_path / "m.safetensors")
    animals.with_columns(skin=pl.lit("wool"), tag=pl.lit(1)).write_parquet(tmp_path / "new.parquet")
    notes = predict(tmp_path / "m.safetensors", str(tmp_path / "new.parquet"), allow_unseen=True).notes
    assert notes[0] == "columns that the model does not use: tag."
    assert notes[1] == 'column "skin": 120 rows hold a value never seen in training; it counts as none.'


@pytest.mark.parametrize(
    ("option", "values", "held_out"),
    [
        ("group", np.repeat(np.arange(24), 5), 20),
        ("time", [f"2024-01-01 {hour:02}:{minute:02}" for hour in range(2) for minute in range(60)], 24),
        ("split", ["train", "test", "train"] * 40, 40),
    ],
)
def test_a_column_says_which_rows_are_held_out_also_later(option, values, held_out, animals, run_of, tmp_path):  # noqa: PLR0917
    animals.with_columns(pl.Series("how", values)).write_csv(tmp_path / "a.csv")
    run = run_of(tmp_path / "a.csv", **{option: "how"}, drop=["seen"])
    assert run.classifier.trained_on.rows_test == held_out
    judged = evaluate(run.model_path, str(tmp_path / "a.csv"))
    assert judged.test.as_json() == run.test.as_json()
    used = {column.name for column in run.classifier.preprocessing.columns}
    assert ("how" in used) == (option == "time")


def test_rows_are_split_in_one_way_only():
    with pytest.raises(RecipeError, match="rows can be split in one way only, but group and time are given"):
        recipe_from_entries({"data": {"group": "a", "time": "b"}})


@pytest.fixture
def two_files(tmp_path):
    """A table to train on, and one to judge by whose columns stand in another order."""
    draw = np.random.default_rng(3)

    def rows(count):
        legs = draw.integers(0, 2, count) * 4
        return pl.DataFrame(
            {"legs": legs, "weight": draw.normal(size=count), "kind": ["snake" if n == 0 else "dog" for n in legs]}
        )

    rows(60).write_csv(tmp_path / "old.csv")
    rows(30).select("kind", "weight", "legs").with_columns(note=pl.lit("x")).write_parquet(tmp_path / "new.parquet")
    return tmp_path


def test_a_second_file_evaluates_a_model_of_all_rows_of_the_first(polylogit, two_files):
    old, new = two_files / "old.csv", two_files / "new.parquet"
    done = polylogit("train", old, "--target", "kind", "--test", new, "--out", "m.safetensors", "--json")
    told = json.loads(done.stdout)
    assert (told["rows_train"], told["rows_test"], told["cross_validation"]) == (60, 30, None)
    again = json.loads(polylogit("evaluate", "m.safetensors", new, "--json").stdout)
    assert again["test"]["log_loss"] == pytest.approx(told["test"]["log_loss"], rel=1e-6)
    flattering = json.loads(polylogit("evaluate", "m.safetensors", old, "--json").stdout)
    assert flattering["rows_test"] == 60
    assert "these are training metrics and are optimistic" in " ".join(flattering["notes"])


def test_rows_that_stand_in_both_files_are_reported(polylogit, two_files):
    old = two_files / "old.csv"
    pl.read_csv(old).slice(3, 5).write_csv(two_files / "copy.csv")
    done = polylogit("check", old, "--target", "kind", "--set", f"data.test={two_files / 'copy.csv'}", "--json")
    leakage = [one for one in json.loads(done.stdout)["findings"] if one["code"] == "leakage"]
    assert [(one["row"], one["count"], one["file"]) for one in leakage] == [(1, 5, str(two_files / "copy.csv"))]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop("legs"), 'new.csv: the column "legs" is not there, but'),
        (lambda frame: frame.with_columns(legs=pl.lit("four")), 'new.csv, column "legs", row 1: expected a number'),
        (lambda frame: frame.with_columns(kind=pl.lit("cat")), 'new.csv, column "kind", row 1: the class "cat"'),
        (lambda frame: frame.with_columns(kind=pl.lit(None)), 'new.csv, column "kind", row 1: the class is missing'),
        (lambda frame: frame.clear(), "header but no row"),
    ],
)
def test_a_second_file_that_does_not_fit_is_refused(polylogit, two_files, change, message):
    change(pl.read_parquet(two_files / "new.parquet")).write_csv(two_files / "new.csv")
    done = polylogit("train", two_files / "old.csv", "--target", "kind", "--test", two_files / "new.csv")
    assert done.exit_code == 1
    assert message in done.stderr


def test_a_second_file_of_other_types_is_refused(two_files):
    old = pl.read_csv(two_files / "old.csv")
    old.write_parquet(two_files / "old.parquet")
    old.with_columns(legs=pl.lit([1, 2])).write_parquet(two_files / "nested.parquet")
    recipe = recipe_from_entries({"data": {"target": "kind", "test": str(two_files / "nested.parquet")}})
    with pytest.raises(DataError, match=r'nested.parquet, column "legs": values of type List'):
        train(str(two_files / "old.parquet"), recipe)


def test_a_faulty_row_of_a_part_is_named_by_the_part(polylogit, tmp_path):
    (tmp_path / "parts").mkdir()
    for number, cell in enumerate(("4", "4", "four")):
        (tmp_path / "parts" / f"{number}.csv").write_text(f"legs,kind\n2,bird\n{cell},dog\n0,snake\n")
    done = polylogit("check", tmp_path / "parts", "--target", "kind", "--json")
    finding = json.loads(done.stdout)["findings"][0]
    assert (finding["code"], finding["row"], finding["file"]) == ("mixed-types", 2, str(tmp_path / "parts" / "2.csv"))
