"""The judgement, shown to people: on the terminal, as one HTML page, and as figures from Python.

terminal.py    tables for a terminal
content.py     what a page is made of: `ReportData`
page.py        the page itself, from `templates/`
words.py       the figures in sentences
plots.py, curves.py, pictures.py, mistakes.py    what is drawn, and what is chosen to be drawn
style.py       colours, and matplotlib's SVG made fit for a page
"""

from polylogit.report.content import Coefficients, ReportData
from polylogit.report.curves import plot_importance, plot_learning_curves
from polylogit.report.mistakes import Mistake, confident_mistakes
from polylogit.report.page import report_html, write_report
from polylogit.report.pictures import plot_pictures
from polylogit.report.plots import plot_confusion, plot_coverage, plot_probabilities, plot_reliability

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
