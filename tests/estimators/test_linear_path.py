"""`SoftmaxRegressionCV`: the choice of C, its scores, its folds and metadata routing."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import sklearn
import torch
from scipy.sparse import csr_array
from scipy.special import logsumexp
from sklearn import config_context
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, get_scorer, make_scorer
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_score
from sklearn.utils.fixes import parse_version

from polylogit import SoftmaxRegression, SoftmaxRegressionCV
from polylogit.errors import DataError
from polylogit.estimators import fold_fits, labelled_rows
from polylogit.solver.newton_of_folds import NewtonOfFolds
from polylogit.solver.softmax_regression import fit_softmax_regression

X, Y = load_iris(return_X_y=True)
WEIGHTS = np.linspace(0.5, 2, len(Y))
CS = [0.01, 1.0, 100.0]
SINCE_1_9 = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"), reason="scikit-learn itself differs before version 1.9"
)


def test_scores_are_those_of_separate_fits():
    folds = StratifiedKFold(3)
    model = SoftmaxRegressionCV(Cs=CS, cv=folds, tol=1e-10).fit(X, Y)
    for place, C in enumerate(CS):
        apart = cross_val_score(SoftmaxRegression(C=C, tol=1e-10), X, Y, cv=folds, scoring="neg_log_loss")
        np.testing.assert_allclose(model.scores_[:, place], apart, atol=1e-5)
    assert CS[int(model.scores_.mean(0).argmax())] == model.C_
    np.testing.assert_allclose(model.coef_, SoftmaxRegression(C=model.C_, tol=1e-10).fit(X, Y).coef_, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_default_score_is_that_of_the_scorer(classes, dtype):
    kept = classes > Y
    rows, labels, weights = 20 * X[kept].astype(dtype), Y[kept], WEIGHTS[kept]  # some probabilities round to 0
    ours = SoftmaxRegressionCV(Cs=CS, cv=3).fit(rows, labels, weights).scores_
    theirs = SoftmaxRegressionCV(Cs=CS, cv=3, scoring=get_scorer("neg_log_loss")).fit(rows, labels, weights).scores_
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=0 if dtype == "float64" else np.finfo(dtype).eps)


@pytest.mark.parametrize(("classes", "options"), [(2, {}), (3, {}), (3, {"fit_intercept": False}), (2, {"tol": 1e-9})])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_folds_fitted_at_once_have_the_optima_of_each_alone(classes, options, class_weight):
    kept = classes > Y
    rows, labels, weights = X[kept], Y[kept], WEIGHTS[kept]
    repeated = np.repeat(np.arange(0, len(rows), 2), 2)  # a bootstrap takes rows several times
    folds = [*StratifiedKFold(3).split(rows, labels), (repeated, np.arange(1, len(rows), 2))]
    options = {"Cs": np.logspace(-3, 3, 7), "cv": folds, "class_weight": class_weight, **options}
    at_once = SoftmaxRegressionCV(**options).fit(rows, labels, weights)
    apart = SoftmaxRegressionCV(**{**options, "tol": 1e-10}).fit(csr_array(rows), labels, weights)
    assert at_once.optimality_gaps_.max() <= at_once.tol
    assert at_once.optimality_gaps_.max() > 0
    # The excess over the optimum, which the gap bounds, by the objective of each fold.
    shares = (
        weights if class_weight is None else weights * (weights.sum() / classes / np.bincount(labels, weights))[labels]
    )
    for fold, (fitted, _) in enumerate(folds):
        for place, C in enumerate(at_once.Cs_):
            reached, least = (
                objective(model.coefs_paths_[fold, place], rows[fitted], labels[fitted], shares[fitted], C)
                for model in (at_once, apart)
            )
            assert reached - least <= at_once.optimality_gaps_[fold, place] * least + 1e-9


def test_many_folds_are_fitted_in_batches_within_a_bound_on_their_numbers(monkeypatch):
    options = {"Cs": CS, "cv": StratifiedKFold(7)}
    all_at_once = SoftmaxRegressionCV(**options).fit(X, Y)
    sizes = []

    class Watched(NewtonOfFolds):
        def __init__(self, rows, targets, weights, **others):
            sizes.append(len(weights))
            super().__init__(rows, targets, weights, **others)

    monkeypatch.setattr(fold_fits, "NewtonOfFolds", Watched)
    monkeypatch.setattr(fold_fits, "MOST_NUMBERS", 3 * len(X) * (X.shape[1] + 1))
    in_batches = SoftmaxRegressionCV(**options).fit(X, Y)
    assert sizes == [3, 3, 1]
    np.testing.assert_array_equal(in_batches.n_iter_, all_at_once.n_iter_)
    np.testing.assert_allclose(in_batches.coefs_paths_, all_at_once.coefs_paths_, rtol=1e-9, atol=1e-12)


def objective(coefficients, rows, labels, weights, C):
    """scikit-learn's objective as a mean, of coefficients with or without an intercept."""
    columns = rows.shape[1]
    coef, intercept = coefficients[:, :columns], coefficients[:, columns:]
    logits = rows @ coef.T + (intercept.T if intercept.size else 0)
    if len(coef) == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], 1)
    losses = logsumexp(logits, axis=1) - logits[np.arange(len(rows)), labels]
    return (weights @ losses + np.square(coef).sum() / (2 * C)) / weights.sum()


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


