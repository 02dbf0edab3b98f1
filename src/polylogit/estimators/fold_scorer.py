"""Scorers that know all classes, also those that the rows of a fold lack."""

import copy
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax
from sklearn.metrics import get_scorer
from sklearn.utils.extmath import safe_sparse_dot

__all__ = ["find_scorer", "negative_log_loss", "scorer_for_classes"]


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


def negative_log_loss(
    rows: Any,  # noqa: ANN401 - an array or a sparse matrix
    targets: NDArray[np.intp],
    *,
    coef: NDArray[np.floating[Any]],
    intercept: NDArray[np.floating[Any]],
    sample_weight: ArrayLike | None = None,
) -> float:
    """The score "neg_log_loss" of scikit-learn, without its checks, which take longer than the fit of few rows.

    Args:
        rows: Checked rows, shape (N, D).
        targets: Index of each row's class, shape (N,).
        coef: Coefficients of each class, shape (K, D), or of the second of two classes, shape (1, D).
        intercept: Intercepts, shape (K,) or (1,).
        sample_weight: Weight of each row, shape (N,).

    Returns:
        The weighted mean of the log-probabilities of the rows' classes, none of which counts as less than the dtype's
        precision.

    Example:
        >>> rows = np.array([[1.0], [-1.0]])
        >>> score = negative_log_loss(rows, np.array([1, 0]), coef=np.array([[2.0]]), intercept=np.array([0.0]))
        >>> round(score, 4)
        -0.1269
    """
    logits = np.asarray(safe_sparse_dot(rows, coef.T, dense_output=True)) + intercept
    if len(coef) == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    rounding = np.finfo(coef.dtype).eps
    observed = log_softmax(logits, axis=1)[np.arange(len(targets)), targets]
    observed = observed.clip(np.log(rounding), np.log1p(-rounding))
    weights = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    return float(np.average(observed, weights=weights))
