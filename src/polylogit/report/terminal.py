"""An evaluation as tables for a terminal."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from polylogit.evaluation import Evaluation, Summary
from polylogit.plural import in_full
from polylogit.report.conclusions import Conclusion
from polylogit.report.numbers import percent
from polylogit.report.terminal_text import short_name

__all__ = [
    "MOST_CONFUSION_CLASSES",
    "conclusion_lines",
    "confusion_table",
    "contest_table",
    "evaluation_tables",
    "per_class_table",
    "summary_table",
]

MOST_CONFUSION_CLASSES = 12
"""With more classes the confusion matrix is too wide for a terminal, and only its largest errors are shown."""

MOST_CLASSES = 40
"""With more classes only those with the lowest F1 are shown."""


def evaluation_tables(test: Evaluation, train: Summary | None = None) -> RenderableType:
    """The whole evaluation: the main metrics, the metrics of each class, and the errors.

    Args:
        test: The metrics on the test rows.
        train: The main metrics on the training rows, where they are known.

    Returns:
        Tables for a console.
    """
    if len(test.class_names) <= MOST_CONFUSION_CLASSES:
        mistakes, title = confusion_table(test), "true class (rows) and predicted class (columns)"
    else:
        mistakes, title = _worst_confusions(test), "most frequent errors"
    # the title is outside its table, which would wrap it to its own width
    return Group(_main_metrics(test, train), Text(), per_class_table(test), Text(), Text(title, style="dim"), mistakes)


def conclusion_lines(found: Iterable[Conclusion]) -> RenderableType:
    """A line for each conclusion: level, code and sentence."""
    styles = {"warning": "yellow", "note": "dim"}
    return Group(
        *(Text.assemble((f"{each.level} {each.code}", styles[each.level]), f" {each.message}") for each in found)
    )


def summary_table(seen: Summary) -> Table:
    """The main metrics of the training rows, where there are no others."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column("")
    table.add_column("training", justify="right")
    for label, figure in (
        ("accuracy", percent(seen.accuracy)),
        ("log loss", f"{seen.log_loss:.4f}"),
        ("Brier score", f"{seen.brier_score:.4f}"),
        ("calibration error", f"{seen.calibration_error:.4f}"),
        ("rows", f"{seen.rows:,}"),
    ):
        table.add_row(label, figure)
    return table


def contest_table(candidates: Iterable[Mapping[str, Any]]) -> Table:
    """The comparison of kinds of model, a row for each.

    Args:
        candidates: Kind, log loss, accuracy, distance to the best with its standard error, and seconds.
    """
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("kind of model")
    for name in ("log loss", "above the lowest", "standard error", "accuracy", "seconds"):
        table.add_column(name, justify="right")
    for each in candidates:
        table.add_row(
            each["kind"],
            f"{each['log_loss']:.4f}",
            f"{each['behind']:.4f}",
            f"{each['standard_error']:.4f}",
            percent(each["accuracy"]),
            f"{each['seconds']:.1f}",
        )
    return table


def _main_metrics(test: Evaluation, train: Summary | None) -> Table:
    low, high = test.accuracy_interval
    table = Table(box=None, pad_edge=False, show_header=train is not None)
    table.add_column("")
    table.add_column("test" if train is not None else "", justify="right", style="bold")
    if train is not None:
        table.add_column("training", justify="right")
    table.add_column("")
    baselines = test.baselines
    majority = f"majority class “{short_name(baselines.majority_class, 24)}” {percent(baselines.majority_accuracy)}"
    table.add_row(
        "accuracy",
        percent(test.accuracy),
        *([] if train is None else [percent(train.accuracy)]),
        Text(f"95% interval {percent(low)} to {percent(high)}; {majority}", style="dim"),
    )
    rows = [
        ("log loss", "log_loss", f"nats; class frequencies {baselines.frequency_log_loss:.4f}"),
        (
            "Brier score",
            "brier_score",
            f"0 is best, 2 is worst; class frequencies {baselines.frequency_brier_score:.4f}",
        ),
        ("calibration error", "calibration_error", "of the probability of the predicted class"),
    ]
    for label, figure, words in rows:
        seen = [] if train is None else [f"{getattr(train, figure):.4f}"]
        table.add_row(label, f"{getattr(test, figure):.4f}", *seen, Text(words, style="dim"))
    counts = [f"{test.rows:,}", *([] if train is None else [f"{train.rows:,}"])]
    table.add_row("rows", *counts, "")
    return table


def per_class_table(evaluation: Evaluation) -> Table:
    """Precision, recall, F1 and rows of each class; a dash where these rows do not define the figure."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("class")
    for name in ("precision", "recall", "f1", "rows"):
        table.add_column(name, justify="right")
    classes = list(zip(evaluation.class_names, evaluation.per_class, strict=True))
    if len(classes) > MOST_CLASSES:
        classes = sorted(classes, key=lambda each: (each[1].f1 is None, each[1].f1))[:MOST_CLASSES]
        table.title = f"the {MOST_CLASSES} of {len(evaluation.class_names):,} classes with the lowest F1"
    for name, figures in classes:
        shown = ["–" if x is None else f"{x:.3f}" for x in (figures.precision, figures.recall, figures.f1)]
        table.add_row(Text(short_name(name)), *shown, in_full(figures.support))
    return table


def confusion_table(evaluation: Evaluation) -> Table:
    """Rows by true class, columns by predicted class; zeros are left blank, the diagonal is bold."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for name in evaluation.class_names:
        table.add_column(Text(short_name(name, 16)), justify="right")
    for index, (name, counts) in enumerate(zip(evaluation.class_names, evaluation.confusion, strict=True)):
        cells = [
            Text(f"{count:g}" if count else "·", style="bold" if index == other else "" if count else "dim")
            for other, count in enumerate(counts)
        ]
        table.add_row(Text(short_name(name)), *cells)
    return table


def _worst_confusions(evaluation: Evaluation, most: int = 10) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("true class", "predicted class"):
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
        table.add_row(Text(short_name(true_name)), Text(short_name(taken_name)), f"{count:g}")
    return table
