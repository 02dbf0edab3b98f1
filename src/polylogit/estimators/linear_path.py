"""`SoftmaxRegressionCV`: the inverse penalty C chosen on held-out rows, along a path of warm starts.

This module owns the grid, the folds and the choice; each fit is `SoftmaxRegression`'s.
"""

import warnings
from collections.abc import Callable
from numbers import Integral
from typing import Any, ClassVar, no_type_check

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer, get_scorer_names, log_loss, make_scorer
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import _check_method_params

from polylogit.errors import DataError
from polylogit.estimators.linear import LabelledRows, LinearSoftmaxClassifier, SoftmaxRegression, advice

__all__ = ["SoftmaxRegressionCV"]


class SoftmaxRegressionCV(LinearSoftmaxClassifier):
    """Softmax regression whose C is chosen by stratified cross-validation.

    For each fold, C runs from the strongest penalty to the weakest, each fit starting where the last ended. The C with
    the best mean score over the folds (the smallest of equals) is fitted to all rows.

    Args:
        Cs: How many values of C between 1e-4 and 1e4, spaced evenly in the logarithm, or the values themselves.
        fit_intercept: Whether each class has a free, unpenalised intercept.
        cv: Number of stratified folds, or a splitter, or pairs of row numbers; None is 5.
        scoring: A scorer's name or callable. The default, "neg_log_loss", judges the probabilities; "accuracy" judges
            the labels alone, as scikit-learn's `LogisticRegressionCV` does.
        class_weight: A weight for each class label, or "balanced", times `sample_weight`.
        tol: Certified relative gap of each fit.
        max_iter: Most Newton steps of each fit.
        random_state: Seed of the rows that the preconditioner is drawn from.
        n_jobs: Threads to use; None or -1 for torch's own number.
        device: "auto", or a torch device that has float64.
        verbose: Whether each step's objective and gap are written to standard error.

    Attributes:
        C_: The chosen C.
        Cs_: All values, in rising order.
        scores_: Score of each fold and C, shape (folds, len(Cs_)).
        classes_, coef_, intercept_, n_iter_, optimality_gap_, objective_: See `SoftmaxRegression`.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> model = SoftmaxRegressionCV(Cs=[0.01, 1.0, 100.0]).fit(X, y)
        >>> model.scores_.shape
        (5, 3)
        >>> model.C_ > 0.01
        True

    Source: warm-started paths: Friedman, Hastie and Tibshirani (2010), "Regularization paths for generalized linear
    models via coordinate descent", J. Stat. Softw. 33, section 2.5.
    """

    Cs: int | ArrayLike
    cv: Any
    scoring: Any

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        name: constraint
        for name, constraint in SoftmaxRegression._parameter_constraints.items()
        if name not in {"C", "warm_start"}
    } | {
        "Cs": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "cv": ["cv_object"],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
    }

    @no_type_check  # scikit-learn judges parameters in `fit`, by `_parameter_constraints`, never here
    def __init__(
        self,
        Cs: int | ArrayLike = 10,
        *,
        fit_intercept: bool = True,
        cv: Any = None,  # noqa: ANN401 - scikit-learn's: int, splitter, iterable or None
        scoring: Any = "neg_log_loss",  # noqa: ANN401 - scikit-learn's: name or callable
        class_weight: dict[Any, float] | str | None = None,
        tol: float = 1e-4,
        max_iter: int = 200,
        random_state: Any = None,  # noqa: ANN401
        n_jobs: int | None = None,
        device: str = "auto",
        verbose: int = 0,
    ) -> None:
        self.Cs = Cs
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.scoring = scoring
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.device = device
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> "SoftmaxRegressionCV":  # noqa: ANN401
        """Choose C on held-out rows and fit it to all.

        Args:
            X: Rows, shape (N, D): array, frame, CSR or CSC matrix, or torch tensor; any real dtype.
            y: Class labels, shape (N,): numbers or strings.
            sample_weight: Weight of each row, in the fits and in the scores, shape (N,).
            **params: Metadata that scikit-learn routes to the splitter and the scorer.

        Returns:
            The estimator.

        Raises:
            DataError: Fewer than two classes, or weights or values of C out of range.
        """
        rows = LabelledRows(self, X, y, sample_weight)
        self.classes_ = rows.classes
        self.Cs_ = self._grid()
        routed = self._routed(sample_weight, params)
        scorer = self._scorer(rows.classes)
        folds = check_cv(self.cv, rows.labels, classifier=True)
        self.scores_ = np.array(
            [
                self._path_scores(rows, fitted, scored, scorer, routed.scorer.score)
                for fitted, scored in folds.split(rows.rows, rows.labels, **routed.splitter.split)
            ]
        )
        self.C_ = float(self.Cs_[int(np.argmax(self.scores_.mean(0)))])
        fit = rows.fit(self, self.C_, initial=None)
        self.take(fit, rows.dtype)
        if not fit.converged:
            warnings.warn(advice(fit, self), ConvergenceWarning, stacklevel=2)
        return self

    def _grid(self) -> NDArray[np.float64]:
        """The values of C, in rising order."""
        if isinstance(self.Cs, Integral):
            return np.logspace(-4, 4, int(self.Cs))
        grid = np.unique(np.asarray(self.Cs, dtype=np.float64))
        if not len(grid) or not bool((grid > 0).all()):
            raise DataError(f"Cs: expected positive numbers, got {self.Cs}.")
        return grid

    def _path_scores(
        self,
        rows: LabelledRows,
        fitted: NDArray[np.intp],
        scored: NDArray[np.intp],
        scorer: Callable[..., float],
        params: dict[str, Any],
    ) -> list[float]:
        """Score of each C on one fold, each fit from the last one's coefficients."""
        model = SoftmaxRegression()
        model.classes_, model.n_features_in_ = rows.classes, rows.columns
        params = _check_method_params(X=rows.rows, params=params, indices=scored)
        initial, scores = None, []
        for C in self.Cs_:
            fit = rows.fit(self, float(C), initial, chosen=fitted)
            initial = (fit.weight, fit.bias)
            model.take(fit, rows.dtype)
            scores.append(float(scorer(model, rows.rows[scored], rows.labels[scored], **params)))
        return scores

    def _scorer(self, classes: NDArray[Any] | None = None) -> Any:  # noqa: ANN401 - scikit-learn's scorer
        """The scorer that was asked for; log loss is told of classes that a fold may lack."""
        if self.scoring == "neg_log_loss" and classes is not None:
            return make_scorer(log_loss, greater_is_better=False, response_method="predict_proba", labels=classes)
        return get_scorer("accuracy" if self.scoring is None else self.scoring)

    def score(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> float:  # noqa: ANN401
        """The score by `scoring` of the fitted model.

        Args:
            X: Rows, shape (N, D).
            y: Class labels, shape (N,).
            sample_weight: Weight of each row, shape (N,).
            **params: Metadata that scikit-learn routes to the scorer.

        Returns:
            The score; larger is better.
        """
        routed = self._routed(sample_weight, params, caller="score")
        return float(self._scorer(self.classes_)(self, X, y, **routed.scorer.score))

    def _routed(self, sample_weight: Any, params: dict[str, Any], caller: str = "fit") -> Any:  # noqa: ANN401
        """What scikit-learn sends to splitter and scorer; without its routing, the scorer gets the weights."""
        if get_config()["enable_metadata_routing"]:
            return process_routing(self, caller, sample_weight=sample_weight, **params)
        if params:
            raise ValueError(
                f"{caller}: got {sorted(params)}, which only reach the splitter or the scorer with "
                "sklearn.set_config(enable_metadata_routing=True)."
            )
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return Bunch(splitter=Bunch(split={}), scorer=Bunch(score=weights))

    def get_metadata_routing(self) -> MetadataRouter:
        """Who wants which metadata: this estimator, its splitter and its scorer."""
        to_scorer = MethodMapping().add(caller="fit", callee="score").add(caller="score", callee="score")
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(splitter=self.cv, method_mapping=MethodMapping().add(caller="fit", callee="split"))
            .add(scorer=self._scorer(), method_mapping=to_scorer)
        )
