"""The commands and code blocks of the documents do what the pages show.

Blocks run in the order of the page, in one folder. Shown output is compared with every run of digits taken for
any number, since times and last digits differ between machines. What installs something (`pip`, `docker`, `make`) is
left to the jobs of CI that are about that.
"""

import doctest
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_wine

from polylogit.data.tables.sources import open_source
from polylogit.recipes import recipe_from_entries
from polylogit.recipes.reading import read_recipe

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INSTALLS = {"pip", "docker", "make"}
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "examples/*.md")
    for path in ROOT.glob(pattern)
)


def shape(text):
    """The text with numbers, dashes for none and white space taken out of account."""
    return re.sub(r"\s+", " ", re.sub(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?", "#", text)).strip()


def commands(block):
    """Each `$ command` of a console block, its continued lines joined, with the output shown below it."""
    for part in re.split(r"^\$ ", block.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


@pytest.fixture
def service(tmp_path):
    """Start `polylogit serve` at a free port: the address, once it answers, and what it has printed."""
    started = []

    def start(words):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log = tmp_path / "service.log"
        with log.open("w") as file:
            command = [sys.executable, "-m", "polylogit", *words, "--port", str(port)]
            started.append(subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=tmp_path))
        address = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                urlopen(f"{address}/readyz").close()
                return address, log.read_text()
            except URLError:
                assert started[-1].poll() is None, log.read_text()
                time.sleep(0.1)
        raise AssertionError(log.read_text())

    yield start
    for process in started:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture
def shell(polylogit, service, tmp_path, monkeypatch):
    """Run one command of a page in the page's folder: what it prints, or None for one that installs something."""
    address = ""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", programs)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))

    def run(command):
        nonlocal address
        words = shlex.split(command, comments=True)
        if words[0] in INSTALLS:
            return None
        if words[:2] == ["polylogit", "serve"]:
            address, shown = service(words[1:])
            return shown
        if words[0] == "polylogit" and "|" not in words:
            done = polylogit(*words[1:])
            assert done.exit_code == 0, f"{command}: {done.stderr}"
            return done.stdout + done.stderr
        line = command.replace("http://127.0.0.1:8000", address)
        return subprocess.run(["bash", "-c", line], check=True, capture_output=True, text=True, cwd=tmp_path).stdout

    return run


def compare(block, shell):
    """Run the commands of a console block, and look for each line that it shows; how many commands were run."""
    ran = 0
    for command, output in commands(block):
        shown = shell(command)
        if shown is None:
            continue
        for line in output.splitlines():
            assert shape(line) in shape(shown), f"{command}: {line}"
        ran += 1
    return ran


TUTORIALS = [
    pytest.param("README.md", marks=pytest.mark.cross_validated),  # it shows the estimates
    "README.ko.md",
    "docs/tutorials/table.md",
    pytest.param("docs/tutorials/text.md", marks=pytest.mark.slow),
    pytest.param("docs/tutorials/pictures.md", marks=[pytest.mark.cross_validated, pytest.mark.slow]),
    "docs/tutorials/scikit_learn.md",
    "docs/tutorials/training_loop.md",
    pytest.param("docs/tutorials/more_data.md", marks=pytest.mark.slow),
    pytest.param("docs/tutorials/service.md", marks=pytest.mark.slow),
]


@pytest.mark.penalty_chosen
@pytest.mark.usual_kind
@pytest.mark.parametrize("page", TUTORIALS)
def test_the_page_does_what_it_shows(page, shell):
    text = (ROOT / page).read_text(encoding="utf-8")
    if "$ curl" in text and shutil.which("curl") is None:
        pytest.skip("no curl on this machine")
    scope: dict[str, object] = {}
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    printed: list[str] = []
    ran = 0
    for kind, block in BLOCK.findall(text):
        if kind == "python":
            test = doctest.DocTestParser().get_doctest(block, scope, page, page, 0)
            runner.run(test, out=printed.append, clear_globs=False)
            scope.update(test.globs)
            assert not printed, "".join(printed)
            ran += len(test.examples)
        elif kind == "console":
            ran += compare(block, shell)
    assert ran > 4


def idx(values):
    """An array of bytes in the format of MNIST's files."""
    sides = b"".join(side.to_bytes(4, "big") for side in values.shape)
    return bytes([0, 0, 8, values.ndim]) + sides + values.astype(np.uint8).tobytes()


def write_fashion_mnist(folder):
    """FashionMNIST with few pictures, each class of them a shade."""
    raw, draw = folder / "FashionMNIST" / "raw", np.random.default_rng(0)
    raw.mkdir(parents=True)
    for prefix, rows in (("train", 200), ("t10k", 50)):
        labels = np.arange(rows) % 10
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(labels))
        pixels = 20 * labels[:, None, None] + draw.integers(0, 40, (rows, 28, 28))
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(idx(pixels))


def write_photos(folder, shapes):
    """Pictures of three classes in folders of folders, ten of them also alone, and a table of all."""
    rows = []
    for path in sorted(shapes.rglob("*.png")):
        place = folder / "photos" / path.parent.name / f"day-{int(path.stem) % 5}" / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
        rows.append((place.relative_to(folder).as_posix(), path.parent.name))
    (folder / "new").mkdir()
    for file, _ in rows[:10]:
        shutil.copy(folder / file, folder / "new")
    pl.DataFrame(rows, schema=["file", "finding"], orient="row").write_csv(folder / "labels.csv")


def write_wine(folder):
    """The table of the first tutorial."""
    table = pl.DataFrame(load_wine().data, schema=load_wine().feature_names)
    table.with_columns(grower=pl.Series(load_wine().target) + 1).write_csv(folder / "wine.csv")


@pytest.fixture
def files(tmp_path, shapes, polylogit, monkeypatch):
    """Make the files that the commands of the guides name, each only where a page names it."""

    def make(text):
        if "animals.csv" in text:
            open_source("zoo").frame.write_csv(tmp_path / "animals.csv")
        if "photos/" in text:
            write_photos(tmp_path, shapes)
        if "fashion-mnist" in text:
            write_fashion_mnist(tmp_path / "data")
            monkeypatch.setenv("POLYLOGIT_DATA", str(tmp_path / "data"))
        if "examples/" in text:
            (tmp_path / "examples").symlink_to(ROOT / "examples")
        if "polylogit compare" in text:
            open_source("zoo").frame.write_csv(tmp_path / "test.csv")
            for kind in ("linear", "mlp"):
                done = polylogit("train", "zoo", "--model", kind, "--out", f"{kind}.safetensors")
                assert done.exit_code == 0, done.stderr
            write_wine(tmp_path)
            for name, C in (("wine-auto", 1), ("wine-auto-2", 10)):
                out = f"runs/{name}/model.safetensors"
                done = polylogit("train", "wine.csv", "--target", "grower", "--set", f"training.C={C}", "--out", out)
                assert done.exit_code == 0, done.stderr

    return make


GUIDES = [
    "docs/additive.md",
    pytest.param("docs/choosing.md", marks=pytest.mark.slow),
    pytest.param("docs/comparing.md", marks=[pytest.mark.cross_validated, pytest.mark.slow]),
    "docs/index.md",
    "docs/index.ko.md",
    "docs/label_errors.md",
    pytest.param("docs/networks.md", marks=pytest.mark.slow),
    pytest.param("docs/pictures.md", marks=pytest.mark.slow),
    pytest.param("docs/scale.md", marks=pytest.mark.slow),
    pytest.param("docs/serving.md", marks=pytest.mark.slow),
]


@pytest.mark.usual_kind
@pytest.mark.parametrize("page", GUIDES)
def test_the_commands_of_the_guide_run(page, shell, files):
    """Their Python is run as doctests, each page on its own."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if "jq " in text and shutil.which("jq") is None:
        pytest.skip("no jq on this machine")
    blocks = [(kind, block) for kind, block in BLOCK.findall(text) if kind in {"console", "bash"}]
    files("\n".join(block for _, block in blocks))
    for kind, block in blocks:
        if kind == "console":
            assert compare(block, shell)
        elif not block.startswith("curl"):  # tests/serve runs these
            shell(block)


def named(pages):
    """The names of pages, some of which carry marks."""
    return {getattr(page, "values", (page,))[0] for page in pages}


def test_every_block_of_code_is_run():
    """By this file; Python also by doctest; `curl` by tests/serve, JavaScript by tests/export; others name programs."""
    elsewhere = {"js": ["docs/export.md"], "json": ["docs/serving.md"], "nginx": ["docs/serving.md"]}
    elsewhere |= {"dockerfile": ["docs/serving.md"], "toml": ["docs/install.md", "docs/networks.md"]}
    assert {page for page in PAGES if page.startswith("docs/tutorials/")} <= named(TUTORIALS)
    for page in PAGES:
        for kind, block in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
            if kind == "console":
                assert page in named(TUTORIALS) | named(GUIDES), f"{page}: list it in GUIDES"
            elif kind == "":
                assert not re.search(r"^(\$ )?(polylogit|torchrun|python) ", block, re.MULTILINE), f"{page}: {block}"
            elif kind not in {"python", "pycon", "bash"}:
                assert page in elsewhere[kind], f"{page}: {kind}"


def test_the_indented_commands_of_the_lessons_name_recipes_that_are_there():
    """The lessons themselves are run by tests/lessons, by these recipes."""
    indented = re.compile(r"^    polylogit train \S+ --recipe (\S+)$", re.MULTILINE)
    texts = [(ROOT / page).read_text(encoding="utf-8") for page in PAGES if page.startswith("docs/lessons/")]
    recipes = {name for text in texts for name in indented.findall(text)}
    assert len(recipes) > 2
    for name in recipes:
        recipe_from_entries(read_recipe(Path(name)))


@pytest.mark.parametrize("page", ["docs/install.md", "docs/networks.md"])
def test_the_recipes_shown_are_recipes(page, tmp_path):
    blocks = [block for kind, block in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")) if kind == "toml"]
    assert blocks
    for block in blocks:
        (tmp_path / "recipe.toml").write_text(block, encoding="utf-8")
        recipe_from_entries(read_recipe(tmp_path / "recipe.toml"))
