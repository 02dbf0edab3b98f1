"""Runs do not overwrite each other unnoticed."""

import json
from pathlib import Path

import pytest

from polylogit.errors import PolylogitError, RecipeError
from polylogit.fitting.callbacks import TrainingCallback
from polylogit.recipes import LinearRecipe
from polylogit.run import evaluate, train
from polylogit.run.output_paths import checkpoint_path, claimed_model_path, default_model_path


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_runs_of_one_name_get_a_number(tmp_path):
    paths = [train("zoo", LinearRecipe(seed=seed)).model_path.as_posix() for seed in (0, 1)]
    assert paths == ["runs/zoo-linear/model.safetensors", "runs/zoo-linear-2/model.safetensors"]
    assert names(tmp_path / "runs" / "zoo-linear-2") == ["history.jsonl", "model.safetensors"]


def test_a_report_of_an_unknown_ending_is_refused_before_the_work(tmp_path):
    with pytest.raises(RecipeError, match=r"--report page.pdf: the ending is not known. Expected .html, .json or .md"):
        train("zoo", LinearRecipe(), report=Path("page.pdf"))
    assert names(tmp_path) == []
    run = train("zoo", LinearRecipe(), out=Path("m.safetensors"))
    with pytest.raises(RecipeError, match="the ending is not known"):
        evaluate(run.model_path, "zoo", report=Path("page.pdf"))


def test_simultaneous_runs_get_folders_of_their_own():
    with claimed_model_path("zoo", "linear") as one, claimed_model_path("zoo", "linear") as other:
        assert one.parent != other.parent


def test_a_run_that_leaves_nothing_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match="nothing"), claimed_model_path("zoo", "linear"):
        raise ValueError("nothing")
    assert names(tmp_path) == []


def test_resuming_takes_the_newest_interrupted_run(tmp_path):
    for number in ("", "-2", "-3"):
        folder = tmp_path / "runs" / f"zoo-mlp{number}"
        folder.mkdir(parents=True)
        if number != "-3":
            checkpoint_path(folder / "model.safetensors").touch()
    with claimed_model_path("zoo", "mlp", resume=True) as path:
        assert path.parent.name == "zoo-mlp-2"
    with claimed_model_path("zoo", "mlp") as path:
        assert path.parent.name == "zoo-mlp-4"
    assert names(tmp_path / "runs") == ["zoo-mlp", "zoo-mlp-2", "zoo-mlp-3"]


def test_a_named_model_file_gives_its_name_to_the_others(polylogit, tmp_path):
    first = polylogit("train", "zoo", "--out", "a.safetensors", "--json")
    assert names(tmp_path) == ["a.history.jsonl", "a.report.html", "a.report.json", "a.report.md", "a.safetensors"]
    assert json.loads(first.stdout)["replaced"] == []
    again = polylogit("train", "zoo", "--out", "a.safetensors", "--json")
    assert json.loads(again.stdout)["replaced"] == [
        "a.safetensors",
        "a.history.jsonl",
        "a.report.html",
        "a.report.json",
        "a.report.md",
    ]
    assert "replaced files of an earlier run: a.safetensors, a.history.jsonl, a.report.html, " in again.stderr


def test_the_default_names_data_and_model():
    assert default_model_path("zoo", "linear").as_posix() == "runs/zoo-linear/model.safetensors"


def test_two_runs_into_one_file_are_refused(tmp_path):
    """The first run, while it fits, starts a second one into the same model file."""
    path = tmp_path / "model.safetensors"
    refused = []

    class Second(TrainingCallback):
        def iteration_done(self, record):
            if not refused:
                with pytest.raises(PolylogitError, match=r"model\.safetensors: another run is writing") as found:
                    train("zoo", LinearRecipe(), out=path)
                refused.append(found)

    run = train("zoo", LinearRecipe(), out=path, callbacks=[Second()])
    assert refused
    history = [json.loads(line)["epoch"] for line in run.history_path.read_text().splitlines()]
    assert history == list(range(run.epochs + 1))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["history.jsonl", "model.safetensors"]
    train("zoo", LinearRecipe(), out=path)
