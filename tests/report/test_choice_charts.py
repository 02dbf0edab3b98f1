"""Charts of the choices before the fit."""

from polylogit.report.chart import Bars, Line, Points
from polylogit.report.choice_charts import comparison_chart, penalty_chart
from polylogit.report.svg import chart_svg

PATH = [
    {"C": 0.1, "log_loss": 0.9, "behind": 0.4, "standard_error": 0.05},
    {"C": 1.0, "log_loss": 0.51, "behind": 0.01, "standard_error": 0.02},
    {"C": 10.0, "log_loss": 0.5, "behind": 0.0, "standard_error": 0.0},
]


def test_the_path_has_its_errors_and_the_choice():
    chart = penalty_chart({"C": 1.0, "path": PATH})
    *errors, path, chosen = chart.marks
    assert [error.x[0] for error in errors] == [0.1, 1.0]  # the lowest has none
    assert isinstance(path, Line)
    assert list(path.y) == [0.9, 0.51, 0.5]
    assert isinstance(chosen, Points)
    assert (chosen.x, chosen.y) == ([1.0], [0.51])
    assert chart.y.low < 0.49
    assert chart.y.high > 0.95
    assert "chosen" in chart_svg(chart, "path", "the path")


def test_a_path_of_one_value_can_be_drawn():
    assert "<svg" in chart_svg(penalty_chart({"C": 10.0, "path": PATH[2:]}), "path", "the path")


def test_the_simplest_kind_is_on_top():
    candidates = [
        {"kind": "linear", "behind": 0.2, "standard_error": 0.03},
        {"kind": "additive", "behind": 0.0, "standard_error": 0.0},
    ]
    chart = comparison_chart({"kind": "additive", "candidates": candidates})
    assert chart.y.names == ("additive (chosen)", "linear")
    bars = chart.marks[0]
    assert isinstance(bars, Bars)
    assert list(bars.length) == [0.0, 0.2]
    assert list(bars.spread) == [0.0, 0.03]
