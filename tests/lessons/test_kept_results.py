"""An interrupted `polylogit lessons --all` continues with the lesson that it was in."""

import json
from pathlib import Path

import pytest

from polylogit.errors import DataError
from polylogit.lessons import catalogue, running

FILE = Path("runs", "lessons-unfinished.json")
NAMES = ("softmax-of-a-vector", "seeded-draws")


@pytest.fixture
def runs(monkeypatch):
    """Only two lessons, and which of them were run; the second one is interrupted as often as `interruptions` says."""
    chosen = tuple(lesson for lesson in catalogue.all_lessons() if lesson.id in NAMES)
    monkeypatch.setattr(catalogue, "all_lessons", lambda: chosen)
    seen = {"run": [], "interruptions": 1}
    measures = dict(running.MEASURES)

    def counted(name):
        def measure():
            seen["run"].append(name)
            if name == "seeded-draws" and seen["interruptions"]:
                seen["interruptions"] -= 1
                raise KeyboardInterrupt
            return measures[name]()

        return measure

    for name in NAMES:
        monkeypatch.setitem(running.MEASURES, name, counted(name))
    return seen


def test_the_next_run_continues_and_the_file_is_gone_when_all_are_done(polylogit, runs):
    assert polylogit("lessons", "--all").exit_code == 130
    assert list(json.loads(FILE.read_text())["results"]) == ["softmax-of-a-vector"]
    done = polylogit("lessons", "--all")
    assert done.exit_code == 0
    assert "softmax-of-a-vector: finished by the interrupted run" in done.stdout
    assert "2 lessons, 7 numbers, 7 as printed" in done.stdout
    assert runs["run"] == ["softmax-of-a-vector", "seeded-draws", "seeded-draws"]
    assert not FILE.exists()
    polylogit("lessons", "--all")
    assert runs["run"][3:] == ["softmax-of-a-vector", "seeded-draws"]


def test_the_rows_as_json_are_the_same_as_without_an_interruption(polylogit, runs):
    polylogit("lessons", "--all")
    continued = polylogit("lessons", "--all", "--json").stdout
    whole = polylogit("lessons", "--all", "--json").stdout
    assert continued == whole


def test_restart_runs_every_lesson_again(polylogit, runs):
    polylogit("lessons", "--all")
    assert polylogit("lessons", "--all", "--restart").exit_code == 0
    assert runs["run"] == ["softmax-of-a-vector", "seeded-draws"] * 2


def test_results_of_another_version_are_not_used(polylogit, runs):
    polylogit("lessons", "--all")
    kept = json.loads(FILE.read_text())
    kept["versions"]["torch"] = "1.0"
    FILE.write_text(json.dumps(kept))
    assert polylogit("lessons", "--all").exit_code == 0
    assert runs["run"] == ["softmax-of-a-vector", "seeded-draws"] * 2


def test_a_kept_number_is_compared_with_the_catalogue_again(polylogit, runs):
    polylogit("lessons", "--all")
    kept = json.loads(FILE.read_text())
    kept["results"]["softmax-of-a-vector"]["measured"]["their sum"] = 2.0
    FILE.write_text(json.dumps(kept))
    done = polylogit("lessons", "--all")
    assert done.exit_code == 1
    assert "off: softmax-of-a-vector" in done.stdout


def test_a_lesson_that_cannot_be_run_is_tried_again(polylogit, runs, monkeypatch):
    runs["interruptions"] = 0
    working = running.MEASURES["seeded-draws"]

    def absent():
        raise DataError("mnist: the files are not there.")

    monkeypatch.setitem(running.MEASURES, "seeded-draws", absent)
    assert polylogit("lessons", "--all").exit_code == 1
    monkeypatch.setitem(running.MEASURES, "seeded-draws", working)
    assert polylogit("lessons", "--all").exit_code == 0
    assert runs["run"] == ["softmax-of-a-vector", "seeded-draws"]
    assert not FILE.exists()


@pytest.mark.parametrize("text", ["", "[]", '{"versions": {}}', "\x00"])
def test_a_damaged_file_is_one_message(polylogit, runs, text):
    FILE.parent.mkdir()
    FILE.write_text(text)
    done = polylogit("lessons", "--all")
    assert done.exit_code == 1
    assert "lessons-unfinished.json: expected the results" in done.stderr
    assert "--all --restart" in done.stderr
    assert runs["run"] == []


def test_restart_needs_all(polylogit):
    done = polylogit("lessons", "--restart")
    assert done.exit_code == 2
    assert "--restart starts --all again" in done.stderr
