"""The manual page: made from the help as it stands, and read by mandoc without a complaint."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def page():
    spec = importlib.util.spec_from_file_location("make_man_page", DOCS / "make_man_page.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script.page_text()


def test_the_page_is_made_from_the_help_as_it_stands(page):
    assert (DOCS / "polylogit.1").read_text(encoding="utf-8") == page, "run docs/make_man_page.py"


@pytest.mark.parametrize("command", ["train", "predict", "lessons", "recipes validate"])
def test_every_option_of_the_help_is_on_the_page(page, polylogit, command):
    start = page.index(f".SS polylogit {command} ")
    section = page[start : page.index(".S", start + 3)].replace("\\-", "-")
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", polylogit(*command.split(), "--help").stdout)) - {"--help"}
    assert options
    assert options <= set(re.findall(r"--[a-z][a-z-]+", section))


def test_mandoc_has_no_complaint():
    mandoc = shutil.which("mandoc")
    if mandoc is None:
        pytest.skip("there is no mandoc: apt-get install mandoc")
    done = subprocess.run(
        [mandoc, "-T", "lint", "-W", "warning", DOCS / "polylogit.1"], capture_output=True, text=True, check=False
    )
    # No date: the page changes with the help, and a date would be one more thing to change with it.
    assert [line for line in (done.stdout + done.stderr).splitlines() if "missing date" not in line] == []
