"""scikit-learn's own suite for estimators, whole."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from polylogit import SoftmaxRegression, SoftmaxRegressionCV


@parametrize_with_checks([SoftmaxRegression(), SoftmaxRegressionCV(Cs=[0.1, 10.0], cv=3, tol=1e-10)])
@pytest.mark.filterwarnings("ignore:The least populated class in y has only:UserWarning")
def test_scikit_learn_checks(estimator, check):
    check(estimator)
