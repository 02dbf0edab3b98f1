"""The charts of an evaluation: reliability diagram, histogram of probabilities, accuracy against coverage.

See also: `polylogit.evaluation`, which computes what is drawn.
"""

import math
from collections.abc import Sequence

import torch

from polylogit.evaluation import ScoredRows, answered_above, consistency_intervals, coverage_curve, reliability_bins
from polylogit.report.chart import Axis, Bars, Chart, Line, Mark, Note, Points
from polylogit.report.palette import Colour

__all__ = ["coverage_chart", "probabilities_chart", "reliability_chart"]

LEAST_ROWS_TO_JOIN = 10
"""A reliability bin of fewer rows is drawn, but no line leads to it: its share is mostly chance."""
HISTOGRAM_BINS = 20
MOST_COVERAGE_POINTS = 400
LEAST_BETWEEN_NOTES = 0.13
"""Notes nearer than that would stand on each other."""


def reliability_chart(rows: ScoredRows, before: ScoredRows | None = None) -> Chart:
    """The probability claimed against how often the claim came true; before calibration hollow beside it."""
    marks: list[Mark] = [*_consistency(rows), Line((0, 1), (0, 1), "muted", width=1, dashed=True)]
    if before is not None:
        marks += _claims(before, "before", "warm", filled=False)
    marks += _claims(rows, "test rows" if before is None else "after calibration", "accent", filled=True)
    return Chart(
        x=Axis("claimed probability", -0.02, 1.03, "percent"),
        y=Axis("share that came true", -0.02, 1.03, "percent"),
        marks=tuple(marks),
        width=400,
        square=True,
    )


def _consistency(rows: ScoredRows) -> list[Mark]:
    """A bar for each bin, where its point is on 95 % of such sets of rows if the probabilities are calibrated."""
    bars = zip(reliability_bins(rows).confidence, consistency_intervals(rows), strict=True)
    known = [(claimed, interval) for claimed, interval in bars if claimed is not None and interval is not None]
    return [
        Line((claimed, claimed), interval, "muted", "" if n else "expected if calibrated", width=9, opacity=0.3)
        for n, (claimed, interval) in enumerate(known)
    ]


def _claims(rows: ScoredRows, label: str, colour: Colour, *, filled: bool) -> tuple[Line, Points]:
    bins = reliability_bins(rows)
    points = [
        (claimed, came_true, weight)
        for claimed, came_true, weight in zip(bins.confidence, bins.frequency, bins.weight, strict=True)
        if claimed is not None and came_true is not None
    ]
    joined = [point for point in points if point[2] * rows.effective_rows >= LEAST_ROWS_TO_JOIN]
    line = Line([x for x, _, _ in joined], [y for _, y, _ in joined], colour, width=1.3, opacity=0.6)
    x, y, weights = zip(*points, strict=True)
    return line, Points(x, y, [14 + 260 * weight for weight in weights], colour, filled, label)


def coverage_chart(rows: ScoredRows) -> Chart:
    """How accurate the answers are when only the surest share of the rows is answered."""
    curve = coverage_curve(rows)
    last = len(curve.coverage) - 1
    places = sorted({round(n * last / MOST_COVERAGE_POINTS) for n in range(MOST_COVERAGE_POINTS + 1)})
    coverage, accuracy = [curve.coverage[n] for n in places], [curve.accuracy[n] for n in places]
    # the surest few rows are mostly chance: they may leave the chart
    floor = min([y for x, y in zip(coverage, accuracy, strict=True) if x > 0.05] + accuracy[-1:])
    bottom = max(0.0, floor - 0.15 * (1 - floor) - 0.005)
    marks: list[Mark] = [Line(coverage, accuracy, "accent")]
    noted = math.inf
    for answered in answered_above(rows, (0.5, 0.9, 0.99)):
        if answered.accuracy is None or answered.coverage < 0.02 or answered.accuracy < bottom:
            continue
        marks.append(Points([answered.coverage], [answered.accuracy], [20], "accent"))
        if noted - answered.coverage >= LEAST_BETWEEN_NOTES:
            marks.append(Note(answered.coverage, answered.accuracy, f"≥ {answered.threshold:.0%}"))
            noted = answered.coverage
    return Chart(
        x=Axis("share of rows answered, the surest first", 0, 1.02, "percent"),
        y=Axis("right among the answered", bottom, 1 + 0.06 * (1 - bottom), "percent"),
        marks=tuple(marks),
    )


def probabilities_chart(rows: ScoredRows) -> Chart:
    """Histogram of the top probability: right answers above the line, mistakes below, each as a share of all rows."""
    right, wrong = (_histogram(rows, hit) for hit in (1.0, 0.0))
    starts = [n / HISTOGRAM_BINS for n in range(HISTOGRAM_BINS)]
    return Chart(
        x=Axis("probability of the answer", 0, 1, "percent"),
        y=Axis("share of rows", -1.08 * max(wrong) - 0.004, 1.08 * max(right) + 0.004, "percent"),
        marks=(
            Bars(starts, 0.9 / HISTOGRAM_BINS, right, "accent", "right"),
            Bars(starts, 0.9 / HISTOGRAM_BINS, [-height for height in wrong], "warm", "wrong"),
            Line((0, 1), (0, 0), "muted", width=1),
        ),
    )


def _histogram(rows: ScoredRows, hit: float) -> Sequence[float]:
    top = rows.probabilities.max(dim=1).values
    place = (top * HISTOGRAM_BINS).long().clamp(max=HISTOGRAM_BINS - 1)
    share = rows.weights * (rows.hits == hit) / rows.weights.sum()
    heights: list[float] = torch.bincount(place, weights=share, minlength=HISTOGRAM_BINS).tolist()
    return heights
