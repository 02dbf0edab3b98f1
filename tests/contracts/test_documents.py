"""The README's commands and code blocks do what the README shows.

Blocks run in the order of the page, in one empty folder. Shown output is compared with every run of digits taken for
any number, since times and last digits differ between machines. `make` and `git` lines are CI's own business.
"""

import doctest
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def shape(text):
    """The text with numbers, dashes for none and white space taken out of account."""
    return re.sub(r"\s+", " ", re.sub(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?", "#", text)).strip()


def commands(block):
    """Each `$ command` of a console block with the output shown below it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


@pytest.mark.penalty_chosen
@pytest.mark.usual_kind
@pytest.mark.parametrize(
    "page",
    [
        pytest.param("README.md", marks=pytest.mark.cross_validated),  # it shows the estimates
        "README.ko.md",
        "docs/tutorials/table.md",
    ],
)
def test_the_page_does_what_it_shows(page, polylogit):
    scope: dict[str, object] = {}
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    told: list[str] = []
    ran = 0
    for kind, block in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
        if kind == "python":
            test = doctest.DocTestParser().get_doctest(block, scope, page, page, 0)
            runner.run(test, out=told.append, clear_globs=False)
            scope.update(test.globs)
            assert not told, "".join(told)
            ran += len(test.examples)
            continue
        for command, output in commands(block):
            words = shlex.split(command)
            if words[0] != "polylogit":
                continue
            done = polylogit(*words[1:])
            assert done.exit_code == 0, done.stderr
            for line in output.splitlines():
                assert shape(line) in shape(done.stdout + done.stderr), f"{command}: {line}"
            ran += 1
    assert ran > 4
