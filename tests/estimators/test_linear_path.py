import numpy as np
import pytest
from sklearn import config_context
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_score

from polylogit import SoftmaxRegression, SoftmaxRegressionCV
from polylogit.errors import DataError

X, Y = load_iris(return_X_y=True)
WEIGHTS = np.linspace(0.5, 2, len(Y))
CS = [0.01, 1.0, 100.0]


def test_scores_are_those_of_separate_fits():
    folds = StratifiedKFold(3)
    model = SoftmaxRegressionCV(Cs=CS, cv=folds, tol=1e-10).fit(X, Y)
    for place, C in enumerate(CS):
        apart = cross_val_score(SoftmaxRegression(C=C, tol=1e-10), X, Y, cv=folds, scoring="neg_log_loss")
        np.testing.assert_allclose(model.scores_[:, place], apart, atol=1e-5)
    assert CS[int(model.scores_.mean(0).argmax())] == model.C_
    np.testing.assert_allclose(model.coef_, SoftmaxRegression(C=model.C_, tol=1e-10).fit(X, Y).coef_, atol=1e-6)


def test_accuracy_agrees_with_scikit_learn():
    model = SoftmaxRegressionCV(Cs=CS, cv=StratifiedKFold(3), scoring="accuracy", tol=1e-8).fit(X, Y)
    for place, C in enumerate(CS):
        theirs = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-10, max_iter=500)
        np.testing.assert_allclose(model.scores_[:, place], cross_val_score(theirs, X, Y, cv=StratifiedKFold(3)))
    assert model.score(X, Y) > 0.95


def test_a_number_of_values_is_a_grid():
    model = SoftmaxRegressionCV(Cs=4, cv=2, tol=1e-2).fit(X[50:], Y[50:])
    np.testing.assert_allclose(model.Cs_, np.logspace(-4, 4, 4))
    assert model.scores_.shape == (2, 4)
    assert model.coef_.shape == (1, 4)


def test_a_fold_may_lack_a_class():
    folds = [(np.arange(0, 150, 2), np.arange(1, 50, 2)), (np.arange(1, 150, 2), np.arange(50, 150, 2))]
    model = SoftmaxRegressionCV(Cs=CS, cv=folds).fit(X, Y)
    assert np.isfinite(model.scores_).all()


def test_groups_and_weights_are_routed():
    groups = np.arange(len(Y)) % 3
    with config_context(enable_metadata_routing=True):
        scorer = get_scorer("neg_log_loss").set_score_request(sample_weight=True)
        model = SoftmaxRegressionCV(Cs=CS, cv=GroupKFold(3), scoring=scorer)
        model.fit(X, Y, groups=groups, sample_weight=WEIGHTS)
    folds = list(GroupKFold(3).split(X, Y, groups))
    plain = SoftmaxRegressionCV(Cs=CS, cv=folds).fit(X, Y, sample_weight=WEIGHTS)
    np.testing.assert_allclose(model.scores_, plain.scores_, atol=1e-9)


def test_groups_without_routing_are_refused():
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        SoftmaxRegressionCV().fit(X, Y, groups=np.zeros(len(Y)))


def test_values_of_c_must_be_positive():
    with pytest.raises(DataError, match="positive numbers"):
        SoftmaxRegressionCV(Cs=[0.0, 1.0]).fit(X, Y)
