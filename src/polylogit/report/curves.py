"""Learning curves and importances, as matplotlib axes.

Owns which numbers of a history are drawn together: losses with losses, accuracies with accuracies.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from polylogit.evaluation import ColumnImportance
from polylogit.report.style import ACCENT, INK, MUTED, WARM, figure_style

__all__ = ["drawable_curves", "plot_importance", "plot_learning_curves"]

_COLOURS = (ACCENT, WARM, MUTED, INK)


def drawable_curves(history: Sequence[Mapping[str, int | float | None]]) -> dict[str, list[str]]:
    """The keys of a history's records, by what they measure: "log loss", "accuracy", "objective", "optimality gap".

    Example:
        >>> drawable_curves([{"epoch": 1, "train_loss": 0.5, "validation_loss": 0.6, "seconds": 2.0}])
        {'log loss': ['train_loss', 'validation_loss']}
    """
    keys = dict.fromkeys(key for record in history for key, value in record.items() if value is not None)
    kinds = {"log loss": "loss", "accuracy": "accuracy", "objective": "objective", "optimality gap": "optimality_gap"}
    found = {kind: [key for key in keys if key.endswith(ending)] for kind, ending in kinds.items()}
    return {kind: chosen for kind, chosen in found.items() if chosen}


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

    Example:
        >>> ax = plot_learning_curves([{"epoch": 1, "train_loss": 0.9}, {"epoch": 2, "train_loss": 0.5}])
        >>> ax.get_ylabel(), len(ax.lines)
        ('train loss', 1)
    """
    curves = drawable_curves(history)
    if measure is None:
        measure = next(iter(curves))
    with figure_style():
        ax = ax or plt.subplots(figsize=(4.6, 3.2), layout="constrained")[1]
        for key, colour in zip(curves[measure], _COLOURS * len(curves[measure]), strict=False):
            points = [
                (record.get("epoch", place), record[key])
                for place, record in enumerate(history)
                if record.get(key) is not None and np.isfinite(record[key] or 0.0)
            ]
            if points:
                epochs, values = zip(*points, strict=True)
                ax.plot(
                    epochs,
                    values,
                    color=colour,
                    marker="o" if len(points) < 20 else "",
                    markersize=3.5,
                    label=_told(key),
                )
        alone = len(curves[measure]) == 1
        ax.set(xlabel="epoch", ylabel=_told(curves[measure][0]) if alone else measure)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        if measure == "optimality gap":
            ax.set_yscale("log")
            ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0e}")
        if not alone:
            ax.legend()
    return ax


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
    ordered = sorted(importances, key=lambda importance: importance.mean)
    with figure_style():
        ax = ax or plt.subplots(figsize=(4.6, 0.6 + 0.24 * len(ordered)), layout="constrained")[1]
        places = range(len(ordered))
        ax.barh(
            places, [importance.mean for importance in ordered], xerr=[importance.spread for importance in ordered],
            height=0.62, color=ACCENT, error_kw={"ecolor": INK, "elinewidth": 1},
        )  # fmt: skip
        ax.set_yticks(places, [importance.column for importance in ordered])
        ax.axvline(0, color=MUTED, linewidth=0.8)
        ax.set_xlabel("rise of the log loss when shuffled, in nats")
        ax.grid(visible=False, axis="y")
        ax.margins(y=0.02)
    return ax


def _told(key: str) -> str:
    return key.replace("_", " ").replace(".", " ")
