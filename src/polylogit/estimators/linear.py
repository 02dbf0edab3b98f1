"""`SoftmaxRegression`: scikit-learn's multinomial logistic regression, solved to a certified distance from the optimum.

See also `polylogit.solver.softmax_regression`, the solver.
"""

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, ClassVar, no_type_check

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor
from torch.distributed import ProcessGroup

from polylogit.errors import DataError
from polylogit.estimators.array_conversion import as_numpy, in_namespace_of
from polylogit.estimators.caller_warnings import warn_caller
from polylogit.estimators.devices import find_device
from polylogit.estimators.fit_callbacks import FitCallbacks
from polylogit.estimators.labelled_rows import LabelledRows, group_of
from polylogit.estimators.linear_model import LinearSoftmaxModel, as_coefficients
from polylogit.estimators.parameter_hints import LINEAR_HINTS, with_hints
from polylogit.estimators.sklearn_compat import CallbackSupportMixin, Interval, StrOptions, fit_context
from polylogit.estimators.threads import torch_threads
from polylogit.solver.softmax_regression import LinearFit

__all__ = ["SoftmaxRegression", "convergence_advice"]


class SoftmaxRegression(CallbackSupportMixin, LinearSoftmaxModel):
    """Softmax (multinomial logistic) regression with an L2 or elastic-net penalty, solved to a certified gap.

    min over W, b of  C sum_n w_n loss_n + (1 - r) / 2 ||W||^2 + r ||W||_1

    with loss_n = logsumexp_k(z_nk) - z_n,y_n, z_n = W x_n + b and r = l1_ratio.

    This is the objective of scikit-learn's `LogisticRegression`; with two classes, as there, of one vector of
    coefficients. Columns need no scaling for the fit to converge.

    Parameters
    ----------
    C : float, default=1.0
        Inverse strength of the penalty; `inf` means no penalty.
    l1_ratio : float, default=0.0
        Share of the L1 norm in the penalty: 0 is L2, 1 is L1, and between them is the elastic net. With an L1 norm many
        coefficients are exactly 0. At 1 the best coefficients need not be unique.
    fit_intercept : bool, default=True
        Whether each class has an unpenalised intercept.
    class_weight : dict or "balanced", default=None
        A weight for each class label; a label that is left out has weight 1. "balanced" is the sum of the sample
        weights over K times their sum in the class. Class weights multiply `sample_weight`.
    tol : float, default=1e-4
        Certified relative gap of the objective at which to stop: `optimality_gap_` is then at most this.
    max_iter : int, default=200
        Maximum number of Newton steps.
    warm_start : bool, default=False
        Whether `fit` starts from the coefficients of the last fit.
    random_state : int, RandomState instance or None, default=None
        Seed of the rows that the preconditioner is sampled from. It changes the path, not the optimum. None is a fixed
        seed, so that the same input gives the same bits.
    n_jobs : int or None, default=None
        Number of threads; None leaves torch's own number, -1 is one thread per processor, -2 one fewer, and so on.
    device : str or torch.device, default="auto"
        "auto", or a device of torch that has float64, such as "cpu" or "cuda:0".
    verbose : int, default=0
        Whether to write the objective and the gap after each step to standard error.
    process_group : torch.distributed.ProcessGroup, "world" or None, default=None
        The processes that hold the rows together: each calls `fit` with its own rows, possibly none, and all get the
        same coefficients, exactly as from one process but for rounding. "world" is the default group of
        `torch.distributed`, and unlike a group object it survives a clone. None: this process holds all rows.

    Attributes:
    ----------
    classes_ : array of shape (n_classes,)
        Class labels, sorted.
    coef_ : array of shape (n_classes, n_features), or (1, n_features) for two classes
        Coefficients. With three or more classes and `l1_ratio=0` each column sums to zero.
    intercept_ : array of shape (n_classes,), or (1,) for two classes
        Intercepts.
    n_iter_ : array of shape (1,)
        Newton steps taken.
    optimality_gap_ : float
        Upper bound on (objective - optimum) / optimum.
    objective_ : float
        The objective divided by C sum_n w_n: mean loss plus penalty, in nats.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features_in_,)
        Column names, where X had text names.

    See Also:
    --------
    SoftmaxRegressionCV : The same model with C chosen by cross-validation.
    sklearn.linear_model.LogisticRegression : The same objective.

    References:
    ----------
    The objective: Bishop (2006), "Pattern Recognition and Machine Learning", section 4.3.4; Zou and Hastie (2005),
    "Regularization and variable selection via the elastic net", J. R. Stat. Soc. B 67. The solver and its bound:
    `polylogit.solver.softmax_regression`, `polylogit.solver.elastic_net`.

    Examples:
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SoftmaxRegression().fit(X, y)
    >>> model.score(X, y) > 0.96, model.optimality_gap_ <= 1e-4
    (True, True)
    """

    C: float
    l1_ratio: float
    fit_intercept: bool
    tol: float
    warm_start: bool
    n_jobs: int | None
    device: Any
    process_group: ProcessGroup | str | None

    _hints: ClassVar[Mapping[str, str]] = LINEAR_HINTS
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "C": [Interval(Real, 0, None, closed="right")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "fit_intercept": ["boolean"],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "n_jobs": [None, Interval(Integral, 1, None, closed="left"), Interval(Integral, None, -1, closed="right")],
        "device": [str, torch.device],
        "verbose": ["verbose"],
        "process_group": [ProcessGroup, StrOptions({"world"}), None],
    }

    @no_type_check  # scikit-learn validates parameters in `fit`, by `_parameter_constraints`, never here
    @with_hints(LINEAR_HINTS)
    def __init__(
        self,
        C: float = 1.0,
        *,
        l1_ratio: float = 0.0,
        fit_intercept: bool = True,
        class_weight: dict[Any, float] | str | None = None,
        tol: float = 1e-4,
        max_iter: int = 200,
        warm_start: bool = False,
        random_state: Any = None,  # noqa: ANN401 - scikit-learn's: None, int or RandomState
        n_jobs: int | None = None,
        device: str | torch.device = "auto",
        verbose: int = 0,
        process_group: ProcessGroup | str | None = None,
    ) -> None:
        self.C = C
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.device = device
        self.verbose = verbose
        self.process_group = process_group

    @fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]  # scikit-learn has no types
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "SoftmaxRegression":  # noqa: ANN401
        """Fit the coefficients.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features)
            Rows of any real dtype: an array, a frame, a CSR or CSC matrix, a tensor or a memory map.
        y : array-like of shape (n_samples,)
            Class labels: numbers or text.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row, 0 or more.

        Returns:
        -------
        self : SoftmaxRegression

        Raises:
        ------
        DataError
            There are fewer than two classes, or a weight is out of range. Ctrl-C ends the fit with the best
            coefficients so far, and warns.
        """
        rows = LabelledRows(self, X, y, sample_weight, group_of(self.process_group))
        callbacks = FitCallbacks(self, X, y, sample_weight, step="newton-step", steps=None)
        with torch_threads(self.n_jobs):
            fit = rows.fit(
                self,
                float(self.C),
                initial=self._last_coefficients(rows) if self.warm_start else None,
                on_iteration=lambda record: callbacks.step_done() if record.iteration else None,
            )
        self._take(as_coefficients(fit, rows.dtype), rows, X, y)
        self.optimality_gap_, self.objective_ = fit.optimality_gap, fit.objective
        self.n_iter_ = in_namespace_of(X, np.array([fit.iterations], dtype=np.int32))
        callbacks.end(lambda: {name: getattr(self, name) for name in ("classes_", "coef_", "intercept_")})
        if not fit.converged:
            warn_caller(convergence_advice(fit, self), ConvergenceWarning)
        return self

    def _last_coefficients(self, rows: LabelledRows) -> tuple[Tensor, Tensor] | None:
        """The coefficients of the last fit with one row per class; None where there are none of the right shape."""
        expected = (1 if len(rows.classes) == 2 else len(rows.classes), rows.columns)
        if not hasattr(self, "coef_") or tuple(self.coef_.shape) != expected:
            return None
        coef = self.coef_.toarray() if hasattr(self.coef_, "toarray") else as_numpy(self.coef_)
        weight = torch.tensor(np.asarray(coef), dtype=torch.float64)
        bias = torch.tensor(np.asarray(as_numpy(self.intercept_)), dtype=torch.float64)
        for name, values in (("coef_", weight), ("intercept_", bias)):
            if not bool(values.isfinite().all()):
                raise DataError(
                    f"warm_start: {name} of the last fit holds NaN or infinity. Set finite values, or fit with "
                    "warm_start=False."
                )
        if len(weight) == 1:
            weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
        device = find_device(self.device)
        return weight.to(device), bias.to(device)


def convergence_advice(fit: LinearFit, estimator: Any) -> str:  # noqa: ANN401 - either linear estimator
    """What was reached, what stopped the fit, and what to do.

    Args:
        fit: A fit that did not reach the tolerance.
        estimator: Its parameters are named.

    Returns:
        One message.
    """
    if fit.stop_reason == "separable":
        return (
            "the classes are separable: without a penalty no finite coefficients are best, and with a weak one they "
            f"are very large. Set C to a smaller finite value, such as C=1e3. ({fit.message})"
        )
    if fit.stop_reason == "weak_penalty":
        return f"{fit.message}. Scale the columns (StandardScaler), or lower C; a larger max_iter does not help."
    if fit.stop_reason == "iterations":
        return f"{fit.message}, tol={estimator.tol:g}. Raise max_iter, or accept the gap by raising tol."
    return f"{fit.message}, tol={estimator.tol:g}. The coefficients are the best so far."
