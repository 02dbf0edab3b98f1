"""Charts as matplotlib axes: what can be believed, what answering less gives, how the training went.

Each function draws into the axes it is given, or into new ones, and returns them. The charts come from
`evaluation_charts.py` and `training_charts.py`, so that the report shows the same. Confusion matrices and pictures are
in `picture_plots.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from torch import Tensor

from polylogit.errors import DataError, did_you_mean
from polylogit.evaluation import ColumnImportance, ScoredRows
from polylogit.report.chart import Bars, Chart, Line, Note, Points
from polylogit.report.effect_charts import effect_chart
from polylogit.report.effects import ColumnEffect
from polylogit.report.evaluation_charts import coverage_chart, probabilities_chart, reliability_chart
from polylogit.report.palette import COLOURS
from polylogit.report.style import figure_style
from polylogit.report.training_charts import drawable_curves, importance_chart, learning_chart

__all__ = [
    "plot_coverage",
    "plot_effect",
    "plot_importance",
    "plot_learning_curves",
    "plot_probabilities",
    "plot_reliability",
]

Scores = Float[Tensor, "N K"] | Float[np.ndarray[Any, Any], "N K"]
Classes = Int[Tensor, " N"] | Int[np.ndarray[Any, Any], " N"]
Weights = Float[Tensor, " N"] | Float[np.ndarray[Any, Any], " N"]

PIXELS_AN_INCH = 96
POINTS_A_PIXEL = 0.75


def plot_reliability(
    logits: Scores,
    targets: Classes,
    *,
    before: Scores | None = None,
    sample_weight: Weights | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Reliability diagram: the probability claimed against how often the claim came true, in 15 bins of equal width.

    A point on the diagonal is a claim to be believed; below it the classifier was too sure. The larger the point, the
    more rows are in its bin.

    Args:
        logits: Scores as they are used, calibrated.
        targets: The true class of each row.
        before: The logits before calibration, drawn hollow beside them.
        sample_weight: Weight of each row.
        ax: Where to draw; new axes where None.

    Returns:
        The axes drawn into.

    Example:
        >>> import torch
        >>> ax = plot_reliability(torch.eye(2), torch.tensor([0, 1]))
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('claimed probability', 'share that came true')

    Source: Guo, Pleiss, Sun and Weinberger (2017), figure 1.
    """
    rows = _rows(logits, targets, sample_weight)
    uncalibrated = None if before is None else _rows(before, targets, sample_weight)
    return _draw(reliability_chart(rows, uncalibrated), ax)


