"""`SoftmaxRegression`: scikit-learn's multinomial logistic regression, fitted exactly and with a certificate.

This module owns the estimator: parameters, checked input, classes and weights, and the change between one vector of
coefficients for two classes and one a class. The optimisation is `polylogit.solver.softmax_regression`'s.
"""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, ClassVar, no_type_check

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import BaseEstimator, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model._base import LinearClassifierMixin, SparseCoefMixin
from sklearn.utils import check_random_state, compute_class_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from torch import Tensor

from polylogit.errors import DataError
from polylogit.estimators.tensors import as_features, chosen_device, readable
from polylogit.solver.softmax_regression import IterationRecord, LinearFit, fit_softmax_regression

__all__ = ["LabelledRows", "LinearSoftmaxClassifier", "SoftmaxRegression", "advice"]

_MOST_COUNTED = 1 << 16


class LinearSoftmaxClassifier(LinearClassifierMixin, SparseCoefMixin, BaseEstimator):
    """What fitted linear softmax models share: `classes_`, `coef_` and `intercept_`, and answers from them."""

    def take(self, fit: LinearFit, dtype: np.dtype[Any]) -> None:
        """A fit of one row a class as coefficients in scikit-learn's shape."""
        weight, bias = fit.weight.cpu().numpy(), fit.bias.cpu().numpy()
        if len(self.classes_) == 2:
            weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
        self.coef_ = weight.astype(dtype)
        self.intercept_ = bias.astype(dtype)
        self.n_iter_ = np.array([fit.iterations], dtype=np.int32)
        self.optimality_gap_ = fit.optimality_gap
        self.objective_ = fit.objective

    def decision_function(self, X: Any) -> NDArray[np.floating[Any]]:  # noqa: ANN401
        """The logits z_n = W x_n + b; with two classes, that of the second.

        Args:
            X: Rows, shape (N, D).

        Returns:
            Logits, shape (N, K), or (N,) for two classes.
        """
        return np.asarray(super().decision_function(readable(X)))

    def predict_proba(self, X: Any) -> NDArray[np.floating[Any]]:  # noqa: ANN401
        """Probability of each class, p_nk = softmax(W x_n + b)_k.

        Args:
            X: Rows, shape (N, D).

        Returns:
            Probabilities, shape (N, K), in the order of `classes_`.
        """
        check_is_fitted(self)
        logits = self.decision_function(X)
        if logits.ndim == 1:
            return np.stack([expit(-logits), expit(logits)], axis=1)
        return np.asarray(softmax(logits, axis=1))

    def predict_log_proba(self, X: Any) -> NDArray[np.floating[Any]]:  # noqa: ANN401
        """Logarithm of the probability of each class, in nats, finite also where the probability rounds to 0.

        Args:
            X: Rows, shape (N, D).

        Returns:
            Log-probabilities, shape (N, K), in the order of `classes_`.
        """
        check_is_fitted(self)
        logits = self.decision_function(X)
        if logits.ndim == 1:
            return np.stack([log_expit(-logits), log_expit(logits)], axis=1)
        return np.asarray(log_softmax(logits, axis=1))

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401
        """Sparse rows are read as they are."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class SoftmaxRegression(LinearSoftmaxClassifier):
    """Softmax (multinomial logistic) regression with an L2 penalty, solved to a certified gap.

    min over W, b of  C sum_n w_n loss_n + ||W||^2 / 2,  loss_n = logsumexp_k(z_nk) - z_n,y_n,  z_n = W x_n + b

    This is the objective of scikit-learn's `LogisticRegression`; with two classes, as there, of one vector of
    coefficients. Columns need no scaling for the fit to converge.

    Args:
        C: Inverse strength of the penalty; `inf` is no penalty.
        fit_intercept: Whether each class has a free, unpenalised intercept.
        class_weight: A weight for each class label, or "balanced" for N / (K count), times `sample_weight`.
        tol: Certified relative gap of the objective at which to stop: `optimality_gap_` is then at most this.
        max_iter: Most Newton steps.
        warm_start: Whether a new `fit` starts from the last one's coefficients.
        random_state: Seed of the rows that the preconditioner is drawn from; changes the path, not the optimum. None
            is a fixed seed, so that the same input gives the same bits.
        n_jobs: Threads to use; None or -1 for torch's own number.
        device: "auto", or a torch device that has float64.
        verbose: Whether each step's objective and gap are written to standard error.

    Attributes:
        classes_: Class labels, sorted, shape (K,).
        coef_: Coefficients, shape (K, D), or (1, D) for two classes.
        intercept_: Intercepts, shape (K,), or (1,).
        n_iter_: Newton steps taken, shape (1,).
        optimality_gap_: Upper bound on (objective - optimum) / optimum.
        objective_: The objective divided by C sum_n w_n: mean loss plus penalty, in nats.
        n_features_in_: D.
        feature_names_in_: Column names, where X had them.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> model = SoftmaxRegression().fit(X, y)
        >>> model.score(X, y) > 0.96, model.optimality_gap_ <= 1e-4
        (True, True)

    Source: the objective: Bishop (2006), section 4.3.4; the solver and its bound:
        `polylogit.solver.softmax_regression`.
    """

    C: float
    warm_start: bool
    device: str

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "C": [Interval(Real, 0, None, closed="right")],
        "fit_intercept": ["boolean"],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "n_jobs": [None, Integral],
        "device": [str],
        "verbose": ["verbose"],
    }

    @no_type_check  # scikit-learn judges parameters in `fit`, by `_parameter_constraints`, never here
    def __init__(
        self,
        C: float = 1.0,
        *,
        fit_intercept: bool = True,
        class_weight: dict[Any, float] | str | None = None,
        tol: float = 1e-4,
        max_iter: int = 200,
        warm_start: bool = False,
        random_state: Any = None,  # noqa: ANN401 - scikit-learn's: None, int or RandomState
        n_jobs: int | None = None,
        device: str = "auto",
        verbose: int = 0,
    ) -> None:
        self.C = C
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.device = device
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "SoftmaxRegression":  # noqa: ANN401
        """Fit the coefficients.

        Args:
            X: Rows, shape (N, D): array, frame, CSR or CSC matrix, or torch tensor; any real dtype.
            y: Class labels, shape (N,): numbers or strings.
            sample_weight: Weight of each row, 0 or more, shape (N,).

        Returns:
            The estimator.

        Raises:
            DataError: Fewer than two classes, or weights out of range.
        """
        problem = LabelledRows(self, X, y, sample_weight)
        self.classes_ = problem.classes
        initial = self._last_coefficients(problem) if self.warm_start else None
        fit = problem.fit(self, float(self.C), initial)
        self.take(fit, problem.dtype)
        if not fit.converged:
            warnings.warn(advice(fit, self), ConvergenceWarning, stacklevel=2)
        return self

    def _last_coefficients(self, problem: "LabelledRows") -> tuple[Tensor, Tensor] | None:
        """The last fit's coefficients with one row a class, where there are any of the right shape."""
        rows = 1 if len(problem.classes) == 2 else len(problem.classes)
        if not hasattr(self, "coef_") or self.coef_.shape != (rows, problem.columns):
            return None
        coef = self.coef_.toarray() if hasattr(self.coef_, "toarray") else self.coef_
        weight, bias = torch.tensor(coef, dtype=torch.float64), torch.tensor(self.intercept_, dtype=torch.float64)
        if rows == 1:
            weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
        device = chosen_device(self.device)
        return weight.to(device), bias.to(device)


