"""`polylogit check --labels` as a user calls it."""

import json

import numpy as np
import polars as pl
import pytest

QUICK = ("--target", "kind", "--set", "calibration.method=none")


@pytest.fixture
def table(tmp_path):
    draw = np.random.default_rng(0)
    classes = np.repeat([0, 1], 40)
    labels = np.array(["x", "y"])[classes]
    labels[[4, 60]] = ["y", "x"]
    values = draw.normal(size=(80, 2)) + 5 * classes[:, None]
    frame = pl.DataFrame(values, schema=["a", "b"]).with_columns(kind=pl.Series(labels))
    frame.write_csv(tmp_path / "flowers.csv")
    return "flowers.csv"


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_the_suspects_are_printed_and_written(polylogit, table, tmp_path, ending):
    done = polylogit("check", table, *QUICK, "--labels", "--out", f"suspects.{ending}")
    assert done.exit_code == 0
    assert "2 labels are probably wrong: 80 of 80 rows were examined" in " ".join(done.stdout.split())
    read = {"csv": pl.read_csv, "parquet": pl.read_parquet, "jsonl": pl.read_ndjson}[ending]
    frame = read(tmp_path / f"suspects.{ending}")
    assert sorted(frame["row"]) == [5, 61]
    assert frame.columns == [
        "row",
        "given",
        "suggested",
        "given_probability",
        "suggested_probability",
        "error_probability",
    ]


def test_json_has_the_audit_and_the_suspects(polylogit, table):
    printed = json.loads(polylogit("check", table, *QUICK, "--labels", "--json").stdout)
    assert printed["rows"] == 80
    labels = printed["label_errors"]
    assert (labels["examined"], len(labels["suspects"]), labels["out"]) == (80, 2, None)
    assert sorted(suspect["row"] for suspect in labels["suspects"]) == [5, 61]
    assert "label_errors" not in json.loads(polylogit("check", table, "--target", "kind", "--json").stdout)


def test_nothing_suspicious_writes_an_empty_table(polylogit, tmp_path):
    done = polylogit("check", "zoo", *QUICK[2:], "--labels", "--out", "suspects.csv")
    assert "No label is probably wrong: 101 of 101 rows" in " ".join(done.stdout.split())
    assert pl.read_csv(tmp_path / "suspects.csv").shape == (0, 6)


def test_labels_are_not_checked_where_the_audit_finds_errors(polylogit, tmp_path):
    (tmp_path / "one.csv").write_text("a,kind\n1,x\n2,x\n3,x\n")
    done = polylogit("check", "one.csv", "--target", "kind", "--labels", "--out", "suspects.csv")
    assert done.exit_code == 1
    assert "the labels were not checked" in done.stderr
    assert not (tmp_path / "suspects.csv").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--out", "suspects.csv"), "applies to --labels only"),
        (("--labels", "--out", "suspects.xlsx"), "ending is not known"),
        (("--labels", "--data-root", "here"), "--data-root"),
    ],
)
def test_options_that_do_not_apply_are_refused(polylogit, table, words, message):
    done = polylogit("check", table, "--target", "kind", *words)
    assert done.exit_code == 2
    assert message in done.stderr


def test_class_folders_without_pictures_are_an_error(polylogit, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "shades" / name).mkdir(parents=True)
    done = polylogit("check", "shades")
    assert done.exit_code == 1
    assert "no picture in this class folder" in done.stderr


def test_the_model_is_that_of_the_recipe(polylogit, table, tmp_path):
    """A model that learns nothing predicts one class for all."""
    (tmp_path / "r.toml").write_text('[data]\ntarget = "kind"\n[training]\nC = 1e-12\n[calibration]\nmethod = "none"\n')
    done = polylogit("check", table, "--recipe", "r.toml", "--labels", "--json")
    nothing = json.loads(done.stdout)["label_errors"]
    assert nothing["examined"] == 80
    assert nothing["accuracy"] < 0.9
    assert json.loads(polylogit("check", table, *QUICK, "--labels", "--json").stdout)["label_errors"]["accuracy"] > 0.95


def test_check_refuses_to_drop_the_target(polylogit):
    done = polylogit("check", "zoo", "--drop", "type")
    assert done.exit_code == 2
    assert 'data.drop names the target "type"' in done.stderr
