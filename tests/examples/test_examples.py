"""The scripts under examples/ run from an empty folder, and do what examples/README.md says."""

import re
import runpy
import shutil
import subprocess
import sys
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


@pytest.mark.slow
def test_package_descriptions(run):
    if shutil.which("apt-cache") is None:
        pytest.skip("no apt-cache on this machine")
    if len(subprocess.run(["apt-cache", "dumpavail"], capture_output=True, check=True).stdout) < 1_000_000:
        pytest.skip("no index of packages: apt-get update")
    shown = run("package_descriptions.py")
    assert float(re.search(r"480 test rows: accuracy ([\d.]+)", shown)[1]) > 0.7
    assert "python: Python module" in shown
    assert re.search(r"rather than \S+: python \+\d", shown)


@pytest.mark.slow
def test_photos(run):
    pytest.importorskip("timm")
    shown = run("photos.py")
    assert float(re.search(r"18 test pictures: accuracy ([\d.]+)", shown)[1]) > 0.8
    assert "new.png: triangles" in shown


def test_penguins(run):
    shown = run("penguins.py")
    assert float(re.search(r"69 test rows: accuracy ([\d.]+)", shown)[1]) > 0.95
    assert "Gentoo, probability" in shown


def test_several_processes_fit_one_model(tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = FOLDER / "several_processes.py"
    done = subprocess.run([*torchrun, script], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 processes, 100,000 rows: certified gap" in done.stdout
    assert float(re.search(r"5,000 other rows: accuracy ([\d.]+)", done.stdout)[1]) > 0.8


def test_scikit_learn_pipeline_gives_a_model_that_the_command_line_reads(run, polylogit):
    shown = run("sklearn_pipeline.py")
    assert float(re.search(r"held-out rows: ([\d.]+)", shown)[1]) > 0.95
    done = polylogit("predict", "wine.safetensors", "wine.csv", "--out", "classes.csv")
    assert done.exit_code == 0
    assert "classes.csv: 45 rows" in done.stdout + done.stderr
