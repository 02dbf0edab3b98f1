"""Makes a notebook of each page of the lessons, in both languages, beside it.

    python docs/lessons/make_notebooks.py

A notebook says what its page says, and shows what its page shows: text becomes text, each example becomes a cell with
the output that the page has. Nothing is run here; the tests run both.
"""

import ast
import doctest
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
FENCE = re.compile(r"^```python\n(.*?)^```\n", flags=re.MULTILINE | re.DOTALL)

Cell = dict[str, Any]


def main() -> None:
    """Write them all."""
    for page in pages():
        page.with_suffix(".ipynb").write_text(notebook_text(page.read_text(encoding="utf-8")), encoding="utf-8")


def pages() -> list[Path]:
    """The pages in both languages, in their order."""
    return sorted(FOLDER.glob("[0-9]-*.md"))


def notebook_text(page: str) -> str:
    """The notebook of a page, as the text of its file.

    Args:
        page: Markdown, with examples as in docstrings.

    Returns:
        JSON in the notebook format, version 4.5.
    """
    parts = FENCE.split(page)
    cells: list[Cell] = []
    for index, part in enumerate(parts):
        cells += _code_cells(part) if index % 2 else _text_cells(part)
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    notebook = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _text_cells(text: str) -> Iterator[Cell]:
    # The pages link each other; so do the notebooks.
    text = re.sub(r"\((\d-[\w-]+(?:\.ko)?)\.md\)", r"(\1.ipynb)", text.strip())
    if text:
        yield {"cell_type": "markdown", "metadata": {}, "source": _lines(text)}


def _code_cells(block: str) -> Iterator[Cell]:
    """A cell ends where something is shown, so that a notebook shows all that the page does."""
    waiting: list[str] = []
    for example in doctest.DocTestParser().get_examples(block):
        waiting.append(example.source)
        if example.want:
            yield _code_cell("".join(waiting), example)
            waiting.clear()
    if waiting:
        yield _code_cell("".join(waiting), None)


def _code_cell(source: str, example: doctest.Example | None) -> Cell:
    fails = example is not None and example.exc_msg is not None
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {"tags": ["raises-exception"]} if fails else {},  # "Run all" goes on behind it
        "outputs": [] if example is None else [_output(example)],
        "source": _lines(source.strip()),
    }


def _output(example: doctest.Example) -> Cell:
    if example.exc_msg is not None:
        name, _, message = example.exc_msg.strip().partition(": ")
        return {"output_type": "error", "ename": name, "evalue": message, "traceback": [example.exc_msg.strip()]}
    shown = _lines(example.want.rstrip())
    last = ast.parse(example.source).body[-1]
    if isinstance(last, ast.Expr) and not ast.unparse(last).startswith("print("):
        return {"output_type": "execute_result", "data": {"text/plain": shown}, "execution_count": None, "metadata": {}}
    return {"output_type": "stream", "name": "stdout", "text": shown}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


if __name__ == "__main__":
    main()
