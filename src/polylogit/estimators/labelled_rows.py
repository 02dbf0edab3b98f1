"""The checked input of one call to `fit` of a linear estimator, and its fit at a given penalty."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data
from torch import Tensor
from torch.distributed import ProcessGroup

from polylogit.errors import DataError
from polylogit.estimators.array_conversion import as_features, as_numpy, native_byte_order
from polylogit.estimators.class_weights import row_weights
from polylogit.estimators.devices import find_device
from polylogit.estimators.sklearn_compat import check_sample_weight
from polylogit.solver.penalties import elastic_net_penalties
from polylogit.solver.softmax_regression import IterationRecord, LinearFit, fit_softmax_regression
from polylogit.system.processes import Processes

__all__ = ["LabelledRows", "at_least_two", "classes_and_targets", "group_of"]

_LARGEST_COUNTED_RANGE = 1 << 16


class LabelledRows:
    """Checked rows, class indices and weights of one call to `fit`.

    Args:
        estimator: Its parameters say how to check, weigh and fit; it gets `n_features_in_` and `feature_names_in_`.
        X: Rows as they came.
        y: Labels as they came.
        sample_weight: Weights as they came.
        group: The processes that hold the rows together; None: this one alone.

    Raises:
        DataError: There are fewer than two classes, or a weight is out of range; in any of the processes.
    """

    def __init__(
        self,
        estimator: Any,  # noqa: ANN401 - either linear estimator
        X: Any,  # noqa: ANN401
        y: Any,  # noqa: ANN401
        sample_weight: Any,  # noqa: ANN401
        group: ProcessGroup | None = None,
    ) -> None:
        self._group = group
        processes = Processes(group)

        def checked() -> tuple[Any, NDArray[Any], NDArray[Any], NDArray[np.intp], NDArray[np.float64] | None]:
            rows, labels = validate_data(
                estimator,
                as_numpy(X),
                as_numpy(y),
                accept_sparse=["csr", "csc"],
                dtype="numeric",
                ensure_min_samples=1 if processes.size == 1 else 0,
            )
            weighted = sample_weight is not None and len(labels)
            weights = check_sample_weight(as_numpy(sample_weight), rows) if weighted else None
            return rows, labels, *classes_and_targets(labels), weights

        rows, self.labels, classes, targets, weights = processes.together(checked)
        self.rows = native_byte_order(rows)
        self.columns = rows.shape[1]
        self.dtype = np.dtype(np.float32 if rows.dtype.name in {"float32", "float16"} else np.float64)
        names = getattr(estimator, "feature_names_in_", None)
        processes.check_same(
            {
                "columns of X": self.columns if names is None else names.tolist(),
                "class_weight": estimator.class_weight if processes.size > 1 else None,
            }
        )
        self.classes, self.targets = _among_all(processes, classes, targets)
        at_least_two(self.classes)
        self.count = int(processes.total_number(float(len(self.labels))))
        self.weights = row_weights(estimator.class_weight, self.classes, self.targets, weights, processes)

    def fit(
        self,
        estimator: Any,  # noqa: ANN401
        C: float,
        *,
        initial: tuple[Tensor, Tensor] | None = None,
        chosen: NDArray[np.intp] | None = None,
        on_iteration: Callable[[IterationRecord], None] | None = None,
    ) -> LinearFit:
        """The solver's optimum on all rows, or on chosen ones.

        Args:
            estimator: Its parameters say how to fit.
            C: Inverse strength of the penalty in scikit-learn's objective.
            initial: Weights and intercepts to start from, one row per class.
            chosen: Indices of the rows to fit to.
            on_iteration: Called after every step of the solver.

        Returns:
            The fit, with one row of weights per class.
        """
        device = find_device(estimator.device)
        rows, targets, weights = self.rows, self.targets, self.weights
        if chosen is not None:
            rows, targets = rows[chosen], targets[chosen]
            weights = None if weights is None else weights[chosen]
        seed = 0
        if estimator.random_state is not None:
            seed = int(check_random_state(estimator.random_state).randint(2**31 - 1))
        squares, l1 = elastic_net_penalties(C, estimator.l1_ratio, len(self.classes))
        return fit_softmax_regression(
            as_features(rows, device),
            torch.from_numpy(targets).to(device),
            classes=len(self.classes),
            C=squares,
            l1=l1,
            fit_intercept=estimator.fit_intercept,
            sample_weight=None if weights is None else torch.from_numpy(np.array(weights)).to(device),
            tolerance=estimator.tol,
            max_iterations=estimator.max_iter,
            initial=initial,
            on_iteration=_reporting(on_iteration) if estimator.verbose else on_iteration,
            seed=seed,
            process_group=self._group,
        )


def group_of(process_group: ProcessGroup | str | None) -> ProcessGroup | None:
    """The group that a parameter names.

    Args:
        process_group: A group, "world" for the default one, or None.

    Raises:
        DataError: There is no default group.
    """
    if process_group != "world":
        return None if process_group is None or isinstance(process_group, str) else process_group
    if not torch.distributed.is_initialized():
        raise DataError(
            'process_group="world": torch.distributed has no default group. Call torch.distributed.init_process_group '
            "first, in a program started by torchrun."
        )
    return torch.distributed.group.WORLD


def _among_all(
    processes: Processes, classes: NDArray[Any], targets: NDArray[np.intp]
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The classes of all processes, sorted, and the index of each of these rows' class among them."""
    if processes.size == 1:
        return classes, targets
    found = [theirs for theirs in processes.gathered(classes) if len(theirs)]
    texts = [any(isinstance(label, str) for label in theirs.tolist()) for theirs in found]
    if any(texts) and not all(texts):
        raise DataError(
            f"y: some processes have texts, others numbers, as in {found[texts.index(True)].tolist()[0]!r} and "
            f"{found[texts.index(False)].tolist()[0]!r}. Give every process labels of one type."
        )
    every = np.unique(np.concatenate(found)) if found else classes
    places: NDArray[np.intp] = np.searchsorted(every, classes)
    return every, places[targets]


