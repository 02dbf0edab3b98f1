"""scikit-learn's checks of estimators, all of them."""

import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from polylogit import SoftmaxRegression, SoftmaxRegressionCV


@parametrize_with_checks([SoftmaxRegression(), SoftmaxRegressionCV(Cs=[0.1, 10.0], cv=3)])
@pytest.mark.filterwarnings("ignore:The least populated class in y has only:UserWarning")
def test_scikit_learn_checks(estimator, check):
    if "sample_weight_equivalence" in check.func.__name__:
        # The check compares probabilities of two fits to 1e-7. Fits within a relative gap of tol may differ by about
        # its square root, so the check needs a tighter tol than the default.
        estimator = clone(estimator).set_params(tol=1e-14)
    check(estimator)
