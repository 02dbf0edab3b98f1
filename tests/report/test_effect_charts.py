"""Charts of effects: what is drawn, in which colours, and what the caption says is left out."""

import math

import pytest

from polylogit.report import plot_effect
from polylogit.report.chart import Axis, Bars, Line
from polylogit.report.effect_charts import MOST_LEVELS, classes_drawn, effect_caption, effect_chart
from polylogit.report.effects import ColumnEffect
from polylogit.report.svg import chart_svg

NUMBER = ColumnEffect(
    "x",
    "number",
    {name: (0.0, size, -size) for name, size in zip("abcdef", (0.5, 3.0, 0.1, 2.0, 1.0, 0.2), strict=True)},
    0.7,
    places=(0.0, 1.0, 50.0),
    missing=dict.fromkeys("abcdef", 0.25),
    histogram=(3, 0, 6),
    histogram_edges=(0.0, 2.0, 4.0, 6.0),
)


def test_the_classes_that_differ_most_have_curves_in_their_order():
    assert classes_drawn(NUMBER) == ["a", "b", "d", "e"]
    lines = [mark for mark in effect_chart(NUMBER).marks if isinstance(mark, Line) and mark.label]
    assert [(line.label, line.colour) for line in lines] == [
        ("a", "accent"),
        ("b", "warm"),
        ("d", "ink"),
        ("e", "muted"),
    ]


def test_the_histogram_stands_below_the_curves_and_has_no_ticks():
    chart = effect_chart(NUMBER)
    (bars,) = (mark for mark in chart.marks if isinstance(mark, Bars))
    lowest = min(value for curve in NUMBER.curves.values() for value in curve)
    assert bars.base == chart.y.low
    assert bars.base + max(bars.length) < lowest
    assert bars.length[0] == pytest.approx(bars.length[2] / 2)
    assert min(value for value, _ in chart.y.ticks()) > bars.base + max(bars.length)
    assert (chart.x.low, chart.x.high) == (0.0, 6.0)


def test_the_caption_says_what_is_not_drawn():
    caption = effect_caption(NUMBER)
    assert "The 4 of 6 classes that it distinguishes most." in caption
    assert "The values go from 0 to 50; the far ends are not drawn." in caption
    assert "Missing: a +0.25, b +0.25" in caption
    many = ColumnEffect("city", "category", {"yes": (0.1,) * 40}, 0.1, "no", names=[f"c{n}" for n in range(40)])
    assert f"The {MOST_LEVELS} most frequent of 40 levels." in effect_caption(many)
    assert len(effect_chart(many).y.names) == MOST_LEVELS


def test_two_classes_are_one_against_the_other():
    effect = ColumnEffect("skin", "category", {"yes": (0.5, -0.25)}, 0.4, "no", names=("wet", "dry"))
    (bars,) = (mark for mark in effect_chart(effect).marks if isinstance(mark, Bars))
    assert bars.label == "yes against no"
    assert list(bars.length) == [-0.25, 0.5]  # from the bottom to the top


@pytest.mark.parametrize(
    "effect",
    [
        NUMBER,
        ColumnEffect("constant", "number", {"a": (0.0,)}, 0.0, places=(7.0,)),
        ColumnEffect("seen", "date", {"a": (0.0, 1.0)}, 0.5, places=(1999.5, 2024.0)),
        ColumnEffect("one", "category", {"a": (0.0,)}, 0.0, names=("only",)),
    ],
)
def test_every_kind_is_drawn_by_both_renderers(effect):
    svg = chart_svg(effect_chart(effect), "e", "title")
    assert "nan" not in svg
    assert effect.column in svg or effect.kind == "category"
    assert all(math.isfinite(end) for end in plot_effect(effect).get_ylim())


def test_years_have_no_separators():
    assert Axis("year", 1999.5, 2024, "year").ticks(3) == [(2000, "2000"), (2010, "2010"), (2020, "2020")]