def at_least_two(classes: NDArray[Any]) -> None:
    """Check that there is something to tell apart.

    Args:
        classes: Class labels.

    Raises:
        DataError: There is only one.
    """
    if len(classes) < 2:
        raise DataError(
            f"y: expected at least 2 classes, got 1 class: {classes[0]} in all rows. "
            "A classifier needs samples of at least 2 classes in the data."
        )


def classes_and_targets(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The distinct labels, sorted, and the index of each row's label among them.

    Integers in a small range are counted, which takes a fifth of the time of sorting.

    Args:
        labels: Class labels, shape (N,).

    Returns:
        Classes, shape (K,), in the labels' dtype and this machine's byte order, and indices, shape (N,).

    Raises:
        ValueError: The labels are no classes but, say, measurements.

    Example:
        >>> classes_and_targets(np.array([7, 3, 7]))
        (array([3, 7]), array([1, 0, 1]))
    """
    if not len(labels):  # of one of several processes
        return labels, np.zeros(0, dtype=np.intp)
    if labels.dtype.kind in "biufc":
        labels = native_byte_order(labels)
    countable = labels.dtype.kind in "biu" and labels.dtype != np.uint64
    if not countable or int(labels.max()) - int(labels.min()) >= _LARGEST_COUNTED_RANGE:
        check_classification_targets(labels)
        classes, targets = np.unique(labels, return_inverse=True)
        return classes, targets
    lowest = labels.min()
    offsets = labels.astype(np.intp) - int(lowest)
    present = np.bincount(offsets) > 0
    return np.flatnonzero(present).astype(labels.dtype) + lowest, (present.cumsum() - 1)[offsets]


def _reporting(on_iteration: Callable[[IterationRecord], None] | None) -> Callable[[IterationRecord], None]:
    """The callback with one line on standard error per step."""

    def report(record: IterationRecord) -> None:
        sys.stderr.write(
            f"step {record.iteration}: objective {record.objective:.7f}, certified gap {record.optimality_gap:.1e}, "
            f"{record.seconds:.1f} s\n"
        )
        if on_iteration is not None:
            on_iteration(record)

    return report
