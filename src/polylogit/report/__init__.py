"""Evaluations for people: on the terminal, as one HTML page, and as matplotlib figures.

terminal.py, audit.py    tables for a terminal; terminal_text.py escapes what a terminal would obey
content.py               the contents of a report: `ReportData`
page.py                  the HTML page, from `templates/`
document.py              the report as JSON and as Markdown
conclusions.py           what follows from the metrics, with codes
words.py, numbers.py     the metrics in sentences
mistakes.py              the most confident errors
picture_sheets.py        pictures that belong together; prediction_page.py those of each predicted class
comparison.py, comparison_page.py   the comparison of models
label_check.py           labels that are probably wrong
chart.py                 what a chart is, as plain data
effects.py               the effects of the columns of an additive model
evaluation_charts.py, training_charts.py, effect_charts.py   the content of each chart
svg.py, pictures.py      charts and pictures inside the page
plots.py, picture_plots.py, style.py       the same as matplotlib axes
palette.py               the colours

The names below are imported when they are first used: the page needs no matplotlib, which takes half a
second to import.
"""

from typing import TYPE_CHECKING

from polylogit.system.lazy_names import lazy_names

if TYPE_CHECKING:
    from polylogit.report.content import Coefficients, ReportData
    from polylogit.report.effects import ColumnEffect
    from polylogit.report.mistakes import Mistake, confident_mistakes
    from polylogit.report.page import report_html, write_report
    from polylogit.report.picture_plots import plot_confusion, plot_pictures
    from polylogit.report.plots import (
        plot_coverage,
        plot_effect,
        plot_importance,
        plot_learning_curves,
        plot_probabilities,
        plot_reliability,
    )

_HOME = {
    "Coefficients": "polylogit.report.content",
    "ColumnEffect": "polylogit.report.effects",
    "Mistake": "polylogit.report.mistakes",
    "ReportData": "polylogit.report.content",
    "confident_mistakes": "polylogit.report.mistakes",
    "plot_confusion": "polylogit.report.picture_plots",
    "plot_coverage": "polylogit.report.plots",
    "plot_effect": "polylogit.report.plots",
    "plot_importance": "polylogit.report.plots",
    "plot_learning_curves": "polylogit.report.plots",
    "plot_pictures": "polylogit.report.picture_plots",
    "plot_probabilities": "polylogit.report.plots",
    "plot_reliability": "polylogit.report.plots",
    "report_html": "polylogit.report.page",
    "write_report": "polylogit.report.page",
}

__all__ = [
    "Coefficients",
    "ColumnEffect",
    "Mistake",
    "ReportData",
    "confident_mistakes",
    "plot_confusion",
    "plot_coverage",
    "plot_effect",
    "plot_importance",
    "plot_learning_curves",
    "plot_pictures",
    "plot_probabilities",
    "plot_reliability",
    "report_html",
    "write_report",
]

__getattr__ = lazy_names(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