def test_groups_without_routing_are_an_error():
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        SoftmaxRegressionCV().fit(X, Y, groups=np.zeros(len(Y)))


def test_values_of_c_must_be_positive():
    with pytest.raises(DataError, match="positive numbers"):
        SoftmaxRegressionCV(Cs=[0.0, 1.0]).fit(X, Y)


def test_there_must_be_a_fold():
    with pytest.raises(DataError, match="at least one fold"):
        SoftmaxRegressionCV(cv=[]).fit(X, Y)


def one_row_of_the_last_class():
    """Labels 0 and 1, and a single row of class 2, which all folds but one lack."""
    return X[:101], np.r_[Y[:100], [2]]


@pytest.mark.parametrize(
    "scoring",
    ["neg_log_loss", get_scorer("neg_log_loss"), "top_k_accuracy"]
    + [pytest.param(name, marks=SINCE_1_9) for name in ("neg_brier_score", "d2_log_loss_score")],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:The least populated class:UserWarning", "ignore:'y_true' contains classes")
def test_every_scorer_that_takes_labels_knows_the_classes_that_a_fold_lacks(scoring):
    rows, labels = one_row_of_the_last_class()
    model = SoftmaxRegressionCV(Cs=[1.0], scoring=scoring).fit(rows, labels)
    folds = list(StratifiedKFold(5).split(rows, labels))
    scorer = get_scorer(scoring) if isinstance(scoring, str) else scoring
    for (fitted, scored), score in zip(folds, model.scores_[:, 0], strict=True):
        if set(labels[scored]) == set(labels[fitted]) == {0, 1, 2}:
            assert scorer(SoftmaxRegression().fit(rows[fitted], labels[fitted]), rows[scored], labels[scored]) == score
    assert np.isfinite(model.scores_).all()


@SINCE_1_9
def test_the_score_of_a_fold_that_lacks_a_class_is_right():
    rows, labels = one_row_of_the_last_class()
    folds = [(np.r_[0:30, 50:101], np.r_[30:50]), (np.r_[0:50, 70:101], np.r_[50:70])]
    model = SoftmaxRegressionCV(Cs=[1.0], scoring="neg_brier_score", cv=folds, tol=1e-10).fit(rows, labels)
    for (fitted, scored), score in zip(folds, model.scores_[:, 0], strict=True):
        probabilities = SoftmaxRegression(tol=1e-10).fit(rows[fitted], labels[fitted]).predict_proba(rows[scored])
        expected = -((probabilities - np.eye(3)[labels[scored]]) ** 2).sum(1).mean()
        assert score == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("scoring", ["f1", "average_precision", "neg_log_loss", "roc_auc", "precision"])
def test_scores_of_two_classes_with_text_labels(scoring):
    kept = Y > 0
    names = np.array(["", "no", "yes"])[Y[kept]]
    by_name = SoftmaxRegressionCV(Cs=[1.0], scoring=scoring, tol=1e-10).fit(X[kept], names)
    by_number = SoftmaxRegressionCV(Cs=[1.0], scoring=scoring, tol=1e-10).fit(X[kept], Y[kept] - 1)
    np.testing.assert_allclose(by_name.scores_, by_number.scores_)


def test_parameters_of_the_scorer_itself_are_kept():
    scorer = make_scorer(f1_score, average="macro", labels=[0, 1])
    model = SoftmaxRegressionCV(Cs=[1.0], cv=StratifiedKFold(3), scoring=scorer, tol=1e-8).fit(X, Y)
    expected = cross_val_score(SoftmaxRegression(tol=1e-8), X, Y, cv=StratifiedKFold(3), scoring=scorer)
    np.testing.assert_allclose(model.scores_[:, 0], expected)


def test_weights_of_a_routed_score_count_or_are_an_error():
    weights = np.r_[np.ones(75), np.full(75, 50.0)]
    accuracy = get_scorer("accuracy")
    with config_context(enable_metadata_routing=True):
        unweighted = SoftmaxRegressionCV(
            Cs=[1.0], cv=3, scoring=copy.deepcopy(accuracy).set_score_request(sample_weight=False)
        ).fit(X, Y)
        with pytest.raises(TypeError, match="score: got sample_weight, which the scorer does not request"):
            unweighted.score(X, Y, sample_weight=weights)
        weighted = SoftmaxRegressionCV(
            Cs=[1.0], cv=3, scoring=copy.deepcopy(accuracy).set_score_request(sample_weight=True)
        ).fit(X, Y)
        score = weighted.score(X, Y, sample_weight=weights)
    assert score == pytest.approx(np.average(weighted.predict(X) == Y, weights=weights))
    assert score != pytest.approx(weighted.score(X, Y))


def test_fits_of_folds_are_reported():
    model = SoftmaxRegressionCV(Cs=CS, cv=4, tol=1e-6).fit(X, Y)
    assert model.coefs_paths_.shape == (4, 3, 3, 5)
    assert model.n_iter_.shape == model.optimality_gaps_.shape == (4, 3)
    assert model.optimality_gaps_.max() <= 1e-6
    fitted, _ = next(StratifiedKFold(4).split(X, Y))
    alone = SoftmaxRegression(C=CS[1], tol=1e-12).fit(X[fitted], Y[fitted])
    np.testing.assert_allclose(model.coefs_paths_[0, 1, :, :-1], alone.coef_, atol=1e-2)
    without = SoftmaxRegressionCV(Cs=CS, cv=2, fit_intercept=False).fit(X, Y)
    assert without.coefs_paths_.shape == (2, 3, 3, 4)


def test_folds_that_do_not_converge_give_one_warning():
    with pytest.warns(ConvergenceWarning) as caught:
        SoftmaxRegressionCV(Cs=CS, cv=3, max_iter=1, tol=1e-12).fit(X, Y)
    messages = [str(warning.message) for warning in caught]
    assert len(messages) == 2
    assert "9 of 9 fits of folds did not reach tol=1e-12; see optimality_gaps_" in messages[1]


def test_folds_without_a_score_are_left_out_of_the_choice():
    folds = [(np.arange(150), np.arange(50)), *StratifiedKFold(2).split(X, Y)]

    def scorer(model, rows, labels):
        return np.nan if len(set(labels)) == 1 else model.score(rows, labels)

    with pytest.warns(UndefinedMetricWarning, match="is NaN in 1 of 3 folds"):
        model = SoftmaxRegressionCV(Cs=CS, cv=folds, scoring=scorer).fit(X, Y)
    assert CS[int(model.scores_[1:].mean(0).argmax())] == model.C_
    with pytest.raises(DataError, match="is NaN in every fold"):
        SoftmaxRegressionCV(Cs=CS, cv=3, scoring=lambda *_: np.nan).fit(X, Y)


def test_without_refit_coefficients_are_the_mean_over_folds():
    model = SoftmaxRegressionCV(Cs=CS, cv=3, refit=False).fit(X, Y)
    best = model.scores_.argmax(axis=1)
    mean = np.mean([model.coefs_paths_[fold, at] for fold, at in enumerate(best)], axis=0)
    np.testing.assert_allclose(model.coef_, mean[:, :-1])
    np.testing.assert_allclose(model.intercept_, mean[:, -1])
    assert pytest.approx(np.exp(np.log(np.array(CS)[best]).mean())) == model.C_
    assert model.score(X, Y) < 0


@pytest.mark.parametrize("n_jobs", [2, -1])
def test_folds_in_parallel_give_the_same_scores(n_jobs):
    before = torch.get_num_threads()
    apart = SoftmaxRegressionCV(Cs=CS, cv=3, n_jobs=n_jobs, tol=1e-10).fit(X, Y)
    np.testing.assert_allclose(apart.scores_, SoftmaxRegressionCV(Cs=CS, cv=3, tol=1e-10).fit(X, Y).scores_, atol=1e-7)
    assert torch.get_num_threads() == before


def test_an_interrupt_ends_all_folds(monkeypatch):
    calls = []

    def interrupted(*arguments, **options):
        calls.append(options["C"])
        return replace(fit_softmax_regression(*arguments, **options), stop_reason="interrupted")

    monkeypatch.setattr(labelled_rows, "fit_softmax_regression", interrupted)
    with pytest.raises(KeyboardInterrupt):
        SoftmaxRegressionCV(Cs=CS, cv=3).fit(csr_array(X), Y)
    assert calls == CS[:1]
