"""The judgement, shown to people: on the terminal, as one HTML page, and as figures from Python.

terminal.py    tables for a terminal
content.py     what a page is made of: `ReportData`
page.py        the page itself, from `templates/`
words.py       the figures in sentences
plots.py, curves.py, pictures.py, mistakes.py    what is drawn, and what is chosen to be drawn
style.py       colours, and matplotlib's SVG made fit for a page

The names below are loaded when they are first used: matplotlib takes half a second to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polylogit.report.content import Coefficients, ReportData
    from polylogit.report.curves import plot_importance, plot_learning_curves
    from polylogit.report.mistakes import Mistake, confident_mistakes
    from polylogit.report.page import report_html, write_report
    from polylogit.report.pictures import plot_pictures
    from polylogit.report.plots import plot_confusion, plot_coverage, plot_probabilities, plot_reliability

_HOME = {
    "Coefficients": "content",
    "Mistake": "mistakes",
    "ReportData": "content",
    "confident_mistakes": "mistakes",
    "plot_confusion": "plots",
    "plot_coverage": "plots",
    "plot_importance": "curves",
    "plot_learning_curves": "curves",
    "plot_pictures": "pictures",
    "plot_probabilities": "plots",
    "plot_reliability": "plots",
    "report_html": "page",
    "write_report": "page",
}

__all__ = [
    "Coefficients",
    "Mistake",
    "ReportData",
    "confident_mistakes",
    "plot_confusion",
    "plot_coverage",
    "plot_importance",
    "plot_learning_curves",
    "plot_pictures",
    "plot_probabilities",
    "plot_reliability",
    "report_html",
    "write_report",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'polylogit.report' has no attribute {name!r}")
    return getattr(import_module(f"polylogit.report.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
