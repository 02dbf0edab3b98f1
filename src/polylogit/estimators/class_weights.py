"""Sample weights times class weights, which mean the same for every estimator."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from polylogit.classes import balanced_weights, class_totals
from polylogit.errors import DataError
from polylogit.system.processes import ONE_PROCESS, Processes

__all__ = ["row_weights"]


def row_weights(
    class_weight: Mapping[Any, Any] | str | None,
    classes: NDArray[Any],
    targets: NDArray[np.intp],
    sample_weight: NDArray[np.float64] | None,
    processes: Processes = ONE_PROCESS,
) -> NDArray[np.float64] | None:
    """The weight of each row in the objective.

    Args:
        class_weight: A weight for each class label; a class that is left out has weight 1. Or "balanced": the sum of
            the sample weights over K times their sum in the class, as in scikit-learn from version 1.9 on.
        classes: Class labels, shape (K,).
        targets: Index of each row's class, shape (N,).
        sample_weight: Weight of each row, shape (N,); 1 when left out.
        processes: Those that hold the rows together.

    Returns:
        Shape (N,), or None where every row has weight 1.

    Raises:
        DataError: A label is not among the classes, or a weight is not a finite number of 0 or more.

    Example:
        >>> row_weights("balanced", np.array(["a", "b"]), np.array([0, 0, 1]), None)
        array([0.75, 0.75, 1.5 ])
        >>> row_weights("balanced", np.array(["a", "b"]), np.array([0, 0, 1]), np.array([1.0, 1.0, 2.0]))
        array([1., 1., 2.])
    """
    if class_weight is None:
        return sample_weight
    if isinstance(class_weight, str):
        weights = None if sample_weight is None else torch.from_numpy(np.array(sample_weight))
        counts = class_totals(torch.from_numpy(np.array(targets)), len(classes), weights)
        of_class = balanced_weights(processes.total(counts)).numpy()
    else:
        of_class = _by_label(class_weight, classes)
    weighted: NDArray[np.float64] = of_class[targets]
    return weighted if sample_weight is None else weighted * sample_weight


def _by_label(class_weight: Mapping[Any, Any], classes: NDArray[Any]) -> NDArray[np.float64]:
    """The weight of each class in the order of the classes."""
    labels = classes.tolist()
    left_out = [label for label in labels if label not in class_weight]
    if left_out and len(labels) - len(left_out) < len(class_weight):
        unknown = next(label for label in class_weight if label not in labels)
        raise DataError(
            f"class_weight: the label {unknown!r} is not among the classes {labels[:20]}, and {left_out[0]!r} has no "
            "weight. Use the labels of y as keys."
        )
    for label, weight in class_weight.items():
        if not isinstance(weight, Real) or not 0 <= float(weight) < float("inf"):
            raise DataError(f"class_weight[{label!r}]: expected a finite number of 0 or more, got {weight!r}.")
    return np.array([float(class_weight.get(label, 1.0)) for label in labels])
