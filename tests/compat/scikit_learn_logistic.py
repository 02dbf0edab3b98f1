"""Run scikit-learn's own tests of LogisticRegression, from the installed version, on polylogit's estimators.

    python tests/compat/scikit_learn_logistic.py [pytest options]

`LogisticRegression` and `LogisticRegressionCV` are replaced by adapters that accept the same parameters. Cases that
need another solver are skipped, and cases that differ for a reason are listed in DIFFERENT with it. The
exit status is 1 if any other case fails, or a listed one passes. The adapters have the attributes of version 1.9: with
older versions, cases about the shapes of attributes fail.
"""

import os
import sys
from collections import Counter
from pathlib import Path
from typing import ClassVar

if __name__ == "__main__":
    os.environ.setdefault("SCIPY_ARRAY_API", "1")  # read when scipy is imported

import numpy as np
import pytest
import sklearn
import sklearn.linear_model
import torch
from sklearn.base import BaseEstimator
from sklearn.linear_model import _logistic

from polylogit import SoftmaxRegression, SoftmaxRegressionCV

TESTS = Path(sklearn.__file__).parent / "linear_model" / "tests" / "test_logistic.py"
SOLVERS = ("lbfgs", "newton-cholesky")
"""The solvers whose cases are run; those of the others repeat them."""

GAP = 1e-13
"""Largest gap of the fits: the tests compare coefficients more closely than the default tol promises."""

PARAMETERS = {
    name
    for estimator in (sklearn.linear_model.LogisticRegression, sklearn.linear_model.LogisticRegressionCV)
    for name in estimator().get_params()
}

NOT_HERE = "a warning or deprecation of a parameter that does not exist here"


def apply_or_skip(solver, penalty, dual, l1_ratio, multi_class):
    """Skip the case if it is about another solver or scheme of classes; its share of the L1 norm."""
    ratio = {"l1": 1.0, "l2": 0.0}.get(penalty, 0.0 if l1_ratio in {None, "warn"} else l1_ratio)
    if solver not in (("saga",) if ratio else SOLVERS):
        pytest.skip(f"solver {solver}")
    if dual:
        pytest.skip("dual formulation")
    if multi_class == "ovr":
        pytest.skip("one-vs-rest")
    return ratio


class LogisticRegression(SoftmaxRegression):
    """`SoftmaxRegression` with the parameters of `LogisticRegression`."""

    _parameter_constraints: ClassVar[dict] = {}

    def __init__(
        self,
        penalty="deprecated",
        *,
        C=1.0,
        l1_ratio=0.0,
        dual=False,
        tol=1e-4,
        fit_intercept=True,
        intercept_scaling=1,
        class_weight=None,
        random_state=None,
        solver="lbfgs",
        max_iter=100,
        verbose=0,
        warm_start=False,
        n_jobs=None,
        multi_class="deprecated",  # until scikit-learn 1.7
    ):
        self.penalty, self.dual, self.solver = penalty, dual, solver
        self.intercept_scaling, self.multi_class = intercept_scaling, multi_class
        super().__init__(
            C=C,
            l1_ratio=l1_ratio,
            tol=tol,
            fit_intercept=fit_intercept,
            class_weight=class_weight,
            random_state=random_state,
            max_iter=max_iter,
            verbose=verbose,
            warm_start=warm_start,
            n_jobs=n_jobs,
        )

    def get_params(self, deep=True):
        """The parameters that the installed version of scikit-learn has."""
        return {name: value for name, value in super().get_params(deep).items() if name in PARAMETERS}

    def set_params(self, **parameters):
        """Set parameters, those of scikit-learn included, which `SoftmaxRegression` answers with a hint."""
        return BaseEstimator.set_params(self, **parameters)

    def fit(self, X, y, sample_weight=None):
        ratio = apply_or_skip(self.solver, self.penalty, self.dual, self.l1_ratio, self.multi_class)
        asked = self.tol, self.C, self.l1_ratio
        self.tol, self.l1_ratio = min(self.tol, GAP), ratio
        self.C = np.inf if self.penalty is None else self.C
        try:
            return super().fit(X, y, sample_weight)
        finally:
            self.tol, self.C, self.l1_ratio = asked


