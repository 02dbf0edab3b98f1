"""Charts as SVG inside a page: margins, grid, labels and legend.

Text uses the page's font and colours its CSS variables; ids begin with the chart's name, so that many charts fit in one
page.
"""

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from polylogit.report.chart import Axis, Bars, Chart, Line, Mark, Note, Number, Points
from polylogit.report.palette import Colour

__all__ = ["chart_svg", "picture_svg"]

TEXT = 12.0
"""Size of the letters, in pixels of a chart that is shown at its own size."""
MOST_LETTERS = 34
LEGEND_LINE = 18.0
"""Height of one line of a legend, in pixels."""
PIXELS_A_POINT = 96 / 72


def chart_svg(chart: Chart, name: str, title: str) -> Markup:
    """A chart as one <svg> element.

    Args:
        chart: What is drawn.
        name: Unique within the page; letters and hyphens.
        title: What a screen reader says of it.

    Returns:
        Markup without any reference to something outside.

    Example:
        >>> chart = Chart(Axis("a < b", 0, 1), Axis("b", 0, 1), (Line((0, 1), (0, 1), "accent"),))
        >>> svg = chart_svg(chart, "example", "A & B")
        >>> str(svg)[:4], "A &amp; B" in svg, "a &lt; b" in svg, "http" in svg
        ('<svg', True, True, False)
    """
    labelled = [mark for mark in chart.marks if not isinstance(mark, Note) and mark.label]
    legend = _legend_places([_short(mark.label) for mark in labelled], chart.width - _left_of(chart))
    frame = _Frame.around_chart(chart, legend_lines=legend[-1][1] + 1 if legend else 0)
    body = [*_axes(frame), f'<g clip-path="url(#{name}-clip)">']
    body += [element for mark in chart.marks if isinstance(mark, Line | Bars) for element in _mark(frame, mark)]
    body.append("</g>")
    # a point at the rim stands there whole
    body += [element for mark in chart.marks if isinstance(mark, Points | Note) for element in _mark(frame, mark)]
    body += _legend(frame.left, labelled, legend)
    clip = (
        f'<clipPath id="{name}-clip"><rect x="{frame.left:.1f}" y="{frame.top:.1f}" width="{frame.width:.1f}" '
        f'height="{frame.height:.1f}"/></clipPath>'
    )
    return _element(name, title, frame.right_edge, frame.bottom_edge, [clip, *body])


def picture_svg(
    picture: str, names: Sequence[str], name: str, title: str, *, across: str, down: str, size: Number = 560
) -> Markup:
    """A square picture of one pixel a pair of classes, with its axes named.

    Args:
        picture: A data URI.
        names: Written along both axes; none where empty.
        name: Unique within the page.
        title: What a screen reader says of it.
        across: What goes from left to right.
        down: What goes from top to bottom.
        size: Side of the picture, in pixels.

    Returns:
        One <svg> element.
    """
    letters = min(10.0, 0.8 * size / max(1, len(names)))
    left = top = 24 + (max((_width(_short(text), letters) for text in names), default=0.0) + 8 if names else 0)
    body = [
        f'<image href="{picture}" x="{left:.1f}" y="{top:.1f}" width="{size:.0f}" height="{size:.0f}" '
        'style="image-rendering:pixelated" preserveAspectRatio="none"/>',
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{size:.0f}" height="{size:.0f}" fill="none" stroke="var(--line)"/>',
        _text(left + size / 2, 12, across, "middle", size=13),
        _text(12, top + size / 2, down, "middle", size=13, turned=True),
    ]
    for place, text in enumerate(names):
        middle = (place + 0.5) * size / len(names)
        body.append(_text(left - 6, top + middle + letters / 3, _short(text), "end", size=letters))
        body.append(_text(left + middle + letters / 3, top - 6, _short(text), "start", size=letters, turned=True))
    return _element(name, title, left + size + 2, top + size + 2, body)


def _element(name: str, title: str, width: Number, height: Number, body: Sequence[str]) -> Markup:
    lines = "\n".join(body)
    return Markup(  # noqa: S704 (ours, escaped)
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-labelledby="{name}-title">'
        f'<title id="{name}-title">{escape(title)}</title>\n{lines}\n</svg>'
    )


@dataclass(frozen=True)
class _Frame:
    """The position of the plotting area in the picture, in pixels."""

    x: Axis
    y: Axis
    left: Number
    top: Number
    width: Number
    height: Number
    right_edge: Number
    bottom_edge: Number

    @classmethod
    def around_chart(cls, chart: Chart, *, legend_lines: int) -> "_Frame":
        left = _left_of(chart)
        top = 12.0 + LEGEND_LINE * legend_lines if legend_lines else 8.0
        # the last letters of the horizontal axis stand around their tick
        width = chart.width - left - 16
        height = width if chart.square else chart.height - top - 44
        return cls(chart.x, chart.y, left, top, width, height, chart.width, top + height + 44)

    def across(self, value: Number) -> float:
        return self.left + self.x.place(value) * self.width

    def up(self, value: Number) -> float:
        return self.top + (1 - self.y.place(value)) * self.height

    def point(self, x: Number, y: Number) -> str:
        return f"{self.across(x):.1f} {self.up(y):.1f}"


