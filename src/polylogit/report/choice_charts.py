"""What is drawn of the choices before the fit: the path of C, and the comparison of kinds of model.

Both take plain data, as `--json` has them under `penalty` and `selection`.
"""

from collections.abc import Mapping
from typing import Any

from polylogit.report.chart import Axis, Bars, Chart, Line, Points, around

__all__ = ["comparison_chart", "penalty_chart"]


def penalty_chart(penalty: Mapping[str, Any]) -> Chart:
    """The log loss of the held-out rows over the path of C, with the standard error of the distance to the lowest.

    Args:
        penalty: C, and the path with C, log loss, distance to the lowest and its standard error of each point.

    Example:
        >>> points = [{"C": 0.1, "log_loss": 0.5, "behind": 0.2, "standard_error": 0.1},
        ...           {"C": 1.0, "log_loss": 0.3, "behind": 0.0, "standard_error": 0.0}]
        >>> chart = penalty_chart({"C": 1.0, "path": points})
        >>> chart.x.form, [mark.label for mark in chart.marks if mark.label]
        ('power', ['one standard error', 'chosen'])
    """
    path = penalty["path"]
    x, y = [point["C"] for point in path], [point["log_loss"] for point in path]
    chosen = next(point for point in path if point["C"] == penalty["C"])
    errors = [
        Line([point["C"]] * 2, [point["log_loss"] - error, point["log_loss"] + error], "muted", width=1.2)
        for point in path
        if (error := point["standard_error"])
    ]
    if errors:
        errors[0] = Line(errors[0].x, errors[0].y, "muted", "one standard error", width=1.2)
    ends = [*y, *(end for line in errors for end in line.y)]
    return Chart(
        x=Axis("C, the inverse penalty", min(x) / 1.8, 1.8 * max(x), "power"),
        y=Axis("log loss of held-out training rows", *around(ends)),
        marks=(
            *errors,
            Line(x, y, "accent", dots=True),
            Points([chosen["C"]], [chosen["log_loss"]], [70], "warm", label="chosen"),
        ),
    )


def comparison_chart(selection: Mapping[str, Any]) -> Chart:
    """How far the log loss of each kind of model is above the lowest, the simplest on top.

    Args:
        selection: The candidates, with kind, distance to the lowest and its standard error.

    Example:
        >>> found = [{"kind": "linear", "behind": 0.1, "standard_error": 0.02},
        ...          {"kind": "mlp", "behind": 0.0, "standard_error": 0.0}]
        >>> comparison_chart({"kind": "mlp", "candidates": found}).y.names
        ('mlp (chosen)', 'linear')
    """
    candidates = list(reversed(selection["candidates"]))
    names = tuple(
        f"{each['kind']} (chosen)" if each["kind"] == selection["kind"] else each["kind"] for each in candidates
    )
    ends = [each["behind"] + sign * each["standard_error"] for each in candidates for sign in (-1, 1)]
    places = range(len(candidates))
    return Chart(
        x=Axis("log loss above the lowest, in nats", *around([0.0, *ends], 0.05)),
        y=Axis("", -0.6, len(candidates) - 0.4, names=names),
        marks=(
            Bars(
                [place - 0.31 for place in places],
                0.62,
                [each["behind"] for each in candidates],
                "accent",
                lying=True,
                spread=[each["standard_error"] for each in candidates],
            ),
            Line((0, 0), (-0.6, len(candidates) - 0.4), "muted", width=1),
        ),
        height=80 + 30 * len(candidates),
    )
