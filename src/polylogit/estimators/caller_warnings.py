"""Warnings that point at the line of the user's own code."""

import sys
import warnings

__all__ = ["warn_caller"]

_LIBRARIES = {"polylogit", "sklearn", "joblib", "jaxtyping", "beartype"}


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn at the nearest line outside polylogit, scikit-learn and joblib, where something can be changed.

    Args:
        message: What happened and what to do.
        category: The class of the warning.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _LIBRARIES:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