def _axes(frame: _Frame) -> Iterator[str]:
    bottom, right = frame.top + frame.height, frame.left + frame.width
    for value, text in frame.x.ticks():
        x = frame.across(value)
        yield _rule(x, frame.top, x, bottom, "line")
        yield _text(x, bottom + 16, text, "middle")
    for value, text in frame.y.ticks():
        y = frame.up(value)
        if not frame.y.names:
            yield _rule(frame.left, y, right, y, "line")
        yield _text(frame.left - 7, y + 4, _short(text), "end")
    yield _rule(frame.left, bottom, right, bottom, "muted")
    yield _rule(frame.left, frame.top, frame.left, bottom, "muted")
    yield _text(frame.left + frame.width / 2, bottom + 36, frame.x.label, "middle")
    if frame.y.label:
        yield _text(11, frame.top + frame.height / 2, frame.y.label, "middle", turned=True)


def _mark(frame: _Frame, mark: Mark) -> Iterator[str]:
    match mark:
        case Line():
            path = "L".join(frame.point(x, y) for x, y in zip(mark.x, mark.y, strict=True))
            if path:
                dashes = ' stroke-dasharray="5 4"' if mark.dashed else ""
                opacity = f' opacity="{mark.opacity:g}"' if mark.opacity < 1 else ""
                yield (
                    f'<path d="M{path}" fill="none" stroke="var(--{mark.colour})" stroke-width="{mark.width:g}" '
                    f'stroke-linejoin="round" stroke-linecap="round"{dashes}{opacity}/>'
                )
            if mark.dots:
                yield from (
                    f'<circle cx="{frame.across(x):.1f}" cy="{frame.up(y):.1f}" r="3" fill="var(--{mark.colour})"/>'
                    for x, y in zip(mark.x, mark.y, strict=True)
                )
        case Points():
            for x, y, area in zip(mark.x, mark.y, mark.areas, strict=True):
                radius = math.sqrt(area / math.pi) * PIXELS_A_POINT
                yield _dot(frame.across(x), frame.up(y), radius, mark)
        case Bars():
            yield from _bars(frame, mark)
        case Note():
            x, y = frame.across(mark.x) - 5, frame.up(mark.y) + 17
            yield _text(x, y, mark.text, "end", colour="muted", size=11)


def _bars(frame: _Frame, mark: Bars) -> Iterator[str]:
    for start, length in zip(mark.start, mark.length, strict=True):
        if length == 0:
            continue
        if mark.lying:
            ends = sorted((frame.across(0), frame.across(length)))
            sides = sorted((frame.up(start), frame.up(start + mark.width)))
        else:
            ends = sorted((frame.across(start), frame.across(start + mark.width)))
            sides = sorted((frame.up(mark.base), frame.up(mark.base + length)))
        yield (
            f'<rect x="{ends[0]:.1f}" y="{sides[0]:.1f}" width="{ends[1] - ends[0]:.1f}" '
            f'height="{sides[1] - sides[0]:.1f}" fill="var(--{mark.colour})"/>'
        )
    for start, length, spread in zip(mark.start, mark.length, mark.spread, strict=False):
        middle = frame.up(start + mark.width / 2)
        yield _rule(frame.across(length - spread), middle, frame.across(length + spread), middle, "ink")


def _left_of(chart: Chart) -> Number:
    """Where the plotting area begins: right of the letters of the vertical axis."""
    letters = max(_width(_short(text), TEXT) for _, text in chart.y.ticks() or [(0, "")])
    return letters + 10 + (20 if chart.y.label else 0)


def _legend_places(labels: Sequence[str], room: Number) -> list[tuple[Number, int]]:
    """The offset and the line of each entry of a legend; an entry that does not fit behind the others starts a line."""
    places: list[tuple[Number, int]] = []
    x, line = 0.0, 0
    for label in labels:
        width = 22 + _width(label, TEXT)
        if x and x + width > room:
            x, line = 0.0, line + 1
        places.append((x, line))
        x += width + 18
    return places


def _legend(
    left: Number, labelled: Sequence[Line | Points | Bars], places: Sequence[tuple[Number, int]]
) -> Iterator[str]:
    for mark, (offset, line) in zip(labelled, places, strict=True):
        x, y = left + offset, 14 + LEGEND_LINE * line
        match mark:
            case Line():
                yield (
                    f'<path d="M{x:.1f} {y:.1f}h14" stroke="var(--{mark.colour})" stroke-width="{mark.width:g}" '
                    f'stroke-opacity="{mark.opacity:g}"/>'
                )
            case Points():
                yield _dot(x + 8, y, 5, mark)
            case Bars():
                side = f'y="{y - 6:.1f}" width="12" height="12"'
                yield f'<rect x="{x + 2:.1f}" {side} rx="1" fill="var(--{mark.colour})"/>'
        yield _text(x + 22, y + 4, _short(mark.label), "start")


def _dot(x: Number, y: Number, radius: Number, mark: Points) -> str:
    fill = f"var(--{mark.colour})" if mark.filled else "none"
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{fill}" stroke="var(--{mark.colour})" '
        'stroke-width="1.8"/>'
    )


def _rule(x1: Number, y1: Number, x2: Number, y2: Number, colour: str) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="var(--{colour})"/>'


def _text(
    x: Number, y: Number, text: str, anchor: str, *, colour: Colour = "ink", size: Number = TEXT, turned: bool = False
) -> str:
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size:g}" fill="var(--{colour})"{turn}>'
        f"{escape(text)}</text>"
    )


def _short(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 1]}…"


def _width(text: str, size: Number) -> Number:
    """About how wide a text is, in pixels: the page's font is the reader's, so that nobody knows it here."""
    return size * sum(1.0 if unicodedata.east_asian_width(letter) in "WF" else 0.56 for letter in text)
