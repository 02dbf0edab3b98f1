"""The commands and code blocks of the README and of the tutorials do what the pages show.

Blocks run in the order of the page, in one empty folder. Shown output is compared with every run of digits taken for
any number, since times and last digits differ between machines. `make` and `git` lines are CI's own business.
"""

import doctest
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

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)


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


@pytest.mark.penalty_chosen
@pytest.mark.usual_kind
@pytest.mark.parametrize(
    "page",
    [
        pytest.param("README.md", marks=pytest.mark.cross_validated),  # it shows the estimates
        "README.ko.md",
        "docs/tutorials/table.md",
        pytest.param("docs/tutorials/text.md", marks=pytest.mark.slow),
        pytest.param("docs/tutorials/pictures.md", marks=[pytest.mark.cross_validated, pytest.mark.slow]),
        "docs/tutorials/scikit_learn.md",
        "docs/tutorials/training_loop.md",
        pytest.param("docs/tutorials/service.md", marks=pytest.mark.slow),
    ],
)
def test_the_page_does_what_it_shows(page, polylogit, service, tmp_path):
    text = (ROOT / page).read_text(encoding="utf-8")
    if "$ curl" in text and shutil.which("curl") is None:
        pytest.skip("no curl on this machine")
    address = ""
    scope: dict[str, object] = {}
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    told: list[str] = []
    ran = 0
    for kind, block in BLOCK.findall(text):
        if kind == "python":
            test = doctest.DocTestParser().get_doctest(block, scope, page, page, 0)
            runner.run(test, out=told.append, clear_globs=False)
            scope.update(test.globs)
            assert not told, "".join(told)
            ran += len(test.examples)
            continue
        for command, output in commands(block):
            words = shlex.split(command)
            if words[:2] == ["polylogit", "serve"]:
                address, shown = service(words[1:])
            elif words[0] == "polylogit":
                done = polylogit(*words[1:])
                assert done.exit_code == 0, done.stderr
                shown = done.stdout + done.stderr
            elif words[0] == "curl":
                words = [word.replace("http://127.0.0.1:8000", address) for word in words]
                shown = subprocess.run(words, check=True, capture_output=True, text=True, cwd=tmp_path).stdout
            else:
                continue
            for line in output.splitlines():
                assert shape(line) in shape(shown), f"{command}: {line}"
            ran += 1
    assert ran > 4
