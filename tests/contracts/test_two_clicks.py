"""Each user of polylogit finds the page of their task within two clicks on links of the home page's text."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def linked(page):
    """The pages of the documentation that the text of a page links to."""
    targets = re.findall(r"\]\(([^)#:]+\.md)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    return {(page.parent / target).resolve() for target in targets}


@pytest.mark.parametrize(
    ("user", "pages"),
    [
        ("analyst", "tutorials/table tutorials/text tutorials/pictures evaluation label_errors comparing"),
        (
            "engineer",
            "tutorials/service tutorials/more_data serving export tables scale model_file prediction_sets "
            "decision_costs",
        ),
        ("PyTorch engineer", "tutorials/training_loop losses misuse solver calibration networks speed"),
        (
            "student",
            "lessons/1-softmax-and-its-cost lessons/2-cross-entropy-by-hand lessons/3-eight-rows "
            "lessons/4-from-eight-rows-to-the-zoo lessons/5-networks-for-pictures lessons/results",
        ),
        ("user of scikit-learn", "tutorials/scikit_learn from_logistic_regression solver"),
    ],
)
def test_each_user_finds_the_page_of_their_task(user, pages):
    first = linked(DOCS / "index.md")
    reached = first | {page for near in first for page in linked(near)}
    missing = [page for page in pages.split() if (DOCS / f"{page}.md").resolve() not in reached]
    assert not missing, f"{user}: more than two clicks from docs/index.md to {missing}"
