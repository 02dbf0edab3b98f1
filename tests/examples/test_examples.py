"""The scripts under examples/ run from an empty folder, and do what examples/README.md says."""

import re
import runpy
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(FOLDER.glob("*.py"))


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def run_script(name):
        runpy.run_path(str(FOLDER / name), run_name="__main__")
        return capsys.readouterr().out

    return run_script


def test_the_readme_lists_every_script():
    listed = re.findall(r"\]\((\w+\.py)\)", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert listed == [script.name for script in SCRIPTS]


def test_penguins(run):
    shown = run("penguins.py")
    assert float(re.search(r"69 test rows: accuracy ([\d.]+)", shown)[1]) > 0.95
    assert "Gentoo, probability" in shown


def test_scikit_learn_pipeline_gives_a_model_that_the_command_line_reads(run, polylogit):
    shown = run("sklearn_pipeline.py")
    assert float(re.search(r"held-out rows: ([\d.]+)", shown)[1]) > 0.95
    done = polylogit("predict", "wine.safetensors", "wine.csv", "--out", "classes.csv")
    assert done.exit_code == 0
    assert "classes.csv: 45 rows" in done.stdout + done.stderr
