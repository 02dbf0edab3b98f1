"""Figures of the judgement, as matplotlib axes: what is confused, what can be believed, what answering less gives.

Each function draws into the axes it is given, or into new ones, and returns them. Owns no figure's mathematics: that
stands in `polylogit.evaluation`. Learning curves stand in `curves.py`, pictures in `pictures.py`.
"""

import numpy as np
from jaxtyping import Float, Int
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from polylogit.evaluation import Evaluation, JudgedRows, coverage_curve, reliability_bins
from polylogit.evaluation.coverage import answered_above
from polylogit.report.style import ACCENT, INK, MUTED, PAPER, WARM, figure_style

__all__ = ["plot_confusion", "plot_coverage", "plot_probabilities", "plot_reliability"]

MOST_CELLS_WITH_COUNTS = 20
MOST_NAMES = 40
LEAST_ROWS_TO_JOIN = 10
"""A reliability bin of fewer rows is drawn, but no line leads to it: its share is mostly chance."""


def plot_confusion(evaluation: Evaluation, *, ax: Axes | None = None) -> Axes:
    """Confusion matrix: rows are the true classes, columns the predicted ones.

    Right answers are blue, mistakes orange; the deeper, the larger their share of the row's class. Up to 20 classes
    the cells carry their counts, up to 40 the axes carry the class names.

    Args:
        evaluation: From `evaluate_logits`.
        ax: Where to draw; new axes where None.

    Returns:
        The axes drawn into.

    Example:
        >>> import torch
        >>> from polylogit.evaluation import evaluate_logits
        >>> evaluation = evaluate_logits(torch.eye(2), torch.tensor([0, 1]), ["cat", "dog"])
        >>> plot_confusion(evaluation).get_xlabel()
        'predicted class'
    """
    counts = np.asarray(evaluation.confusion, dtype=np.float64)
    classes = len(counts)
    support = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, support, out=np.zeros_like(counts), where=support > 0)
    picture = np.zeros((classes, classes, 4))
    picture[..., :3] = to_rgb(WARM)
    picture[np.arange(classes), np.arange(classes), :3] = to_rgb(ACCENT)
    picture[..., 3] = np.sqrt(shares)  # a mistake in 1 % of the rows is still seen
    with figure_style():
        ax = ax or _new_axes(4.6, 4.6)
        ax.imshow(picture, interpolation="none")
        ax.grid(visible=False)
        ax.set(xlabel="predicted class", ylabel="true class")
        ax.spines[:].set_visible(False)
        if classes <= MOST_NAMES:
            size = 8.5 if classes <= 20 else 5.5
            ax.set_xticks(range(classes), evaluation.class_names, rotation=90, fontsize=size)
            ax.set_yticks(range(classes), evaluation.class_names, fontsize=size)
        if classes <= MOST_CELLS_WITH_COUNTS:
            for true, predicted in np.argwhere(counts > 0):
                deep = picture[true, predicted, 3] > 0.6
                count = f"{counts[true, predicted]:,.4g}"
                ax.text(predicted, true, count, ha="center", va="center", fontsize=8, color=PAPER if deep else INK)
    return ax