def plot_coverage(
    logits: Scores,
    targets: Classes,
    *,
    sample_weight: Weights | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Coverage curve: how accurate the answers are when only the surest share of the rows is answered.

    Args:
        logits: Scores, calibrated.
        targets: The true class of each row.
        sample_weight: Weight of each row.
        ax: Where to draw; new axes where None.

    Returns:
        The axes drawn into.

    Example:
        >>> import torch
        >>> plot_coverage(torch.eye(2), torch.tensor([0, 1])).get_xlabel()
        'share of rows answered, the surest first'
    """
    return _draw(coverage_chart(_rows(logits, targets, sample_weight)), ax)


def plot_probabilities(
    logits: Scores,
    targets: Classes,
    *,
    sample_weight: Weights | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Histogram of the top probability: right answers above the line, mistakes below, each as a share of all rows.

    Args:
        logits: Scores, calibrated.
        targets: The true class of each row.
        sample_weight: Weight of each row.
        ax: Where to draw; new axes where None.

    Returns:
        The axes drawn into.

    Example:
        >>> import torch
        >>> plot_probabilities(torch.eye(2), torch.tensor([0, 1])).get_xlabel()
        'probability of the answer'
    """
    return _draw(probabilities_chart(_rows(logits, targets, sample_weight)), ax)


def plot_learning_curves(
    history: Sequence[Mapping[str, int | float | None]], measure: str | None = None, *, ax: Axes | None = None
) -> Axes:
    """One measure over the epochs; every key of the records that holds it is one line.

    Args:
        history: One record an epoch, as `history.jsonl` has them.
        measure: One of `drawable_curves(history)`; the first of them where None.
        ax: Where to draw; new axes where None.

    Returns:
        The axes drawn into.

    Raises:
        DataError: The history has no such measure, or none at all.

    Example:
        >>> ax = plot_learning_curves([{"epoch": 1, "train_loss": 0.9}, {"epoch": 2, "train_loss": 0.5}])
        >>> ax.get_ylabel(), len(ax.lines)
        ('train loss', 1)
    """
    measures = drawable_curves(history)
    if not measures or measure not in (None, *measures):
        wanted = "a loss, an accuracy or an objective" if measure is None else f'"{measure}"'
        raise DataError(
            f"history: none of the {len(history)} records has {wanted}.{did_you_mean(measure or '', measures)}"
        )
    return _draw(learning_chart(history, measure or next(iter(measures))), ax)


def plot_importance(importances: Sequence[ColumnImportance], *, ax: Axes | None = None) -> Axes:
    """Bars of the columns' importance, the largest on top, with the spread over the shuffles.

    Args:
        importances: In any order.
        ax: Where to draw; new axes where None.

    Returns:
        The axes drawn into.

    Example:
        >>> plot_importance([ColumnImportance("legs", 0.2, 0.01)]).get_xlabel()
        'rise of the log loss when shuffled, in nats'
    """
    return _draw(importance_chart(importances), ax)


def plot_effect(effect: ColumnEffect, *, ax: Axes | None = None) -> Axes:
    """The effect of a column of an additive model on the logits: curves above a histogram, or bars for a category.

    Args:
        effect: One of `polylogit.run.column_effects`.
        ax: Where to draw; new axes where None.

    Returns:
        The axes drawn into.

    Example:
        >>> effect = ColumnEffect("legs", "number", {"fish": [0.5, -0.5]}, 0.5, places=[0.0, 4.0])
        >>> plot_effect(effect).get_ylabel()
        'effect on the logit, nats'

    Source: Hastie and Tibshirani (1990), "Generalized Additive Models", section 4.3.
    """
    return _draw(effect_chart(effect), ax)


def _rows(logits: Scores, targets: Classes, sample_weight: Weights | None) -> ScoredRows:
    """Checked rows, from tensors or arrays."""
    weights = None if sample_weight is None else torch.as_tensor(sample_weight)
    return ScoredRows.check(torch.as_tensor(logits), torch.as_tensor(targets), weights)


def _draw(chart: Chart, ax: Axes | None) -> Axes:
    with figure_style():
        if ax is None:
            height = chart.width if chart.square else chart.height
            size = (chart.width / PIXELS_AN_INCH, height / PIXELS_AN_INCH)
            ax = plt.subplots(figsize=size, layout="constrained")[1]
        for mark in chart.marks:
            _draw_mark(ax, mark)
        if chart.y.form == "power":
            ax.set_yscale("log")
        ax.set(xlim=(chart.x.low, chart.x.high), ylim=(chart.y.low, chart.y.high))
        ax.set(xlabel=chart.x.label, ylabel=chart.y.label)
        ax.set_xticks(*zip(*chart.x.ticks(), strict=True))
        if upward := chart.y.ticks():
            ax.set_yticks(*zip(*upward, strict=True))
        ax.yaxis.minorticks_off()
        if chart.y.names:
            ax.grid(visible=False, axis="y")
        if chart.square:
            ax.set_aspect("equal")
        if ax.get_legend_handles_labels()[1]:
            _draw_legend(ax)
    return ax


def _draw_legend(ax: Axes) -> None:
    """A legend above the axes, in as many columns as their width has room for."""
    figure = ax.get_figure(root=True)
    for columns in range(len(ax.get_legend_handles_labels()[1]), 0, -1):
        legend = ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0)
        if figure is None or columns == 1:
            return
        figure.draw_without_rendering()
        if legend.get_window_extent().x1 <= figure.bbox.x1:
            return


def _draw_mark(ax: Axes, mark: Line | Points | Bars | Note) -> None:
    colour = COLOURS["muted" if isinstance(mark, Note) else mark.colour]
    match mark:
        case Line():
            ax.plot(
                mark.x, mark.y, color=colour, linewidth=mark.width * POINTS_A_PIXEL, alpha=mark.opacity,
                linestyle=(0, (4, 3)) if mark.dashed else "-", marker="o" if mark.dots else "", markersize=3.5,
                label=mark.label or None,
            )  # fmt: skip
        case Points():
            inside = colour if mark.filled else "none"
            ax.scatter(mark.x, mark.y, s=mark.areas, facecolors=inside, edgecolors=colour, linewidths=1.4, zorder=3)
            if mark.label:  # the legend shows a point of one size
                ax.scatter([], [], s=40, facecolors=inside, edgecolors=colour, linewidths=1.4, label=mark.label)
        case Bars(lying=True):
            ax.barh(
                mark.start, mark.length, mark.width, align="edge", color=colour, label=mark.label or None,
                xerr=mark.spread or None, error_kw={"ecolor": COLOURS["ink"], "elinewidth": 1},
            )  # fmt: skip
        case Bars():
            ax.bar(
                mark.start, mark.length, mark.width, bottom=mark.base, align="edge", color=colour,
                label=mark.label or None,
            )  # fmt: skip
        case Note():
            ax.annotate(
                mark.text, (mark.x, mark.y), (-4, -12), textcoords="offset points", ha="right", fontsize=8, color=colour
            )