class LabelledRows:
    """Checked rows, class indices and weights of one call to `fit`.

    Args:
        estimator: Whose parameters say how to check and weigh; learns its number and names of features.
        X: Rows as they came.
        y: Labels as they came.
        sample_weight: Weights as they came.

    Raises:
        DataError: Fewer than two classes, or weights out of range.
    """

    def __init__(
        self,
        estimator: Any,  # noqa: ANN401 - either estimator of this package
        X: Any,  # noqa: ANN401
        y: Any,  # noqa: ANN401
        sample_weight: Any,  # noqa: ANN401
    ) -> None:
        X, labels = validate_data(estimator, readable(X), readable(y), accept_sparse=["csr", "csc"], dtype="numeric")
        self.rows = X
        self.columns = X.shape[1]
        self.dtype = np.dtype(np.float32 if X.dtype.name in {"float32", "float16"} else np.float64)
        self.labels = labels
        self.classes, self.targets = _classes_and_targets(labels)
        if len(self.classes) < 2:
            raise DataError(
                f"y: expected at least 2 classes, got 1 class: {self.classes[0]} in all {len(labels)} rows. "
                "A classifier needs samples of at least 2 classes in the data."
            )
        self.weights = None
        if sample_weight is not None:
            self.weights = _check_sample_weight(readable(sample_weight), X, dtype=np.float64, ensure_non_negative=True)

    def row_weights(self, class_weight: Any) -> NDArray[np.float64] | None:  # noqa: ANN401 - checked in `fit`
        """Sample weights times class weights; None where all are 1."""
        if class_weight is None:
            return self.weights
        of_class = compute_class_weight(class_weight, classes=self.classes, y=self.labels, sample_weight=self.weights)
        weights: NDArray[np.float64] = of_class[self.targets] * (1.0 if self.weights is None else self.weights)
        return weights

    def fit(
        self,
        estimator: Any,  # noqa: ANN401
        C: float,
        initial: tuple[Tensor, Tensor] | None,
        chosen: NDArray[np.intp] | None = None,
    ) -> LinearFit:
        """The solver's answer on all rows, or on those chosen.

        Two classes have one vector u in scikit-learn, and the penalty ||u||^2 / 2. Here each has its own, -u/2 and u/2,
        whose squares sum to ||u||^2 / 2: half of that, so the same optimum is at C / 2.
        """
        device = chosen_device(estimator.device)
        rows, targets = self.rows, self.targets
        weights = self.row_weights(estimator.class_weight)
        if chosen is not None:
            rows, targets = rows[chosen], targets[chosen]
            weights = None if weights is None else weights[chosen]
        seed = 0
        if estimator.random_state is not None:
            seed = int(check_random_state(estimator.random_state).randint(2**31 - 1))
        with _threads(estimator.n_jobs):
            return fit_softmax_regression(
                as_features(rows, device),
                torch.from_numpy(targets).to(device),
                classes=len(self.classes),
                C=C / 2 if len(self.classes) == 2 else C,
                fit_intercept=estimator.fit_intercept,
                sample_weight=None if weights is None else torch.from_numpy(np.array(weights)).to(device),
                tolerance=estimator.tol,
                max_iterations=estimator.max_iter,
                initial=initial,
                on_iteration=_report if estimator.verbose else None,
                seed=seed,
            )


