import json

import polars as pl
import pytest

from polylogit.data.tables.sources import open_source
from polylogit.recipes import shipped_recipes


def test_train_tells_what_it_found_and_what_comes_next(polylogit):
    done = polylogit("train", "zoo")
    assert done.exit_code == 0
    for words in ("81 rows trained on, 20 held out, 7 classes", "accuracy", "log loss", "precision", "mammal",
                  "Next: polylogit predict runs/zoo-linear/model.safetensors zoo"):  # fmt: skip
        assert words in done.stdout


def test_train_as_json_prints_one_object_and_nothing_else(polylogit):
    done = polylogit("train", "zoo", "--json", "--seed", "3")
    told = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    for name in ("data", "model", "classes", "rows_train", "rows_test", "temperature", "seconds", "epochs",
                 "model_path", "report_path"):  # fmt: skip
        assert name in told
    assert set(told["test"]) >= {"accuracy", "log_loss", "calibration_error"}
    assert 0 <= told["train"]["accuracy"] <= 1
    assert (told["data"], told["model"], told["seed"], told["rows_train"] + told["rows_test"]) == (
        "zoo",
        "linear",
        3,
        101,
    )


def test_resume_without_a_checkpoint_says_that_the_fit_starts_anew(polylogit):
    done = polylogit("train", "zoo", "--model", "mlp", "--set", "training.epochs=1", "--resume")
    assert done.exit_code == 0
    assert "there is no runs/zoo-mlp/model.checkpoint.safetensors to go on from" in done.stderr


def test_help_names_shipped_recipes_in_one_piece(polylogit):
    told = polylogit("train", "--help").stdout
    assert all(f" {name}" in told for name in shipped_recipes())
    assert told.index("taken for the data of that name: mnist, fashion-mnist") < told.index("the lessons': eight-rows")


def test_evaluate_as_json_gives_the_figures_of_train(polylogit):
    trained = json.loads(polylogit("train", "zoo", "--json").stdout)
    judged = json.loads(polylogit("evaluate", trained["model_path"], "zoo", "--json").stdout)
    assert judged["test"] == trained["test"]


def test_evaluate_tells_that_only_held_out_rows_count(polylogit):
    polylogit("train", "zoo")
    done = polylogit("evaluate", "runs/zoo-linear/model.safetensors", "zoo")
    assert "accuracy" in done.stdout
    assert "only the 20 rows held out then are judged" in done.stderr


def test_predict_prints_csv(polylogit):
    polylogit("train", "zoo")
    done = polylogit("predict", "runs/zoo-linear/model.safetensors", "zoo")
    assert done.stdout.splitlines()[0].startswith("class,probability_amphibian,probability_bird")
    assert len(done.stdout.splitlines()) == 102


@pytest.mark.parametrize(
    ("ending", "read"), [(".csv", pl.read_csv), (".parquet", pl.read_parquet), (".jsonl", pl.read_ndjson)]
)
def test_predict_writes_every_ending(polylogit, ending, read):
    polylogit("train", "zoo")
    done = polylogit("predict", "runs/zoo-linear/model.safetensors", "zoo", "--out", f"p{ending}")
    assert (done.exit_code, done.stdout) == (0, "")
    frame = read(f"p{ending}")
    assert frame.shape == (101, 8)
    assert frame["class"][0] == "mammal"


def test_a_run_is_repeated_from_its_model_file(polylogit, tmp_path):
    polylogit("train", "zoo", "--seed", "5", "--set", "training.C=0.1", "--out", "a.safetensors")
    polylogit("train", "zoo", "--recipe", "a.safetensors", "--out", "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_options_go_over_settings_and_settings_over_the_recipe(polylogit, tmp_path):
    (tmp_path / "r.toml").write_text('seed = 1\n[data]\ntarget = "hair"\ntest_fraction = 0.3\n[training]\nC = 3\n')
    done = polylogit(
        "train",
        "zoo",
        "--recipe",
        "r.toml",
        "--set",
        "seed=2",
        "--set",
        "data.target=milk",
        "--target",
        "type",
        "--json",
    )
    told = json.loads(done.stdout)
    assert (told["seed"], told["rows_test"], "mammal" in told["classes"]) == (2, 30, True)


def test_a_file_without_a_target_is_wrong_usage(polylogit, tmp_path):
    open_source("zoo").frame.write_csv(tmp_path / "animals.csv")
    done = polylogit("train", "animals.csv")
    assert done.exit_code == 2
    assert "Name it with --target" in done.stderr
    assert "type" in done.stderr


def test_no_words_print_the_help(polylogit):
    assert "Start with: polylogit train zoo" in polylogit("--help").stdout
