"""The comparison of models as one HTML file that opens offline.

See also: `page.py`, the report on one model, whose style it shares.
"""

import json
from pathlib import Path

from polylogit.evaluation.paired import METRICS
from polylogit.report.comparison import METRIC_NAMES, Comparison, p_value, pair_sentence, shown_metric
from polylogit.report.environment import rendered_page
from polylogit.system.atomic_file import atomic_write_text

__all__ = ["comparison_html", "write_comparison"]


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write a comparison, atomically: as JSON where the name ends in .json, else as an HTML page.

    Args:
        comparison: The comparison.
        path: The file.

    Raises:
        PolylogitError: The file cannot be written.
    """
    if path.suffix.lower() == ".json":
        text = json.dumps(comparison.as_json(), ensure_ascii=False, indent=1) + "\n"
    else:
        text = comparison_html(comparison)
    atomic_write_text(path, text)


def comparison_html(comparison: Comparison) -> str:
    """The page as text.

    Args:
        comparison: The comparison.

    Returns:
        One HTML document in UTF-8, without scripts.
    """
    return rendered_page(
        "comparison.html.jinja",
        {"p_value": p_value, "sentence": pair_sentence, "interval_bar": _interval_bar},
        comparison=comparison,
        metrics=METRICS,
        names=METRIC_NAMES,
        shown=shown_metric,
    )


def _interval_bar(low: float, high: float, difference: float, reach: float) -> dict[str, str]:
    """Places in percent of the interval and the difference on an axis from -reach to reach."""
    scale = 50 / reach if reach else 0.0
    return {
        "left": f"{50 + scale * low:.2f}",
        "width": f"{max(scale * (high - low), 0.5):.2f}",
        "point": f"{50 + scale * difference:.2f}",
    }
