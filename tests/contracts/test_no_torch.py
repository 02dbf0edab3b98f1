"""What a command must not import: the start of it alone takes longer than the whole answer may."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from polylogit.cli.app import app
try:
    app(sys.argv[1:])
except SystemExit as end:
    code = end.code
heavy = sorted({"torch", "torchvision", "sklearn", "polars", "matplotlib"} & set(sys.modules))
print("exit", code, "imported", heavy)
"""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], 0),
        (["train", "--help"], 0),
        (["--version"], 0),
        (["tarin"], 2),
        (["train"], 2),
        (["train", "zoo", "--model", "liner"], 2),
        (["train", "zoo", "--set", "training.epohcs=3"], 2),
        (["train", "zoo", "--recipe", "none.toml"], 2),
        (["train", "zoo", "--out", "model.pt"], 2),
        (["lessons", "--help"], 0),
        (["lessons", "--list"], 0),
        (["lessons", "softmax-of-a-vektor"], 2),
    ],
)
def test_these_import_no_torch(words, code):
    done = subprocess.run([sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"exit {code} imported []"


def test_the_work_itself_takes_no_other_heavy_library(tmp_path):
    """A report is drawn, and figures are computed, without the libraries that take longer to import than the work."""
    script = """
import sys
from polylogit.cli.app import app
for words in (
    ["check", "zoo"],
    ["train", "zoo", "--out", "model.safetensors"],
    ["evaluate", "model.safetensors", "zoo", "--report", "report.html"],
    ["predict", "model.safetensors", "zoo", "--out", "classes.csv"],
):
    app(words, standalone_mode=False)
print(sorted({"torchvision", "sklearn", "scipy", "pandas", "pyarrow", "matplotlib"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert (tmp_path / "report.html").stat().st_size > 20_000
    assert done.stdout.splitlines()[-1] == "[]"
