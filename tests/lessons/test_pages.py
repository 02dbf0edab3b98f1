"""The pages under docs/lessons/: their notebooks and pictures. That the pages' code runs, pytest itself sees to."""

import doctest
import importlib.util
import re
from pathlib import Path

import pytest

from polylogit.lessons.catalogue import all_lessons

FOLDER = Path(__file__).parents[2] / "docs" / "lessons"
KOREAN = sorted(FOLDER.glob("[0-9]-*.ko.md"))
PAGES = [page for page in sorted(FOLDER.glob("[0-9]-*.md")) if page not in KOREAN]
CHECK = re.compile("Check every number of this page|이 페이지의 모든 숫자를 확인하려면")
CODE = re.compile(r"^```python\n.*?^```$|^    polylogit .*?$", re.MULTILINE | re.DOTALL)
QUOTED = re.compile(r"`([^`]+)`")
NUMBER = re.compile(r"(?<![\w.])\d+\.\d{2,}(?!\w)", re.ASCII)


def english(page):
    return page.with_name(page.name.replace(".ko.md", ".md"))


def script(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shown_in(output):
    """The text of an output of a cell."""
    if output.output_type == "error":
        return f"{output.ename}: {output.evalue}"
    return output.text if output.output_type == "stream" else output.data["text/plain"]


@pytest.mark.parametrize("page", PAGES + KOREAN, ids=lambda page: page.stem)
def test_the_notebook_is_made_from_the_page_as_it_stands(page):
    made = script("make_notebooks").notebook_text(page.read_text(encoding="utf-8"))
    assert page.with_suffix(".ipynb").read_text(encoding="utf-8") == made, "run docs/lessons/make_notebooks.py"


def test_every_page_is_there_in_both_languages():
    assert [english(page) for page in KOREAN] == PAGES


@pytest.mark.parametrize("page", KOREAN, ids=lambda page: page.stem)
def test_the_korean_page_has_the_same_code_output_numbers_and_names(page):
    korean, same = page.read_text(encoding="utf-8"), english(page).read_text(encoding="utf-8")
    assert CODE.findall(korean) == CODE.findall(same)
    prose, other = CODE.sub("", korean), CODE.sub("", same)
    assert sorted(NUMBER.findall(prose)) == sorted(NUMBER.findall(other))
    assert set(QUOTED.findall(prose)) == set(QUOTED.findall(other))
    assert re.findall(r"\]\((\S+?)\)", prose.replace(".ko.", ".")) == re.findall(r"\]\((\S+?)\)", other)
    assert prose.count("\n## ") == other.count("\n## ")
    assert prose.count("\n| ") == other.count("\n| ")


def test_the_list_of_the_pages_has_the_same_numbers_and_recipes_in_korean():
    korean, same = ((FOLDER / f"README{ending}").read_text(encoding="utf-8") for ending in (".ko.md", ".md"))
    assert sorted(NUMBER.findall(korean)) == sorted(NUMBER.findall(same))
    assert re.findall(r"\S+ --recipe \S+", korean) == re.findall(r"\S+ --recipe \S+", same)


@pytest.mark.parametrize(
    "page",
    [PAGES[0], *(pytest.param(page, marks=pytest.mark.slow) for page in PAGES[1:])],  # all their code runs as doctests
    ids=lambda page: page.stem,
)
def test_the_notebook_runs_from_top_to_bottom(page, request):
    """In a kernel, as "Run all" does it; the outputs are those of the page."""
    if page.stem.startswith("5-"):
        request.getfixturevalue("picture_data")
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(page.with_suffix(".ipynb"), as_version=4)
    expected = [[shown_in(output) for output in cell.get("outputs", ())] for cell in notebook.cells]
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    same = doctest.OutputChecker().check_output
    for cell, stored in zip(notebook.cells, expected, strict=True):
        measured = "\n".join(shown_in(output).rstrip() for output in cell.get("outputs", ()))
        wanted = "\n".join(output.rstrip() for output in stored)
        flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
        assert same(wanted + "\n", measured + "\n", flags), cell.source


def test_every_page_names_the_lessons_that_check_it():
    for page in PAGES + KOREAN:
        number, text = int(page.name[0]), page.read_text(encoding="utf-8")
        named = set(re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)+", CHECK.split(text)[-1]))
        ids = {lesson.id for lesson in all_lessons() if number in lesson.pages}
        assert ids <= named, page.name


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
