"""Charts of the effects of columns: a curve above a histogram for numbers and dates, bars for categories."""

from collections.abc import Sequence

from polylogit.report.chart import Axis, Bars, Chart, Line, Mark, around
from polylogit.report.effects import ColumnEffect
from polylogit.report.palette import Colour

__all__ = ["MOST_CURVES", "MOST_LEVELS", "classes_drawn", "effect_caption", "effect_chart", "effect_title"]

MOST_CURVES = 4
"""Classes in one chart: those that the column distinguishes most."""

MOST_LEVELS = 12
"""Levels of a category that have bars, the most frequent ones."""

_COLOURS: tuple[Colour, ...] = ("accent", "warm", "ink", "muted")
_HISTOGRAM_SHARE = 0.22
_BAR_PIXELS = 11


def classes_drawn(effect: ColumnEffect) -> list[str]:
    """The classes that have a curve in the chart, in their order: those with the largest range of effects.

    Example:
        >>> effect = ColumnEffect("x", "number", {"a": [0.0, 1.0], "b": [0.0, 0.1]}, 0.5, places=[0.0, 1.0])
        >>> classes_drawn(effect)
        ['a', 'b']
    """
    ranges = {name: max(curve) - min(curve) for name, curve in effect.curves.items()}
    chosen = sorted(ranges, key=lambda name: -ranges[name])[:MOST_CURVES]
    return [name for name in effect.curves if name in chosen]


def effect_chart(effect: ColumnEffect) -> Chart:
    """The effect of a column on the logits.

    Args:
        effect: The effect.

    Returns:
        For a number or a date a curve for each class above the histogram of the rows, else bars for each level.

    Example:
        >>> chart = effect_chart(ColumnEffect("skin", "category", {"fish": [0.5, -0.5]}, 0.5, names=["wet", "dry"]))
        >>> chart.y.names
        ('dry', 'wet')
    """
    return _bars(effect) if effect.kind in {"category", "text"} else _curve(effect)


def effect_title(effect: ColumnEffect) -> str:
    """What a screen reader says of the chart."""
    return f"Effect of {effect.column} on the logits, over the distribution of the {effect.rows}"


def effect_caption(effect: ColumnEffect) -> str:
    """The size of the effect, the effect of missing values, and what the chart leaves out."""
    parts = [f"{effect.column}: mean absolute effect {effect.size:.3f} nats."]
    if effect.missing:
        drawn = classes_drawn(effect)
        parts.append(f"Missing: {', '.join(f'{_label(effect, name)} {effect.missing[name]:+.2f}' for name in drawn)}.")
    if len(effect.curves) > MOST_CURVES:
        parts.append(f"The {MOST_CURVES} of {len(effect.curves)} classes that it distinguishes most.")
    if len(effect.names) > MOST_LEVELS:
        ordered = "strongest of {} terms" if effect.kind == "text" else "most frequent of {} levels"
        parts.append(f"The {MOST_LEVELS} {ordered.format(len(effect.names))}.")
    if effect.places and effect.histogram_edges:
        low, high = effect.places[0], effect.places[-1]
        if low < effect.histogram_edges[0] or high > effect.histogram_edges[-1]:
            parts.append(f"The values go from {low:,.6g} to {high:,.6g}; the far ends are not drawn.")
    return " ".join(parts)


def _label(effect: ColumnEffect, name: str) -> str:
    return f"{name} against {effect.against}" if effect.against else name


def _curve(effect: ColumnEffect) -> Chart:
    drawn = classes_drawn(effect)
    values = [value for name in drawn for value in effect.curves[name]]
    low, high = around([*values, 0.0], 0.08)
    bottom = low - _HISTOGRAM_SHARE * (high - low) / (1 - _HISTOGRAM_SHARE)
    ends = (effect.places[0], effect.places[-1])
    left, right = ends if ends[0] < ends[1] else around([ends[0]])
    if effect.histogram_edges:
        left, right = effect.histogram_edges[0], effect.histogram_edges[-1]
    marks: list[Mark] = []
    if most := max(effect.histogram, default=0):
        width = effect.histogram_edges[1] - effect.histogram_edges[0]
        heights = [0.9 * (low - bottom) * rows / most for rows in effect.histogram]
        starts = [edge + 0.05 * width for edge in effect.histogram_edges[:-1]]
        marks += [Bars(starts, 0.9 * width, heights, "muted", base=bottom)]
    marks += [Line((left, right), (low, low), "muted", width=1), Line((left, right), (0, 0), "muted", width=1)]
    for name, colour in zip(drawn, _COLOURS, strict=False):
        marks.append(Line(effect.places, effect.curves[name], colour, _label(effect, name)))
    return Chart(
        x=Axis(effect.column, left, right, "year" if effect.kind == "date" and right - left > 2 else "plain"),
        y=Axis("effect on the logit, nats", bottom, high, ticks_from=low),
        marks=tuple(marks),
        height=300,
    )


def _bars(effect: ColumnEffect) -> Chart:
    drawn, names = classes_drawn(effect), list(effect.names[:MOST_LEVELS])[::-1]
    curves = {name: list(effect.curves[name][:MOST_LEVELS])[::-1] for name in drawn}
    low, high = around([0.0, *(value for curve in curves.values() for value in curve)], 0.06)
    thick = 0.8 / len(drawn)
    marks: list[Mark] = [
        Bars(
            _starts(len(names), 0.4 - (place + 1) * thick),
            0.92 * thick,
            curves[name],
            colour,
            _label(effect, name),
            lying=True,
        )
        for place, (name, colour) in enumerate(zip(drawn, _COLOURS, strict=False))
    ]
    marks.append(Line((0, 0), (-0.6, len(names) - 0.4), "muted", width=1))
    return Chart(
        x=Axis("effect on the logit, nats", low, high),
        y=Axis("", -0.6, len(names) - 0.4, names=tuple(names)),
        marks=tuple(marks),
        height=84 + max(24, 8 + _BAR_PIXELS * len(drawn)) * len(names),
    )


def _starts(count: int, offset: float) -> Sequence[float]:
    return [place + offset for place in range(count)]
