"""`SoftmaxRegressionCV`: the inverse penalty C chosen by cross-validation, along a path of warm starts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, ClassVar, no_type_check

import numpy as np
import torch
from joblib import effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from sklearn import get_config
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.metrics import get_scorer_names
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.parallel import Parallel, delayed

from polylogit.errors import DataError
from polylogit.estimators.array_conversion import as_numpy, in_namespace_of
from polylogit.estimators.caller_warnings import warn_caller
from polylogit.estimators.fold_fits import small_fits_of_folds
from polylogit.estimators.fold_scorer import find_scorer, negative_log_loss, scorer_for_classes
from polylogit.estimators.labelled_rows import LabelledRows
from polylogit.estimators.linear import SoftmaxRegression, convergence_advice
from polylogit.estimators.linear_model import LinearSoftmaxModel, as_coefficients
from polylogit.estimators.parameter_hints import PATH_HINTS, with_hints
from polylogit.estimators.sklearn_compat import Interval, StrOptions, check_method_params, fit_context
from polylogit.estimators.threads import torch_threads
from polylogit.solver.softmax_regression import LinearFit

__all__ = ["SoftmaxRegressionCV"]


class SoftmaxRegressionCV(LinearSoftmaxModel):
    """Softmax regression whose C is chosen by stratified cross-validation.

    For each fold, C runs from the strongest penalty to the weakest, and each fit starts from the coefficients of the
    one before. The C with the best mean score over the folds (the smallest of equals) is fitted to all rows.

    Parameters
    ----------
    Cs : int or array-like of shape (n_cs,), default=10
        How many values of C between 1e-4 and 1e4, spaced evenly in the logarithm; or the values themselves.
    l1_ratio : float, default=0.0
        As in `SoftmaxRegression`, one value for the whole path.
    fit_intercept : bool, default=True
        Whether each class has an unpenalised intercept.
    cv : int, splitter or iterable, default=None
        Number of stratified folds, or a splitter, or pairs of row indices; None means 5 folds.
    scoring : str or callable, default="neg_log_loss"
        A scorer. The default evaluates the probabilities. "accuracy" and None evaluate the labels alone, as
        `LogisticRegressionCV` does by default up to scikit-learn 1.9. Metrics that take `labels` get all classes, so
        that a fold may lack one.
    refit : bool, default=True
        Whether the best C is fitted to all rows. Otherwise the coefficients are the mean over the folds of those at the
        best C of each fold, and `C_` is the geometric mean of these.
    class_weight : dict or "balanced", default=None
        As in `SoftmaxRegression`. "balanced" is taken from all rows.
    tol : float, default=1e-4
        Certified relative gap of each fit.
    max_iter : int, default=200
        Maximum number of Newton steps of each fit.
    random_state : int, RandomState instance or None, default=None
        Seed of the rows that the preconditioner is sampled from.
    n_jobs : int or None, default=None
        Number of folds that are fitted at the same time, in threads; None fits one after the other with all of torch's
        threads, -1 is one fold per processor, -2 one fewer, and so on.
    device : str or torch.device, default="auto"
        "auto", or a device of torch that has float64, such as "cpu" or "cuda:0".
    verbose : int, default=0
        Whether to write the objective and the gap after each step to standard error.

    Attributes:
    ----------
    C_ : float
        The chosen C.
    Cs_ : array of shape (n_cs,)
        All values, in ascending order.
    scores_ : array of shape (n_folds, n_cs)
        Score of each fold and C.
    coefs_paths_ : array of shape (n_folds, n_cs, n_classes or 1, n_features or n_features + 1)
        Coefficients of each fold and C, with the intercept last where there is one.
    n_iter_ : array of shape (n_folds, n_cs)
        Newton steps of each fold and C.
    optimality_gaps_ : array of shape (n_folds, n_cs)
        Certified gap of each fold and C.
    optimality_gap_, objective_ : float
        Of the final fit, as in `SoftmaxRegression`; only with `refit`.
    classes_, coef_, intercept_, n_features_in_, feature_names_in_
        As in `SoftmaxRegression`.

    See Also:
    --------
    SoftmaxRegression : The same model at a given C.

    References:
    ----------
    Warm-started paths: Friedman, Hastie and Tibshirani (2010), "Regularization paths for generalized linear models via
    coordinate descent", J. Stat. Softw. 33, section 2.5.

    Examples:
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SoftmaxRegressionCV(Cs=[0.01, 1.0, 100.0]).fit(X, y)
    >>> model.scores_.shape
    (5, 3)
    >>> model.C_ > 0.01
    True
    """

    Cs: int | ArrayLike
    cv: Any
    scoring: Any
    refit: bool
    l1_ratio: float
    fit_intercept: bool
    tol: float
    n_jobs: int | None

    _hints: ClassVar[Mapping[str, str]] = PATH_HINTS
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        name: constraint
        for name, constraint in SoftmaxRegression._parameter_constraints.items()
        if name not in {"C", "warm_start"}
    } | {
        "Cs": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "cv": ["cv_object"],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "refit": ["boolean"],
    }

    @no_type_check  # scikit-learn validates parameters in `fit`, by `_parameter_constraints`, never here
    @with_hints(PATH_HINTS)
    def __init__(
        self,
        Cs: int | ArrayLike = 10,
        *,
        l1_ratio: float = 0.0,
        fit_intercept: bool = True,
        cv: Any = None,  # noqa: ANN401 - scikit-learn's: int, splitter, iterable or None
        scoring: Any = "neg_log_loss",  # noqa: ANN401 - scikit-learn's: name or callable
        refit: bool = True,
        class_weight: dict[Any, float] | str | None = None,
        tol: float = 1e-4,
        max_iter: int = 200,
        random_state: Any = None,  # noqa: ANN401
        n_jobs: int | None = None,
        device: str | torch.device = "auto",
        verbose: int = 0,
    ) -> None:
        self.Cs = Cs
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.scoring = scoring
        self.refit = refit
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.device = device
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]  # scikit-learn has no types
    def fit(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> "SoftmaxRegressionCV":  # noqa: ANN401
        """Choose C by cross-validation and fit it to all rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features)
            Rows of any real dtype.
        y : array-like of shape (n_samples,)
            Class labels: numbers or text.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row, in the fits and, unless routed otherwise, in the scores.
        **params : dict
            Metadata that scikit-learn routes to the splitter and the scorer.

        Returns:
        -------
        self : SoftmaxRegressionCV

        Raises:
        ------
        DataError
            There are fewer than two classes, a weight or a value of C is out of range, there is no fold, or no fold has
            a score.
        KeyboardInterrupt
            Ctrl-C during the fit of a fold. During the final fit it gives the best coefficients so far, and a warning.
        """
        rows = LabelledRows(self, X, y, sample_weight)
        Cs = self._grid()
        sample_weight = as_numpy(sample_weight)
        routed = self._routed(sample_weight, params)
        scorer = scorer_for_classes(self.scoring, rows.classes)
        folds = list(
            check_cv(self.cv, rows.labels, classifier=True).split(rows.rows, rows.labels, **routed.splitter.split)
        )
        if not folds:
            raise DataError(f"cv: expected at least one fold, got {self.cv!r} without any.")
        with torch_threads(1):
            known = small_fits_of_folds(self, rows, folds, Cs)
        jobs = min(effective_n_jobs(self.n_jobs), len(folds))
        threads = max(1, torch.get_num_threads() // jobs)
        paths: list[_Path] = Parallel(n_jobs=jobs, prefer="threads")(
            delayed(self._path)(
                rows,
                fold,
                Cs,
                [None] * len(Cs) if known is None else known[place],
                scorer=scorer,
                params=routed.scorer.score,
                threads=threads,
            )
            for place, fold in enumerate(folds)
        )
        self._take_paths(paths, Cs, X)
        usable = [path for path in paths if not np.isnan(path.scores).any()]
        if not usable:
            raise DataError(
                f"scoring={self.scoring!r} is NaN in every fold. Choose a score that is defined there, or other folds."
            )
        if self.refit:
            self.C_ = float(Cs[int(np.argmax(np.mean([path.scores for path in usable], axis=0)))])
            fit = rows.fit(self, self.C_)
            self._take(as_coefficients(fit, rows.dtype), rows, X, y)
            self.optimality_gap_, self.objective_ = fit.optimality_gap, fit.objective
            if not fit.converged:
                warn_caller(convergence_advice(fit, self), ConvergenceWarning)
        else:
            self._take_mean(usable, Cs, rows, X, y)
        self._warn_of_folds(paths, Cs)
        return self

    def _grid(self) -> NDArray[np.float64]:
        """The values of C, in ascending order."""
        if isinstance(self.Cs, Integral):
            return np.logspace(-4, 4, int(self.Cs))
        grid = np.unique(np.asarray(as_numpy(self.Cs), dtype=np.float64))
        if grid.ndim != 1 or not len(grid) or not bool((grid > 0).all()):
            raise DataError(f"Cs: expected positive numbers, got {self.Cs}.")
        return grid

    def _path(
        self,
        rows: LabelledRows,
        fold: tuple[NDArray[np.intp], NDArray[np.intp]],
        Cs: NDArray[np.float64],
        known: Sequence[LinearFit | None],
        *,
        scorer: Callable[..., float],
        params: dict[str, Any],
        threads: int,
    ) -> "_Path":
        """The fits of one fold, those not known from the coefficients of the one before, and their scores."""
        fitted, scored = fold
        model = SoftmaxRegression()
        model.classes_, model.n_features_in_ = rows.classes, rows.columns
        params = check_method_params(X=rows.rows, params=params, indices=scored)
        path, initial = _Path([], [], []), None
        with torch_threads(threads):
            for C, known_fit in zip(Cs, known, strict=True):
                fit = known_fit or rows.fit(self, float(C), initial=initial, chosen=fitted)
                if fit.stop_reason == "interrupted":
                    raise KeyboardInterrupt
                initial = (fit.weight, fit.bias)
                model.coef_, model.intercept_ = as_coefficients(fit, rows.dtype)
                path.fits.append(replace(fit, weight=fit.weight.new_empty(0, 0), bias=fit.bias.new_empty(0)))
                path.coefficients.append(self._with_intercept(model.coef_, model.intercept_))
                if self.scoring == "neg_log_loss":
                    score = negative_log_loss(
                        rows.rows[scored], rows.targets[scored], coef=model.coef_, intercept=model.intercept_, **params
                    )
                else:
                    score = float(scorer(model, rows.rows[scored], rows.labels[scored], **params))
                path.scores.append(score)
        return path

    def _with_intercept(self, coef: NDArray[Any], intercept: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([coef, intercept[:, None]], axis=1) if self.fit_intercept else coef

    def _take_paths(self, paths: "list[_Path]", Cs: NDArray[np.float64], X: Any) -> None:  # noqa: ANN401
        """Set the attributes that have a value for each fold and C."""
        attributes = {
            "Cs_": Cs,
            "scores_": np.array([path.scores for path in paths]),
            "coefs_paths_": np.array([path.coefficients for path in paths]),
            "n_iter_": np.array([[fit.iterations for fit in path.fits] for path in paths], dtype=np.int32),
            "optimality_gaps_": np.array([[fit.optimality_gap for fit in path.fits] for path in paths]),
        }
        for name, values in attributes.items():
            setattr(self, name, in_namespace_of(X, values))

    def _take_mean(
        self,
        paths: "list[_Path]",
        Cs: NDArray[np.float64],
        rows: LabelledRows,
        X: Any,  # noqa: ANN401
        y: Any,  # noqa: ANN401
    ) -> None:
        """Set the coefficients to the mean over the folds of those at the best C of each."""
        best = [int(np.argmax(path.scores)) for path in paths]
        mean = np.mean([path.coefficients[at] for path, at in zip(paths, best, strict=True)], axis=0)
        coef, intercept = (mean[:, :-1], mean[:, -1]) if self.fit_intercept else (mean, np.zeros(len(mean)))
        self.C_ = float(np.exp(np.mean(np.log(Cs[best]))))
        self._take((np.asfortranarray(coef.astype(rows.dtype)), intercept.astype(rows.dtype)), rows, X, y)

    def _warn_of_folds(self, paths: "list[_Path]", Cs: NDArray[np.float64]) -> None:
        """One warning for all fits of folds that did not reach the tolerance, and one for scores that are NaN."""
        failed = [
            (fit.optimality_gap, fold, C, fit)
            for fold, path in enumerate(paths)
            for C, fit in zip(Cs, path.fits, strict=True)
            if not fit.converged
        ]
        if failed:
            gap, fold, C, fit = max(failed, key=lambda item: item[0])
            warn_caller(
                f"{len(failed)} of {len(paths) * len(Cs)} fits of folds did not reach tol={self.tol:g}; see "
                f"optimality_gaps_. The largest gap is {gap:.1e}, in fold {fold} at C={C:g}: "
                f"{convergence_advice(fit, self)}",
                ConvergenceWarning,
            )
        undefined = sum(bool(np.isnan(path.scores).any()) for path in paths)
        if undefined:
            warn_caller(
                f"scoring={self.scoring!r} is NaN in {undefined} of {len(paths)} folds (see scores_), which are left "
                "out of the choice of C. Choose a score that is defined there, or other folds.",
                UndefinedMetricWarning,
            )

    def score(self, X: Any, y: Any, sample_weight: Any = None, **params: Any) -> float:  # noqa: ANN401
        """Score of the fitted model by `scoring`.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.
        **params : dict
            Metadata that scikit-learn routes to the scorer.

        Returns:
        -------
        score : float
            Larger is better.
        """
        sample_weight = as_numpy(sample_weight)
        routed = self._routed(sample_weight, params, caller="score")
        if sample_weight is not None and "sample_weight" not in routed.scorer.score:
            raise TypeError(
                "score: got sample_weight, which the scorer does not request, so that it would have no effect. Use "
                "scoring=get_scorer(...).set_score_request(sample_weight=True), or leave it out."
            )
        scorer = scorer_for_classes(self.scoring, as_numpy(self.classes_))
        return float(scorer(self, as_numpy(X), as_numpy(y), **routed.scorer.score))

    def _routed(self, sample_weight: Any, params: dict[str, Any], caller: str = "fit") -> Any:  # noqa: ANN401
        """Metadata for the splitter and the scorer; without scikit-learn's routing, the scorer gets the weights."""
        if get_config()["enable_metadata_routing"]:
            return process_routing(self, caller, sample_weight=sample_weight, **params)
        if params:
            raise ValueError(
                f"{caller}: passing {', '.join(sorted(params))} to the splitter or the scorer is only supported if "
                "enable_metadata_routing=True. Call sklearn.set_config(enable_metadata_routing=True)."
            )
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return Bunch(splitter=Bunch(split={}), scorer=Bunch(score=weights))

    def get_metadata_routing(self) -> MetadataRouter:
        """Metadata routing of this estimator, its splitter and its scorer.

        Returns:
        -------
        routing : MetadataRouter
        """
        to_scorer = MethodMapping().add(caller="fit", callee="score").add(caller="score", callee="score")
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(splitter=self.cv, method_mapping=MethodMapping().add(caller="fit", callee="split"))
            .add(scorer=find_scorer(self.scoring), method_mapping=to_scorer)
        )


@dataclass
class _Path:
    """Scores, fits without their weights, and coefficients of one fold, one for each C."""

    scores: list[float]
    fits: list[LinearFit]
    coefficients: list[NDArray[Any]]
