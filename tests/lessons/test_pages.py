"""The pages under docs/lessons/: their notebooks and pictures. That the pages' code runs, pytest itself sees to."""

import ast
import contextlib
import doctest
import importlib.util
import io
import json
import re
from pathlib import Path

import pytest

from polylogit.lessons.catalogue import all_lessons

FOLDER = Path(__file__).parents[2] / "docs" / "lessons"
PAGES = sorted(FOLDER.glob("[0-9]-*.md"))


def script(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown_by(source, names):
    """What a notebook would show under a cell."""
    *before, last = ast.parse(source).body
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        if not isinstance(last, ast.Expr):
            before.append(last)
        exec(compile(ast.Module(before, []), "cell", "exec"), names)  # noqa: S102 - it is our own page
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)  # noqa: S307 - likewise
            if value is not None:
                print(repr(value))  # noqa: T201 - into `shown`
    return shown.getvalue()


def stored(cell):
    (output,) = cell["outputs"]
    return "".join(output.get("text") or output["data"]["text/plain"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_notebook_is_made_from_the_page_as_it_stands(page):
    made = script("make_notebooks").notebook_text(page.read_text(encoding="utf-8"))
    assert page.with_suffix(".ipynb").read_text(encoding="utf-8") == made, "run docs/lessons/make_notebooks.py"


@pytest.mark.slow  # the notebook is made from the page, whose code runs in the quick tests
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_notebook_runs_from_top_to_bottom(page, request):
    if page.stem.startswith("5-"):
        request.getfixturevalue("picture_data")
    notebook = json.loads(page.with_suffix(".ipynb").read_text(encoding="utf-8"))
    names = {"__name__": "__main__"}
    same = doctest.OutputChecker().check_output
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        source = "".join(cell["source"])
        if cell["outputs"] and cell["outputs"][0]["output_type"] == "error":
            with pytest.raises(RuntimeError, match=re.escape(cell["outputs"][0]["evalue"])):
                shown_by(source, names)
        elif cell["outputs"]:
            assert same(stored(cell), shown_by(source, names), doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS), source
        else:
            shown_by(source, names)


def test_every_page_names_the_lessons_that_check_it():
    for page in PAGES:
        number, text = int(page.name[0]), page.read_text(encoding="utf-8")
        told = set(re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)+", text.split("Check every number of this page")[-1]))
        ids = {lesson.id for lesson in all_lessons() if number in lesson.pages}
        assert ids <= told, page.name


def test_every_picture_is_there_and_shown():
    shown = {
        name for page in PAGES for name in re.findall(r"!\[.*?\]\(pictures/(.*?)\)", page.read_text(encoding="utf-8"))
    }
    assert shown == {file.name for file in (FOLDER / "pictures").iterdir()}


@pytest.mark.parametrize("drawing", ["draw_softmax", "draw_cross_entropy"])
def test_pictures_are_drawn_from_what_polylogit_computes(drawing, tmp_path):
    path = tmp_path / "picture.svg"
    getattr(script("draw_pictures"), drawing)(path)
    assert path.read_text(encoding="utf-8").count("<path") > 10
