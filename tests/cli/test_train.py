"""`polylogit train`: what it prints, and where its options come from."""

import json

from polylogit.data.tables.sources import open_source


def test_train_prints_its_figures_and_the_next_command(polylogit):
    done = polylogit("train", "zoo")
    assert done.exit_code == 0
    for words in ("81 training rows, 20 test rows, 7 classes", "accuracy", "log loss", "precision", "mammal",
                  "Next: polylogit predict runs/zoo-linear/model.safetensors zoo"):  # fmt: skip
        assert words in done.stdout


def test_the_next_command_is_one_to_copy_whatever_the_names(polylogit, tmp_path):
    for name in ("first june.csv", "may.csv"):
        (tmp_path / name).write_text("x,y\n" + "1,a\n2,b\n" * 20)
    done = polylogit("train", "first june.csv", "may.csv", "--target", "y", "--out", "a model.safetensors")
    assert "Next: polylogit predict 'a model.safetensors' 'first june.csv' may.csv\n" in done.stdout
    made = polylogit("init", "first june.csv", "--target", "y", "--out", "my recipe.toml")
    assert "then run: polylogit train 'first june.csv' --recipe 'my recipe.toml'\n" in made.stderr
    assert "polylogit predict 'a model.safetensors' DATA\n" in polylogit("card", "a model.safetensors").stdout


def test_train_as_json_prints_one_object_and_nothing_else(polylogit):
    done = polylogit("train", "zoo", "--json", "--seed", "3")
    printed = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    for name in ("data", "model", "classes", "rows_train", "rows_test", "temperature", "seconds", "epochs",
                 "model_path", "report_path"):  # fmt: skip
        assert name in printed
    assert set(printed["test"]) >= {"accuracy", "log_loss", "calibration_error"}
    assert 0 <= printed["train"]["accuracy"] <= 1
    assert (printed["data"], printed["model"], printed["seed"], printed["rows_train"] + printed["rows_test"]) == (
        "zoo",
        "linear",
        3,
        101,
    )


def test_resume_without_a_checkpoint_says_that_training_starts_again(polylogit):
    done = polylogit("train", "zoo", "--model", "mlp", "--set", "training.epochs=1", "--resume")
    assert done.exit_code == 0
    assert "there is no checkpoint runs/zoo-mlp/model.checkpoint.safetensors" in done.stderr


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
    printed = json.loads(done.stdout)
    assert (printed["seed"], printed["rows_test"], "mammal" in printed["classes"]) == (2, 30, True)


def test_a_file_without_a_target_is_wrong_usage(polylogit, tmp_path):
    open_source("zoo").frame.write_csv(tmp_path / "animals.csv")
    done = polylogit("train", "animals.csv")
    assert done.exit_code == 2
    assert "Name it with --target" in done.stderr
    assert "type" in done.stderr