class LogisticRegressionCV(SoftmaxRegressionCV):
    """`SoftmaxRegressionCV` with the parameters and attributes of `LogisticRegressionCV`."""

    _parameter_constraints: ClassVar[dict] = {}

    def __init__(
        self,
        *,
        Cs=10,
        l1_ratios="warn",
        fit_intercept=True,
        cv=None,
        dual=False,
        penalty="deprecated",
        scoring=None,
        solver="lbfgs",
        tol=1e-4,
        max_iter=100,
        class_weight=None,
        n_jobs=None,
        verbose=0,
        refit=True,
        intercept_scaling=1.0,
        random_state=None,
        use_legacy_attributes="warn",
        multi_class="deprecated",  # until scikit-learn 1.7
    ):
        self.penalty, self.l1_ratios, self.dual, self.solver = penalty, l1_ratios, dual, solver
        self.intercept_scaling, self.use_legacy_attributes = intercept_scaling, use_legacy_attributes
        self.multi_class = multi_class
        super().__init__(
            Cs=Cs,
            fit_intercept=fit_intercept,
            cv=cv,
            scoring=scoring,
            tol=tol,
            max_iter=max_iter,
            class_weight=class_weight,
            n_jobs=n_jobs,
            verbose=verbose,
            refit=refit,
            random_state=random_state,
        )

    def get_params(self, deep=True):
        """The parameters that the installed version of scikit-learn has."""
        return {name: value for name, value in super().get_params(deep).items() if name in PARAMETERS}

    def set_params(self, **parameters):
        """Set parameters, those of scikit-learn included, which `SoftmaxRegressionCV` answers with a hint."""
        return BaseEstimator.set_params(self, **parameters)

    def fit(self, X, y, sample_weight=None, **params):
        ratios = [0.0] if isinstance(self.l1_ratios, str) or self.l1_ratios is None else list(self.l1_ratios)
        shares = {apply_or_skip(self.solver, self.penalty, self.dual, ratio, self.multi_class) for ratio in ratios}
        if len(shares) > 1:
            pytest.skip("several values of l1_ratio")
        (self.l1_ratio,) = shares
        if self.use_legacy_attributes is True:
            pytest.skip("attributes in the shapes before scikit-learn 1.10")
        asked = self.tol
        self.tol = min(self.tol, GAP)
        try:
            super().fit(X, y, sample_weight, **params)
        finally:
            self.tol = asked
        for name in ("scores_", "n_iter_", "coefs_paths_"):
            setattr(self, name, getattr(self, name)[:, None])
        self.l1_ratio_, self.l1_ratios_ = self.l1_ratio, np.array([self.l1_ratio])
        return self


DIFFERENT = {
    "test_logistic_cv_multinomial_score[neg_log_loss-multiclass_agg_list3]": "compares with lbfgs at its own tolerance",
    "test_logreg_predict_proba_multinomial": "calls a private method of LogisticRegression",
    "test_get_default_scorer": "calls a private method of LogisticRegression",
    "test_max_iter": "asserts the words of scikit-learn's message",
    "test_logistic_regression_callback_support_warning": "asserts the words of scikit-learn's message",
    "test_warm_start_newton_solver": "two fits of one step differ from one of two: intercepts are optimal at the start",
    "test_zero_max_iter": "intercepts are optimal at the start, so that probabilities are not 1/2 without a step",
    "test_logistic_regression_callback_support[0]": "no step is reported for max_iter=0",
    "test_newton_cholesky_fallback_to_lbfgs": "no gap can be certified: the classes are separable and C=1e30",
    "test_penalty_none": NOT_HERE,
    "test_penalty_deprecated": NOT_HERE,
    "test_logisticregressioncv_warns_with_use_legacy_attributes": NOT_HERE,
    "test_l1_ratio_None_deprecated": NOT_HERE,
    "test_l1_ratio_non_elasticnet": NOT_HERE,
    "test_lr_penalty_l1ratio_incompatible[l1-0.0]": NOT_HERE,
    "test_logisticregression_warns_with_n_jobs": NOT_HERE,
    "test_lr_scoring_warns": NOT_HERE,
}
"""Cases that differ, by name or by name and parameters, and why."""


class Outcomes:
    """A pytest plugin that puts the adapters in place and counts what comes out."""

    def __init__(self):
        self.counts, self.reasons, self.surprises = Counter(), Counter(), []

    def pytest_collection(self):
        sklearn.linear_model.LogisticRegression = _logistic.LogisticRegression = LogisticRegression
        sklearn.linear_model.LogisticRegressionCV = _logistic.LogisticRegressionCV = LogisticRegressionCV

    def pytest_runtest_setup(self, item):
        if "-cuda-" in item.name and not torch.cuda.is_available():
            pytest.skip("no CUDA device")

    def pytest_runtest_logreport(self, report):
        if report.when != "call" and not (report.when == "setup" and report.skipped):
            return
        name = report.nodeid.split("::")[-1]
        reason = DIFFERENT.get(name, DIFFERENT.get(name.split("[")[0]))
        if report.skipped:
            self.counts["skipped"] += 1
            self.reasons[str(report.longrepr[-1]).removeprefix("Skipped: ")] += 1
        elif report.passed:
            self.counts["passed"] += 1
            if name in DIFFERENT:
                self.surprises.append(f"{name} passes now; remove it from DIFFERENT")
        elif reason is not None:
            self.counts["different for a reason"] += 1
            self.reasons[reason] += 1
        else:
            self.counts["failed"] += 1
            self.surprises.append(name)


def main(options):
    """Run the tests and print the counts."""
    outcomes = Outcomes()
    pytest.main(
        [
            *(str(TESTS), "-q", "-c", "/dev/null", "--rootdir", str(TESTS.parents[3]), "-p", "no:cacheprovider"),
            *("--no-header", "--tb=line", "-W", "ignore::pytest.PytestWarning", *options),
        ],
        plugins=[outcomes],
    )
    sys.stdout.write(f"\nscikit-learn {sklearn.__version__}: {sum(outcomes.counts.values())} cases\n")
    for counter in (outcomes.counts, outcomes.reasons):
        for name, count in counter.most_common():
            sys.stdout.write(f"{count:6} {name}\n")
        sys.stdout.write("\n")
    for name in outcomes.surprises:
        sys.stdout.write(f"FAILED {name}\n")
    return bool(outcomes.surprises)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
