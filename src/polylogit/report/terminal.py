"""The judgement as tables for a terminal.

Owns wording and layout; every figure comes from `Evaluation` as it is.
"""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from polylogit.evaluation import Evaluation, Summary

__all__ = ["MOST_CONFUSION_CLASSES", "confusion_table", "evaluation_tables", "per_class_table", "summary_table"]

MOST_CONFUSION_CLASSES = 12
"""With more classes than this the confusion matrix is too wide for a terminal and only its worst cells are told."""


def evaluation_tables(test: Evaluation, train: Summary | None = None) -> RenderableType:
    """The whole judgement: the figure that matters first, then the classes, then what was taken for what."""
    if len(test.class_names) <= MOST_CONFUSION_CLASSES:
        mistakes, title = confusion_table(test), "true class, and what it was taken for"
    else:
        mistakes, title = _worst_confusions(test), "most frequent mistakes"
    # the title stands outside its table, which would break it to its own width
    return Group(_summary(test, train), Text(), per_class_table(test), Text(), Text(title, style="dim"), mistakes)


def summary_table(seen: Summary) -> Table:
    """The figures of the rows trained on, where there are no others."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column("")
    table.add_column("trained on", justify="right")
    for label, figure in (
        ("accuracy", f"{seen.accuracy:.1%}"),
        ("log loss", f"{seen.log_loss:.4f}"),
        ("Brier score", f"{seen.brier_score:.4f}"),
        ("calibration error", f"{seen.calibration_error:.4f}"),
        ("rows", str(seen.rows)),
    ):
        table.add_row(label, figure)
    return table


def _summary(test: Evaluation, train: Summary | None) -> Table:
    low, high = test.accuracy_interval
    table = Table(box=None, pad_edge=False, show_header=train is not None)
    table.add_column("")
    table.add_column("held out" if train is not None else "", justify="right", style="bold")
    if train is not None:
        table.add_column("trained on", justify="right")
    table.add_column("")
    rows = [
        ("accuracy", "accuracy", ".1%", f"95% interval {low:.1%} to {high:.1%}"),
        ("log loss", "log_loss", ".4f", f"nats; class frequencies alone: {test.baselines.frequency_log_loss:.4f}"),
        ("Brier score", "brier_score", ".4f", "squared distance from the truth, 0 to 2"),
        ("calibration error", "calibration_error", ".4f", "of the top probability"),
    ]
    for label, figure, form, words in rows:
        seen = [] if train is None else [format(getattr(train, figure), form)]
        table.add_row(label, format(getattr(test, figure), form), *seen, Text(words, style="dim"))
    counts = [str(test.rows), *([] if train is None else [str(train.rows)])]
    table.add_row("rows", *counts, "")
    return table


def per_class_table(evaluation: Evaluation) -> Table:
    """Precision, recall, F1 and rows of each class; a dash where these rows do not define the figure."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("class")
    for name in ("precision", "recall", "f1", "rows"):
        table.add_column(name, justify="right")
    for name, figures in zip(evaluation.class_names, evaluation.per_class, strict=True):
        shown = ["–" if x is None else f"{x:.3f}" for x in (figures.precision, figures.recall, figures.f1)]
        table.add_row(Text(name), *shown, f"{figures.support:g}")
    return table


def confusion_table(evaluation: Evaluation) -> Table:
    """Rows by true class, columns by predicted class; zeros are left blank, the diagonal is bold."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for name in evaluation.class_names:
        table.add_column(Text(name), justify="right")
    for index, (name, counts) in enumerate(zip(evaluation.class_names, evaluation.confusion, strict=True)):
        cells = [
            Text(f"{count:g}" if count else "·", style="bold" if index == other else "" if count else "dim")
            for other, count in enumerate(counts)
        ]
        table.add_row(Text(name), *cells)
    return table


def _worst_confusions(evaluation: Evaluation, most: int = 10) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("true class", "taken for"):
        table.add_column(name)
    table.add_column("rows", justify="right")
    names = evaluation.class_names
    mistakes = [
        (float(count), names[true], names[taken])
        for true, counts in enumerate(evaluation.confusion)
        for taken, count in enumerate(counts)
        if count and true != taken
    ]
    for count, true_name, taken_name in sorted(mistakes, key=lambda mistake: -mistake[0])[:most]:
        table.add_row(Text(true_name), Text(taken_name), f"{count:g}")
    return table