def _classes_and_targets(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The labels there are, sorted, and the place of each row's among them.

    Whole numbers of a small range are counted, which takes a fifth of the time that finding their kind and sorting do.
    """
    whole = labels.dtype.kind in "biu" and labels.dtype != np.uint64
    if not whole or int(labels.max()) - int(labels.min()) >= _MOST_COUNTED:
        check_classification_targets(labels)
        classes, targets = np.unique(labels, return_inverse=True)
        return classes, targets
    lowest = labels.min()
    places = labels.astype(np.intp) - int(lowest)
    there = np.bincount(places) > 0
    return np.flatnonzero(there).astype(labels.dtype) + lowest, (there.cumsum() - 1)[places]


@contextmanager
def _threads(n_jobs: int | None) -> Iterator[None]:
    """Torch's threads at a number, and back."""
    if n_jobs is None or n_jobs <= 0:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(n_jobs)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _report(record: IterationRecord) -> None:
    """One line a step."""
    sys.stderr.write(
        f"step {record.iteration}: objective {record.objective:.7f}, certified gap {record.optimality_gap:.1e}, "
        f"{record.seconds:.1f} s\n"
    )


def advice(fit: LinearFit, estimator: Any) -> str:  # noqa: ANN401
    """What was reached, why no further, and what to do."""
    if "separable" in fit.message:
        return (
            "the classes are separable, so without a penalty no finite coefficients are best: they would grow forever. "
            f"Set C to a finite value, such as C=1e3. ({fit.message})"
        )
    if "limit" in fit.message:
        return f"{fit.message}, tol={estimator.tol:g}. Raise max_iter, or accept the gap by raising tol."
    return f"{fit.message}, tol={estimator.tol:g}. The coefficients are the best so far."
