"""The comparison of models as plain data, in words and for a terminal.

See also: `comparison_page.py`, the same as an HTML page.
"""

from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from polylogit.evaluation.paired import METRICS, McNemar, Metric, PairedDifference
from polylogit.plural import counted
from polylogit.report.numbers import percent
from polylogit.report.terminal_text import short_name

__all__ = [
    "METRIC_NAMES",
    "ComparedModel",
    "Comparison",
    "Disagreement",
    "Pair",
    "comparison_report",
    "p_value",
    "pair_sentence",
    "shown_metric",
]

FORMAT_VERSION = 1
METRIC_NAMES: dict[Metric, str] = {"log_loss": "log loss", "accuracy": "accuracy", "brier_score": "Brier score"}
MOST_ON_A_TERMINAL = 10


@dataclass(frozen=True)
class ComparedModel:
    """One of the models.

    Args:
        name: A letter, from A.
        path: Its model file, or the report of its run.
        kind: The kind of model.
        metrics: Log loss, accuracy and Brier score on the rows compared, or the means of the folds.
    """

    name: str
    path: str
    kind: str
    metrics: dict[Metric, float]


@dataclass(frozen=True)
class Pair:
    """Two of the models.

    Args:
        first: The name of the first.
        second: The name of the second.
        differences: Second minus first, for each metric.
        p_values: Two-sided p-values by metric: of the corrected resampled t-test; empty for rows.
        mcnemar: The test of equal accuracy; None for folds, and for rows with weights or groups.
    """

    first: str
    second: str
    differences: tuple[PairedDifference, ...]
    p_values: dict[Metric, float]
    mcnemar: McNemar | None

    def as_json(self) -> dict[str, Any]:
        """The same as plain data, with the differences by metric."""
        return {
            "first": self.first,
            "second": self.second,
            "differences": {
                each.metric: {
                    "difference": each.difference,
                    "interval": [each.low, each.high],
                    "p": self.p_values.get(each.metric),
                }
                for each in self.differences
            },
            "mcnemar": None if self.mcnemar is None else asdict(self.mcnemar),
        }


@dataclass(frozen=True)
class Disagreement:
    """A row that the models do not give the same class.

    Args:
        row: Its number in the data, from 1.
        true: Its class.
        predicted: The class that each model gives it.
        true_probabilities: The probability that each model gives its class.
        file: The file of a picture, relative to the data; None for rows and for data sets with a name.
    """

    row: int
    true: str
    predicted: tuple[str, ...]
    true_probabilities: tuple[float, ...]
    file: str | None = None


