"""`polylogit evaluate`."""

import json


def test_evaluate_as_json_gives_the_figures_of_train(polylogit):
    trained = json.loads(polylogit("train", "zoo", "--json").stdout)
    judged = json.loads(polylogit("evaluate", trained["model_path"], "zoo", "--json").stdout)
    assert judged["test"] == trained["test"]


def test_evaluate_says_that_only_held_out_rows_count(polylogit):
    polylogit("train", "zoo")
    done = polylogit("evaluate", "runs/zoo-linear/model.safetensors", "zoo")
    assert "accuracy" in done.stdout
    assert "only its 20 held-out rows are evaluated" in done.stderr
