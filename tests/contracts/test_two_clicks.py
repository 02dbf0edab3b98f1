"""Each user finds the page of their task within two clicks: a row of the home page, and a link on the page there."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
HOME = (DOCS / "index.md").read_text(encoding="utf-8")


def linked(text, folder=DOCS):
    """The pages of the documentation that a text of a page in a folder links to."""
    return {(folder / target).resolve() for target in re.findall(r"\]\(([^)#:]+\.md)(?:#[^)]*)?\)", text)}


@pytest.mark.parametrize(
    ("task", "pages"),
    [
        ("a table in a file", "tutorials/table evaluation tables prediction_sets decision_costs export serving"),
        ("texts with a class", "tutorials/text text label_errors"),
        ("a folder of photos", "tutorials/pictures pictures networks label_errors"),
        ("two models, or labels", "comparing label_errors"),
        ("a scikit-learn pipeline", "tutorials/scikit_learn from_logistic_regression solver"),
        ("a PyTorch training loop", "tutorials/training_loop losses misuse"),
        ("more data than memory", "tutorials/more_data scale tables pictures"),
        ("a model to put into use", "tutorials/service serving export prediction_sets decision_costs"),
        (
            "a course on softmax",
            "lessons/1-softmax-and-its-cost lessons/2-cross-entropy-by-hand lessons/3-eight-rows "
            "lessons/4-from-eight-rows-to-the-zoo lessons/5-networks-for-pictures lessons/results",
        ),
        ("Probabilities are calibrated", "evaluation calibration"),
        ("A model file is data", "model_file"),
        ("Claims about speed", "benchmarks speed"),
        ("What a report shows", "gallery evaluation additive comparing"),
    ],
)
def test_a_row_of_the_home_page_leads_there(task, pages):
    row = re.search(rf"^[|-] {re.escape(task)}(.*\n)*?(?=[|-] |\n|\Z)", HOME, re.MULTILINE)
    first = linked(row[0])
    reached = first | {page for near in first for page in linked(near.read_text(encoding="utf-8"), near.parent)}
    missing = [page for page in pages.split() if DOCS / f"{page}.md" not in reached]
    assert not missing, f"more than two clicks from docs/index.md to {missing}"
