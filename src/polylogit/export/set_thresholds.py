"""The thresholds of prediction sets in the metadata of an export."""

from typing import Any

from polylogit.classifier import Classifier
from polylogit.errors import RecipeError

__all__ = ["COVERAGES", "set_thresholds"]

COVERAGES = (0.8, 0.9, 0.95, 0.99)
"""The coverages whose thresholds an export holds, where the model has rows enough."""


def set_thresholds(classifier: Classifier) -> dict[str, Any] | None:
    """From which probability on each class is in the prediction set of a row; the most probable class always is.

    Args:
        classifier: The model.

    Returns:
        `source` and number of `rows` of the scores, and for each coverage that so many rows allow the
        `least_probability` of each class by its name; None where the model has no such scores.
    """
    scores = classifier.conformal
    if scores is None:
        return None
    thresholds = {}
    for coverage in COVERAGES:
        try:
            rule = scores.rule(coverage)
        except RecipeError:  # too few rows for this coverage, and so for those above
            break
        thresholds[f"{coverage:g}"] = dict(zip(classifier.class_names, rule.least_probability, strict=True))
    return {"source": scores.source, "rows": sum(scores.rows), "least_probability": thresholds}
