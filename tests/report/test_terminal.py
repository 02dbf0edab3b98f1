"""The tables of an evaluation on a terminal."""

import torch
from rich.console import Console

from polylogit.evaluation import evaluate_logits
from polylogit.report.terminal import MOST_CONFUSION_CLASSES, evaluation_tables, summary_table


def told(renderable):
    console = Console(width=80, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as capture:
        console.print(renderable)
    return [line.rstrip() for line in capture.get().splitlines()]


def judged(names, wrong=0):
    """One row a class, told right but for the first ones, which are taken for the next class."""
    targets = torch.arange(len(names))
    taken = torch.where(targets < wrong, (targets + 1) % len(names), targets)
    logits = 5.0 * torch.nn.functional.one_hot(taken, len(names))
    return evaluate_logits(logits, targets, names)


def test_the_figure_that_matters_first_comes_first():
    lines = told(evaluation_tables(judged(["a", "b", "c", "d"], wrong=1)))
    assert lines[0].split()[:7] == ["accuracy", "75%", "95%", "interval", "30.1%", "to", "95.4%;"]
    assert "majority class “a” 25%" in " ".join(lines)


def test_few_classes_of_short_names_leave_the_title_in_one_line():
    lines = told(evaluation_tables(judged(["a", "b"], wrong=1)))
    start = lines.index("true class (rows) and predicted class (columns)")
    assert [line.split() for line in lines[start + 1 : start + 4]] == [["a", "b"], ["a", "·", "1"], ["b", "·", "1"]]


def test_of_many_classes_only_the_mistakes_are_reported():
    names = [f"k{number}" for number in range(MOST_CONFUSION_CLASSES + 1)]
    lines = told(evaluation_tables(judged(names, wrong=2)))
    start = lines.index("most frequent errors")
    assert [line.split() for line in lines[start + 2 :]] == [["k0", "k1", "1"], ["k1", "k2", "1"]]


def test_a_class_without_rows_has_dashes_not_zeros():
    evaluation = evaluate_logits(
        torch.tensor([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]), torch.tensor([0, 1]), ["a", "b", "c"]
    )
    assert ["c", "–", "–", "–", "0"] in [line.split() for line in told(evaluation_tables(evaluation))]


def test_names_are_shown_as_they_are():
    lines = told(evaluation_tables(judged(["[red]", "[/]"])))
    assert any(line.startswith("[red]") for line in lines)


def test_figures_of_the_rows_trained_on_stand_under_that_name():
    lines = told(summary_table(judged(["a", "b"], wrong=1)))
    assert lines[0].split() == ["accuracy", "50%"]