@dataclass(frozen=True)
class Comparison:
    """A comparison of models on the same rows, or on the folds of the same cross-validation.

    Args:
        data: The data's name.
        method: How the intervals were computed, in a sentence.
        unit: "row" or "picture", or "fold" for scores of a cross-validation.
        units: How many of them were compared.
        models: The models.
        pairs: Each two of them.
        disagreements: Rows with different predictions, the largest differences of the true class's probability first.
        disagreeing: How many such rows there are; None for folds.
        notes: What a reader must know, in sentences.
    """

    data: str
    method: str
    unit: str
    units: int
    models: tuple[ComparedModel, ...]
    pairs: tuple[Pair, ...]
    disagreements: tuple[Disagreement, ...]
    disagreeing: int | None
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The object that `polylogit compare --json` prints."""
        return {
            "format_version": FORMAT_VERSION,
            "generator": "polylogit",
            "data": self.data,
            "method": self.method,
            "unit": self.unit,
            "units": self.units,
            "models": [asdict(model) for model in self.models],
            "pairs": [pair.as_json() for pair in self.pairs],
            "disagreeing": self.disagreeing,
            "disagreements": [asdict(row) for row in self.disagreements],
            "notes": list(self.notes),
        }


def shown_metric(metric: Metric, value: float, *, signed: bool = False) -> str:
    """A metric or a difference of it as people write it; accuracy in percent, or its difference in points.

    Example:
        >>> shown_metric("accuracy", 0.912), shown_metric("accuracy", -0.012, signed=True)
        ('91.2%', '-1.2 points')
        >>> shown_metric("log_loss", 0.1234), shown_metric("log_loss", 0.01, signed=True)
        ('0.1234', '+0.0100')
    """
    if metric == "accuracy":
        return f"{100 * value:+.1f} points" if signed else percent(value)
    return f"{value:+.4f}" if signed else f"{value:.4f}"


def p_value(p: float) -> str:
    """A p-value as people write it.

    Example:
        >>> p_value(0.0432), p_value(1e-9)
        ('0.043', '<0.001')
    """
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def pair_sentence(pair: Pair) -> str:
    """What the log loss and the accuracy say about two models, in a sentence.

    Example:
        >>> loss = PairedDifference("log_loss", 0.3, 0.2, -0.15, -0.05)
        >>> accuracy = PairedDifference("accuracy", 0.9, 0.91, -0.01, 0.03)
        >>> pair_sentence(Pair("A", "B", (loss, accuracy), {}, None))
        'B has the lower log loss; the accuracy does not decide between A and B.'
    """
    parts = []
    for each in pair.differences:
        if each.metric == "brier_score":
            continue
        name = METRIC_NAMES[each.metric]
        if not each.decided:
            parts.append(f"the {name} does not decide between {pair.first} and {pair.second}")
            continue
        better = pair.second if each.second_is_better else pair.first
        parts.append(f"{better} has the {'higher' if each.metric == 'accuracy' else 'lower'} {name}")
    sentence = "; ".join(parts)
    return f"{sentence[:1].upper()}{sentence[1:]}."


def comparison_report(comparison: Comparison) -> RenderableType:
    """The models, their differences and rows on which they disagree, for a terminal."""
    models = Table(box=None, pad_edge=False, header_style="dim")
    models.add_column("")
    models.add_column("model", overflow="fold")
    models.add_column("kind")
    for metric in METRICS:
        models.add_column(METRIC_NAMES[metric], justify="right")
    for model in comparison.models:
        shown = (shown_metric(metric, model.metrics[metric]) for metric in METRICS)
        models.add_row(Text(model.name, style="bold"), Text(model.path), model.kind, *shown)
    parts: list[RenderableType] = [
        Text(f"{comparison.data}: {counted(comparison.units, comparison.unit)} compared"),
        Text(),
        models,
    ]
    for pair in comparison.pairs:
        parts += [Text(), *_pair(pair)]
    parts += [Text(), Text(comparison.method, style="dim")]
    if comparison.disagreements:
        rows = Table(box=None, pad_edge=False, header_style="dim")
        named = any(row.file is not None for row in comparison.disagreements)
        rows.add_column(comparison.unit, justify="left" if named else "right", overflow="fold")
        rows.add_column("true class")
        for model in comparison.models:
            rows.add_column(f"{model.name} predicts")
        for row in comparison.disagreements[:MOST_ON_A_TERMINAL]:
            rows.add_row(
                Text(row.file or f"{row.row:,}"),
                Text(short_name(row.true)),
                *(Text(short_name(name)) for name in row.predicted),
            )
        count = counted(comparison.disagreeing or 0, comparison.unit)
        parts += [Text(), Text(f"The models disagree on {count}; those of the largest difference:"), rows]
    return Group(*parts)


def _pair(pair: Pair) -> list[RenderableType]:
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(4):
        table.add_column()
    for each in pair.differences:
        p = pair.p_values.get(each.metric)
        table.add_row(
            Text(f"  {METRIC_NAMES[each.metric]}"),
            Text(shown_metric(each.metric, each.difference, signed=True), style="bold" if each.decided else ""),
            Text(
                f"95% interval {shown_metric(each.metric, each.low, signed=True)} to "
                f"{shown_metric(each.metric, each.high, signed=True)}",
                style="dim",
            ),
            Text("" if p is None else f"p {p_value(p)}", style="dim"),
        )
    lines: list[RenderableType] = [Text(f"{pair.second} minus {pair.first}: {pair_sentence(pair)}"), table]
    if (test := pair.mcnemar) is not None:
        lines.append(
            Text(
                f"  McNemar: only {pair.first} is right on {test.only_first:,}, only {pair.second} on "
                f"{test.only_second:,}; p {p_value(test.exact_p)} (exact), {p_value(test.mid_p)} (mid-p)",
                style="dim",
            )
        )
    return lines
