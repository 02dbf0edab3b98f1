"""Settings of matplotlib figures; they apply inside `figure_style` only."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl

from polylogit.report.palette import COLOURS, GRID

__all__ = ["figure_style"]

_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": COLOURS["muted"],
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": COLOURS["ink"],
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
    "text.color": COLOURS["ink"],
    "text.parse_math": False,  # a class may be called "$1 to $5"
    "xtick.color": COLOURS["muted"],
    "xtick.labelcolor": COLOURS["ink"],
    "xtick.labelsize": 8.5,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.color": COLOURS["muted"],
    "ytick.labelcolor": COLOURS["ink"],
    "ytick.labelsize": 8.5,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Everything drawn inside has polylogit's style; matplotlib's settings are as before afterwards."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # matplotlib's own font lacks, say, Korean
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield
