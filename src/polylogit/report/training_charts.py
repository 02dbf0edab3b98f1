"""What is drawn of the training: learning curves, and the columns that the classifier rests on.

Losses are drawn with losses and accuracies with accuracies.
"""

import math
from collections.abc import Mapping, Sequence

from polylogit.evaluation import ColumnImportance
from polylogit.report.chart import Axis, Bars, Chart, Line, around
from polylogit.report.palette import Colour

__all__ = ["drawable_curves", "importance_chart", "learning_chart"]

_COLOURS: tuple[Colour, ...] = ("accent", "warm", "muted", "ink")
_OF_A_SOLVER = ("objective", "optimality gap")
MOST_DOTS = 20


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


def learning_chart(history: Sequence[Mapping[str, int | float | None]], measure: str) -> Chart:
    """One measure over the epochs, or the solver's iterations; every key of the records that holds it is one line."""
    keys = drawable_curves(history)[measure]
    logarithmic = measure == "optimality gap"
    lines = []
    for n, key in enumerate(keys):
        points = [
            (record.get("epoch") or place, value)
            for place, record in enumerate(history)
            if (value := record.get(key)) is not None and math.isfinite(value) and (value > 0 or not logarithmic)
        ]
        x, y = [epoch for epoch, _ in points], [value for _, value in points]
        label = _label(key) if len(keys) > 1 else ""
        lines.append(Line(x, y, _COLOURS[n % len(_COLOURS)], label, dots=len(x) < MOST_DOTS))
    epochs = around([x for line in lines for x in line.x] or [0, 1], 0.03)
    values = [y for line in lines for y in line.y] or [0.1, 1]
    low, high = (min(values) / 2, 2 * max(values)) if logarithmic else around(values)
    return Chart(
        x=Axis("iteration" if measure in _OF_A_SOLVER else "epoch", *epochs, "whole"),
        y=Axis(_label(keys[0]) if len(keys) == 1 else measure, low, high, "power" if logarithmic else "plain"),
        marks=tuple(lines),
    )


def importance_chart(importances: Sequence[ColumnImportance]) -> Chart:
    """Bars of the columns' importance, the largest on top, with the spread over the shuffles."""
    ordered = sorted(importances, key=lambda importance: importance.mean)
    ends = [importance.mean + sign * importance.spread for importance in ordered for sign in (-1, 1)]
    count = len(ordered)
    return Chart(
        x=Axis("rise of the log loss when shuffled, in nats", *around([0.0, *ends], 0.03)),
        y=Axis("", -0.6, count - 0.4, names=tuple(importance.column for importance in ordered)),
        marks=(
            Bars(
                [place - 0.31 for place in range(count)],
                0.62,
                [importance.mean for importance in ordered],
                "accent",
                lying=True,
                spread=[importance.spread for importance in ordered],
            ),
            Line((0, 0), (-0.6, count - 0.4), "muted", width=1),
        ),
        height=60 + 24 * count,
    )


def _label(key: str) -> str:
    return key.replace("_", " ").replace(".", " ")
