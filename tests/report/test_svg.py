import re
from xml.etree import ElementTree as ET

import pytest
import torch

from polylogit.evaluation import ColumnImportance, ScoredRows, reliability_bins
from polylogit.report.chart import Axis, Bars, Chart, Line, Note, Points
from polylogit.report.evaluation_charts import coverage_chart, probabilities_chart, reliability_chart
from polylogit.report.svg import chart_svg
from polylogit.report.training_charts import importance_chart, learning_chart

LOGITS = 3 * torch.randn(300, 4, generator=torch.Generator().manual_seed(0))
TARGETS = torch.multinomial((LOGITS / 3).softmax(1), 1, generator=torch.Generator().manual_seed(1))[:, 0]
ROWS = ScoredRows.check(LOGITS, TARGETS)
HISTORY = [
    {"epoch": n, "train_loss": 1 / n, "validation_loss": 1.2 / n, "optimality_gap": 10.0**-n} for n in range(1, 9)
]
CHARTS = {
    "reliability": reliability_chart(ROWS, ScoredRows.check(2 * LOGITS, TARGETS)),
    "coverage": coverage_chart(ROWS),
    "probabilities": probabilities_chart(ROWS),
    "loss": learning_chart(HISTORY, "log loss"),
    "gap": learning_chart(HISTORY, "optimality gap"),
    "importance": importance_chart(
        [ColumnImportance(f"<column> {n} & so on, at length", 0.1 * n, 0.05) for n in range(9)]
    ),
}


def drawn(chart):
    return ET.fromstring(str(chart_svg(chart, "it", "a chart")))  # noqa: S314 - our own


@pytest.mark.parametrize("name", CHARTS)
def test_nothing_is_drawn_outside_the_picture(name):
    svg = drawn(CHARTS[name])
    _, _, width, height = map(float, svg.get("viewBox").split())
    for element in svg.iter():
        for key, end in (("x", width), ("cx", width), ("y", height), ("cy", height)):
            if element.get(key) is not None:
                assert 0 <= float(element.get(key)) <= end
        numbers = [float(number) for number in re.findall(r"-?\d+\.\d", element.get("d") or "")]
        assert all(-1 <= number <= max(width, height) for number in numbers)


def test_a_solver_has_iterations_and_a_network_epochs():
    assert (CHARTS["gap"].x.label, CHARTS["loss"].x.label) == ("iteration", "epoch")


@pytest.mark.parametrize("name", CHARTS)
def test_both_axes_are_lettered(name):
    chart = CHARTS[name]
    texts = [element.text for element in drawn(chart).iter("text")]
    assert chart.x.label in texts
    assert chart.y.label in [*texts, ""]
    assert {text for _, text in chart.x.ticks()} <= set(texts)


def test_the_points_of_the_reliability_diagram_stand_at_their_bins():
    chart = reliability_chart(ROWS)
    svg = drawn(chart)
    frame = svg.find("clipPath/rect")
    left, top, width, height = (float(frame.get(key)) for key in ("x", "y", "width", "height"))
    bins = reliability_bins(ROWS)
    circles = [circle for circle in svg.findall("circle") if circle.get("r") != "5.0"]
    expected = [pair for pair in zip(bins.confidence, bins.frequency, strict=True) if pair[0] is not None]
    assert len(circles) == len(expected)
    for circle, (claimed, came_true) in zip(circles, expected, strict=True):
        assert float(circle.get("cx")) == pytest.approx(left + (claimed + 0.02) / 1.05 * width, abs=0.11)
        assert float(circle.get("cy")) == pytest.approx(top + (1.03 - came_true) / 1.05 * height, abs=0.11)


def test_every_kind_of_mark_is_drawn():
    marks = (
        Line((0, 1), (0, 1), "accent", "a line", dots=True),
        Points((0.5,), (0.5,), (30,), "warm", filled=False, label="points"),
        Bars((0.2,), 0.1, (0.6,), "muted", "bars"),
        Bars((0.2,), 0.1, (0.6,), "muted", lying=True, spread=(0.1,)),
        Note(0.5, 0.5, "<here>"),
    )
    svg = drawn(Chart(Axis("x", 0, 1), Axis("y", 0, 1), marks))
    texts = [element.text for element in svg.iter("text")]
    assert {"a line", "points", "bars", "<here>"} <= set(texts)
    colours = {element.get(key) for element in svg.iter() for key in ("fill", "stroke")}
    assert {"var(--accent)", "var(--warm)", "var(--muted)", "var(--ink)", "var(--line)"} <= colours


@pytest.mark.parametrize(
    "labels",
    [
        ["before", "after calibration", "expected if calibrated"],
        ["a"] * 12,
        ["validation loss of the exponential moving average of the weights", "short", "long " * 9],
        ["確率の較正後の値です"] * 4,
    ],
)
@pytest.mark.parametrize(("width", "square"), [(400, True), (440, False)])
def test_a_legend_of_any_labels_stays_within_its_chart(labels, width, square):
    kinds = (
        lambda label: Line((0, 1), (0, 1), "accent", label),
        lambda label: Points((0.5,), (0.5,), (30,), "warm", label=label),
        lambda label: Bars((0.2,), 0.1, (0.6,), "muted", label),
    )
    marks = tuple(kinds[place % 3](label) for place, label in enumerate(labels))
    svg = drawn(Chart(Axis("x", 0, 1), Axis("y", 0, 1), marks, width=width, square=square))
    top = float(svg.find("clipPath/rect").get("y"))
    entries = [element for element in svg.iter("text") if element.get("text-anchor") == "start"]
    assert len(entries) == len(labels)
    boxes = []
    for entry in entries:
        letters = 12 * sum(0.56 if letter.isascii() or letter == "…" else 1 for letter in entry.text)
        boxes.append((float(entry.get("x")) - 22, float(entry.get("x")) + letters, float(entry.get("y"))))
    assert all(right <= width and y < top for _, right, y in boxes)
    assert not any(a[2] == b[2] and a[0] < b[1] and b[0] < a[1] for n, a in enumerate(boxes) for b in boxes[n + 1 :])
