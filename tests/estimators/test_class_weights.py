"""Class weights mean the same for every estimator, with and without sample weights."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from polylogit import DataError, SoftmaxClassifier, SoftmaxRegression, SoftmaxRegressionCV
from polylogit.estimators.class_weights import row_weights

X, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
KEEP = np.r_[0:10, 50:150]
X, Y = X[KEEP], Y[KEEP]
WEIGHTS = np.random.default_rng(0).integers(1, 4, len(Y)).astype(float)

ESTIMATORS = [
    SoftmaxRegression(tol=1e-12),
    SoftmaxRegressionCV(Cs=[1.0], cv=2, tol=1e-12),
    SoftmaxClassifier(epochs=2, random_state=0),
]


def balanced_by_hand():
    """Sum of the weights over K times their sum in the class, times the weight of the row."""
    in_class = np.bincount(Y, weights=WEIGHTS)
    return WEIGHTS * (WEIGHTS.sum() / (3 * in_class))[Y]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_balanced_counts_sample_weights(estimator):
    estimator.set_params(class_weight="balanced").fit(X, Y, sample_weight=WEIGHTS)
    balanced = estimator.predict_proba(X)
    by_hand = estimator.set_params(class_weight=None).fit(X, Y, sample_weight=balanced_by_hand()).predict_proba(X)
    unweighted = estimator.set_params(class_weight="balanced").fit(X, Y).predict_proba(X)
    np.testing.assert_allclose(balanced, by_hand, rtol=1e-4, atol=1e-6)
    assert not np.allclose(balanced, unweighted, atol=1e-4)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 5.0, 2: 0.5}, {0: 1, 1: 0, 2: 3}])
def test_class_weights_agree_with_scikit_learn(class_weight):
    weights = balanced_by_hand() if class_weight == "balanced" else WEIGHTS
    theirs = LogisticRegression(
        class_weight=None if class_weight == "balanced" else class_weight, solver="newton-cholesky", tol=1e-12
    ).fit(X, Y, sample_weight=weights)
    ours = SoftmaxRegression(class_weight=class_weight, tol=1e-13).fit(X, Y, sample_weight=WEIGHTS)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({0: 1.0, 7: 2.0}, r"class_weight: the label 7 is not among the classes \[0, 1, 2\], and 1 has no weight"),
        ({0: -1.0}, r"class_weight\[0\]: expected a finite number of 0 or more, got -1.0"),
        ({0: np.nan}, r"class_weight\[0\]: expected a finite number"),
        ({0: np.inf}, r"class_weight\[0\]: expected a finite number"),
        ({1: "heavy"}, r"class_weight\[1\]: expected a finite number of 0 or more, got 'heavy'"),
    ],
)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_a_bad_class_weight_is_named(estimator, class_weight, message):
    with pytest.raises(DataError, match=message):
        estimator.set_params(class_weight=class_weight).fit(X, Y)


def test_labels_beside_all_classes_are_accepted_as_by_scikit_learn():
    classes, targets = np.array(["a", "b"]), np.array([0, 1, 1])
    weights = row_weights({"a": 2.0, "b": 1.0, "c": 9.0}, classes, targets, None)
    np.testing.assert_array_equal(weights, [2.0, 1.0, 1.0])
