"""Scorers that know all classes, also those that the rows of a fold lack."""

import copy
import inspect
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray
from sklearn.metrics import get_scorer

__all__ = ["find_scorer", "scorer_for_classes"]


def find_scorer(scoring: Any) -> Any:  # noqa: ANN401 - scikit-learn's scorers have no types
    """The scorer for a `scoring` parameter.

    Args:
        scoring: A name, a callable (estimator, X, y), or None for accuracy.

    Returns:
        The scorer.
    """
    return get_scorer("accuracy" if scoring is None else scoring)


def scorer_for_classes(scoring: Any, classes: NDArray[Any]) -> Callable[..., float]:  # noqa: ANN401
    """A scorer whose metric gets all classes as `labels`, and with two classes the second one as `pos_label`.

    A metric that sees only the labels of a fold takes the columns of `predict_proba` for other classes than they are,
    or fails, where the fold lacks a class. Metrics that do not take the parameters, and parameters that
    `sklearn.metrics.make_scorer` was given, stay as they are. With two classes this is what `LogisticRegressionCV`
    does; metrics without `labels` get `pos_label` only where their own is not among the classes.

    Args:
        scoring: A name, a callable, or None for accuracy.
        classes: All class labels, sorted.

    Returns:
        The scorer.

    Example:
        >>> import numpy as np
        >>> scorer = scorer_for_classes("neg_log_loss", np.array([0, 1, 2]))
        >>> scorer._kwargs["labels"].tolist()
        [0, 1, 2]
    """
    scorer = find_scorer(scoring)
    metric, given = getattr(scorer, "_score_func", None), getattr(scorer, "_kwargs", None)
    if metric is None or given is None:
        return scorer  # type: ignore[no-any-return]  # scikit-learn has no types
    parameters = inspect.signature(metric).parameters
    added: dict[str, Any] = {}
    if "labels" in parameters:
        added["labels"] = classes
    if "pos_label" in parameters and len(classes) == 2:
        known = parameters["pos_label"].default in classes.tolist()
        if "labels" in parameters or not known:
            added["pos_label"] = classes[-1]
    scorer = copy.copy(scorer)
    scorer._kwargs = {**added, **given}
    return scorer  # type: ignore[no-any-return]
