"""`polylogit evaluate`."""

import json

import pytest


def test_evaluate_as_json_gives_the_figures_of_train(polylogit):
    trained = json.loads(polylogit("train", "zoo", "--json").stdout)
    judged = json.loads(polylogit("evaluate", trained["model_path"], "zoo", "--json").stdout)
    assert judged["test"] == trained["test"]


def test_evaluate_says_that_only_held_out_rows_count(polylogit):
    polylogit("train", "zoo")
    done = polylogit("evaluate", "runs/zoo-linear/model.safetensors", "zoo")
    assert "accuracy" in done.stdout
    assert "only its 20 held-out rows are evaluated" in done.stderr


@pytest.fixture
def model(polylogit, tmp_path):
    (tmp_path / "t.csv").write_text("ort,v,kind\n" + "Köln,1,p\nBonn,2,q\n" * 30, encoding="utf-8")
    assert polylogit("train", "t.csv", "--target", "kind", "--out", "m.safetensors").exit_code == 0
    return "m.safetensors"


def test_a_table_may_be_written_in_another_way_than_that_of_training(model, polylogit, tmp_path):
    text = "Title, 2021\n#x\nort;v;kind\nKöln;1;p\nBonn;2;q\nBonn;--;q\n"
    (tmp_path / "w.csv").write_text(text, encoding="cp1252")
    wanted = ["encoding=cp1252", "skip_lines=1", "comment=#", "separator=;", "missing=--"]
    settings = [word for each in wanted for word in ("--set", f"data.{each}")]
    assert polylogit("predict", model, "w.csv").exit_code == 1
    done = polylogit("predict", model, "w.csv", *settings)
    assert [line.partition(",")[0] for line in done.stdout.splitlines()] == ["class", "p", "q", "q"]
    assert json.loads(polylogit("evaluate", model, "w.csv", *settings, "--json").stdout)["rows_test"] == 3
    assert polylogit("predict", model, "t.csv").exit_code == 0  # the model keeps its own


def test_evaluate_can_leave_out_rows_without_a_class(model, polylogit, tmp_path):
    (tmp_path / "u.csv").write_text("ort,v,kind\nKöln,1,p\nBonn,2,\n", encoding="utf-8")
    assert "data.unlabelled=drop" in polylogit("evaluate", model, "u.csv").stderr
    done = polylogit("evaluate", model, "u.csv", "--set", "data.unlabelled=drop", "--json")
    assert json.loads(done.stdout)["rows_test"] == 1


def test_settings_that_a_trained_model_cannot_follow_are_refused(model, polylogit):
    for setting in ("training.C=3", "data.target=v", "data.columns.v=category", "seed=1"):
        for command in ("predict", "evaluate"):
            done = polylogit(command, model, "t.csv", "--set", setting)
            assert done.exit_code == 2
            assert f"--set {setting}: the model is trained already" in done.stderr