def plot_reliability(
    logits: Float[Tensor, "N K"],
    targets: Int[Tensor, " N"],
    *,
    before: Float[Tensor, "N K"] | None = None,
    sample_weight: Float[Tensor, " N"] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Reliability diagram: the probability claimed against how often the claim came true, in 15 bins of equal width.

    A point on the diagonal is a claim to be believed; below it the classifier was too sure. The larger the point, the
    more rows are in its bin.

    Args:
        logits: Scores as they are used, divided by the temperature.
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
    series = [("after calibration" if before is not None else "test rows", logits, ACCENT, ACCENT)]
    if before is not None:
        series.insert(0, ("before", before, "none", WARM))
    with figure_style():
        ax = ax or _new_axes(4.2, 4.2)
        ax.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        for label, scores, face, edge in series:
            rows = JudgedRows.check(scores, targets, sample_weight)
            bins = reliability_bins(rows)
            filled = [
                (confidence, frequency, weight)
                for confidence, frequency, weight in zip(bins.confidence, bins.frequency, bins.weight, strict=True)
                if confidence is not None and frequency is not None
            ]
            confidence, frequency, weight = np.array(filled).T
            told = weight * rows.effective_rows >= LEAST_ROWS_TO_JOIN
            ax.plot(confidence[told], frequency[told], color=edge, linewidth=1, alpha=0.6, zorder=2)
            ax.scatter(
                confidence, frequency, s=14 + 260 * weight, facecolors=face, edgecolors=edge, linewidths=1.4, zorder=3
            )
            ax.scatter([], [], s=40, facecolors=face, edgecolors=edge, linewidths=1.4, label=label)
        ax.set(xlim=(-0.02, 1.03), ylim=(-0.02, 1.03), xlabel="claimed probability", ylabel="share that came true")
        ax.set_aspect("equal")
        _percent(ax, "xy")
        ax.legend(loc="upper left")
    return ax


def plot_coverage(
    logits: Float[Tensor, "N K"],
    targets: Int[Tensor, " N"],
    *,
    sample_weight: Float[Tensor, " N"] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Coverage curve: how accurate the answers are when only the surest share of the rows is answered.

    Args:
        logits: Scores, divided by the temperature.
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
    rows = JudgedRows.check(logits, targets, sample_weight)
    curve = coverage_curve(rows)
    places = np.unique(np.linspace(0, len(curve.coverage) - 1, 400).round().astype(int))
    coverage, accuracy = np.array(curve.coverage)[places], np.array(curve.accuracy)[places]
    with figure_style():
        ax = ax or _new_axes(4.6, 3.2)
        ax.plot(coverage, accuracy, color=ACCENT)
        floor = min(accuracy[coverage > 0.05].min(initial=accuracy[-1]), accuracy[-1])
        bottom = max(0.0, floor - 0.15 * (1 - floor) - 0.005)
        ax.set(xlim=(0, 1.02), ylim=(bottom, 1 + 0.06 * (1 - bottom)))
        for answered in answered_above(rows, (0.5, 0.9, 0.99)):
            if answered.accuracy is None or answered.coverage < 0.02 or answered.accuracy < bottom:
                continue
            ax.plot(answered.coverage, answered.accuracy, "o", color=ACCENT, markersize=5)
            ax.annotate(
                f"≥ {answered.threshold:.0%}", (answered.coverage, answered.accuracy), (-4, -12),
                textcoords="offset points", ha="right", fontsize=8, color=MUTED,
            )  # fmt: skip
        ax.set(xlabel="share of rows answered, the surest first", ylabel="right among the answered")
        _percent(ax, "xy", decimals=0 if 1 - bottom > 0.08 else 1)
    return ax


def plot_probabilities(
    logits: Float[Tensor, "N K"],
    targets: Int[Tensor, " N"],
    *,
    sample_weight: Float[Tensor, " N"] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Histogram of the top probability: right answers above the line, mistakes below, each as a share of all rows.

    Args:
        logits: Scores, divided by the temperature.
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
    rows = JudgedRows.check(logits, targets, sample_weight)
    top = rows.probabilities.max(dim=1).values.numpy()
    share = (rows.weights / rows.weights.sum()).numpy()
    edges = np.linspace(0, 1, 21)
    with figure_style():
        ax = ax or _new_axes(4.6, 3.2)
        for label, chosen, sign, colour in (("right", rows.hits > 0, 1, ACCENT), ("wrong", rows.hits == 0, -1, WARM)):
            heights, _ = np.histogram(top, edges, weights=share * chosen.numpy())
            ax.bar(edges[:-1], sign * heights, width=0.045, align="edge", color=colour, label=label)
        ax.axhline(0, color=MUTED, linewidth=0.8)
        ax.set(xlim=(0, 1), xlabel="probability of the answer", ylabel="share of rows")
        _percent(ax, "x")
        ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):.0%}")
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0)
    return ax


def _new_axes(width: float, height: float) -> Axes:
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def _percent(ax: Axes, axes: str, decimals: int = 0) -> None:
    for axis in axes:
        getattr(ax, f"{axis}axis").set_major_formatter(PercentFormatter(1, decimals=decimals, symbol="%"))
