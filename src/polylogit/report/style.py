"""The colours of every figure, and how one matplotlib figure becomes SVG inside a page.

Owns the palette and the way from matplotlib's SVG to one that takes its colours and its font from the page around it,
so that it is right in light, in dark and on paper. What is drawn stands in `plots.py`, `curves.py` and `pictures.py`.
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.figure import Figure

__all__ = ["ACCENT", "GRID", "INK", "MUTED", "PAPER", "WARM", "figure_style", "inline_svg"]

INK = "#1d2430"
MUTED = "#667085"
GRID = "#e2e5ea"
ACCENT = "#2a6fb0"
WARM = "#c8591d"
PAPER = "#fffffe"

_THEMED = {INK: "--ink", MUTED: "--muted", GRID: "--line", ACCENT: "--accent", WARM: "--warm", PAPER: "--paper"}

_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "font.family": ["sans-serif"],
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",
    "svg.hashsalt": "polylogit",
    "text.color": INK,
    "text.parse_math": False,  # a class may be called "$1 to $5"
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8.5,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Everything drawn inside has polylogit's style; matplotlib's settings are as before afterwards."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # matplotlib's own font lacks, say, Korean; the reader's browser does not
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def inline_svg(figure: Figure, name: str, title: str) -> Markup:
    """A figure as SVG to stand inside a page: its text is text, its colours are the page's, its ids are its own.

    Args:
        figure: Drawn within `figure_style`.
        name: Unique within the page; letters and hyphens.
        title: What a screen reader says of it.

    Returns:
        One <svg> element.

    Example:
        >>> figure = Figure(figsize=(2, 1))
        >>> _ = figure.subplots().set_title("A & B")
        >>> svg = inline_svg(figure, "example", "An empty figure")
        >>> str(svg)[:4], "<title" in svg, "A &amp; B" in svg, "http" in svg
        ('<svg', True, True, False)
    """
    buffer = io.StringIO()
    with figure_style():
        empty = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", bbox_inches="tight", pad_inches=0.04, metadata=empty)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    referenced = set(re.findall(r'(?:xlink:href="#|url\(#)([^")]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in referenced else "", svg)
    svg = re.sub(r'xlink:href="#', f'href="#{name}-', svg).replace("xlink:href=", "href=")
    svg = svg.replace("url(#", f"url(#{name}-")
    for colour, variable in _THEMED.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = re.sub(r"font:[^;\"]*?([\d.]+)px[^;\"]*", r"font-size: \1px", svg)
    root, body = svg.split(">", maxsplit=1)
    box = root[root.index('viewBox="') :].split('"')[1]
    label = f'<title id="{name}-title">{escape(title)}</title>'
    body = re.sub(r"\s*\n\s*", "\n", body)
    return Markup(f'<svg viewBox="{box}" role="img" aria-labelledby="{name}-title">{label}{body}')  # noqa: S704 (ours, escaped)
