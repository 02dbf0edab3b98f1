"""`SoftmaxRegression`: agreement with `LogisticRegression`, input of any kind, messages, and use in scikit-learn."""

import inspect
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from joblib import effective_n_jobs
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits, load_iris, make_blobs, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from polylogit import SoftmaxClassifier, SoftmaxRegression, SoftmaxRegressionCV
from polylogit.errors import DataError, RecipeError

X_IRIS, Y_IRIS = load_iris(return_X_y=True)
X_IRIS = StandardScaler().fit_transform(X_IRIS)
TIGHT = 1e-12
SINCE_1_9 = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"), reason="scikit-learn itself differs before version 1.9"
)


def exact(**options):
    """scikit-learn run to convergence."""
    return LogisticRegression(solver="newton-cholesky", tol=1e-12, max_iter=1000, **options)


def assert_same_coefficients(ours, theirs, atol=1e-5):
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=atol)
    shift = 0.0 if len(ours.classes_) == 2 else theirs.intercept_.mean()
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_ - shift, atol=atol)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("C", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("classes", [2, 3])
def test_coefficients_agree_with_scikit_learn(fit_intercept, C, classes):
    chosen = classes > Y_IRIS
    ours = SoftmaxRegression(C=C, fit_intercept=fit_intercept, tol=TIGHT).fit(X_IRIS[chosen], Y_IRIS[chosen])
    theirs = exact(C=C, fit_intercept=fit_intercept).fit(X_IRIS[chosen], Y_IRIS[chosen])
    assert ours.coef_.shape == theirs.coef_.shape
    assert ours.intercept_.shape == theirs.intercept_.shape
    assert_same_coefficients(ours, theirs)
    np.testing.assert_allclose(ours.predict_proba(X_IRIS), theirs.predict_proba(X_IRIS), atol=1e-6)


def test_two_classes_predict_as_labelled():
    X, y = [[-1, 0], [0, 1], [1, 1]], np.array([0, 1, 1])
    for labels in (y, np.array(["no", "yes"])[y], y.astype(bool), y - 5):
        model = SoftmaxRegression(C=100.0).fit(X, labels)
        assert model.coef_.shape == (1, 2)
        np.testing.assert_array_equal(model.predict(X), labels)
        np.testing.assert_allclose(model.predict_proba(X).sum(1), 1)
        np.testing.assert_array_equal(model.predict_proba(X).argmax(1), y)


@pytest.mark.parametrize("C", [1.0, np.inf])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_solution_satisfies_the_first_order_conditions(C, fit_intercept):
    X, y = make_classification(400, 10, n_informative=6, n_redundant=0, n_classes=4, random_state=3)
    model = SoftmaxRegression(C=C, fit_intercept=fit_intercept, tol=1e-8).fit(X, y)
    residuals = model.predict_proba(X) - np.eye(4)[y]
    np.testing.assert_allclose(residuals.T @ X + model.coef_ / C, 0, atol=1e-2)
    if fit_intercept:
        np.testing.assert_allclose(residuals.sum(0), 0, atol=1e-2)


def test_multinomial_blobs_without_penalty_agree_with_scikit_learn():
    X, y = make_blobs(n_samples=200, centers=3, cluster_std=4.0, random_state=1)
    ours = SoftmaxRegression(C=np.inf, tol=1e-10).fit(X, y)
    theirs = exact(C=np.inf).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_ - theirs.coef_.mean(0), atol=1e-4)


def test_string_labels_give_the_same_model_as_numbers():
    X, y = make_classification(50, 10, n_classes=3, n_informative=4, random_state=0)
    names = np.array(["bar", "baz", "foo"])[y]
    by_name, by_number = SoftmaxRegression().fit(X, names), SoftmaxRegression().fit(X, y)
    np.testing.assert_array_equal(by_name.coef_, by_number.coef_)
    assert by_name.classes_.tolist() == ["bar", "baz", "foo"]
    assert set(by_name.predict(X)) <= {"bar", "baz", "foo"}


def test_probabilities_of_the_multinomial_model_beat_one_against_rest_in_log_loss():
    X, y = make_classification(10, 20, n_classes=3, n_informative=10, random_state=0)
    model = SoftmaxRegression().fit(X, y)
    probabilities = model.predict_proba(X)
    one_against_rest = 1 / (1 + np.exp(-model.decision_function(X)))
    one_against_rest /= one_against_rest.sum(1, keepdims=True)
    assert log_loss(y, probabilities) < log_loss(y, one_against_rest)
    np.testing.assert_allclose(np.log(probabilities), model.predict_log_proba(X), atol=1e-12)


def test_classes_that_overlap_nowhere_have_identifiable_coefficients():
    rng = np.random.default_rng(42)
    target = np.array([f"n{label}" for label in Y_IRIS])
    model = SoftmaxRegression(C=len(target), tol=1e-9).fit(X_IRIS + 0.1 * rng.standard_normal(X_IRIS.shape), target)
    np.testing.assert_allclose(model.coef_.sum(0), 0, atol=1e-9)
    assert model.intercept_.sum() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.csc_array])
def test_sparse_rows_give_the_dense_answer(container):
    X = np.where(np.abs(X_IRIS) > 0.8, X_IRIS, 0.0)
    dense = SoftmaxRegression(tol=TIGHT).fit(X, Y_IRIS)
    thin = SoftmaxRegression(tol=TIGHT).fit(container(X), Y_IRIS)
    np.testing.assert_allclose(thin.coef_, dense.coef_, atol=1e-5)
    np.testing.assert_allclose(thin.predict_proba(container(X)), dense.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X.astype(np.float32),
        np.asfortranarray,
        torch.tensor,
        lambda X: torch.tensor(X, requires_grad=True),
        lambda X: pd.DataFrame(X, columns=list("abcd")),
        lambda X: pl.DataFrame(X, schema=list("abcd")),
    ],
)
def test_containers_give_the_same_answer(convert):
    expected = SoftmaxRegression(tol=1e-6).fit(X_IRIS, Y_IRIS)
    model = SoftmaxRegression(tol=1e-6).fit(convert(X_IRIS), Y_IRIS)
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-4)
    np.testing.assert_array_equal(model.predict(convert(X_IRIS)), expected.predict(X_IRIS))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_whole_numbers_are_read_as_they_are(dtype):
    X, y = load_digits(return_X_y=True)
    X, y = X[:300], y[:300]
    expected = SoftmaxRegression(C=0.01).fit(X, y)
    np.testing.assert_allclose(SoftmaxRegression(C=0.01).fit(X.astype(dtype), y).coef_, expected.coef_, atol=1e-12)


def test_bfloat16_tensors_are_read_as_float32():
    rows = torch.tensor(X_IRIS, dtype=torch.bfloat16)
    model, wide = SoftmaxRegression().fit(rows, torch.tensor(Y_IRIS)), SoftmaxRegression().fit(rows.float(), Y_IRIS)
    np.testing.assert_array_equal(model.coef_, wide.coef_)
    np.testing.assert_array_equal(model.predict(rows), wide.predict(rows.float()))


def test_names_of_columns_are_kept():
    model = SoftmaxRegression().fit(pd.DataFrame(X_IRIS, columns=list("abcd")), Y_IRIS)
    assert model.feature_names_in_.tolist() == list("abcd")


def test_a_memory_map_is_read_in_place(tmp_path):
    np.save(tmp_path / "rows.npy", X_IRIS)
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    model = SoftmaxRegression().fit(rows, Y_IRIS)
    np.testing.assert_array_equal(model.coef_, SoftmaxRegression().fit(X_IRIS, Y_IRIS).coef_)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_coefficients_have_the_dtype_of_the_rows(dtype):
    model = SoftmaxRegression().fit(X_IRIS.astype(dtype), Y_IRIS)
    assert model.coef_.dtype == dtype
    assert model.predict_proba(X_IRIS.astype(dtype)).dtype == dtype


@pytest.mark.parametrize(
    "class_weight",
    [{0: 1.0, 1: 10.0, 2: 1.0}, {0: 1.0, 1: 2.0, 2: 3.0}, pytest.param("balanced", marks=SINCE_1_9), None],
)
def test_class_and_sample_weights_agree_with_scikit_learn(class_weight):
    X, y = X_IRIS[45:], Y_IRIS[45:]
    weights = np.random.default_rng(0).uniform(0, 3, len(y))
    ours = SoftmaxRegression(class_weight=class_weight, tol=TIGHT).fit(X, y, sample_weight=weights)
    theirs = exact(class_weight=class_weight).fit(X, y, sample_weight=weights)
    assert_same_coefficients(ours, theirs)


def test_sample_weights_are_not_changed():
    weights = np.linspace(0, 2, len(Y_IRIS))
    before = weights.copy()
    SoftmaxRegression(class_weight="balanced").fit(X_IRIS, Y_IRIS, sample_weight=weights)
    np.testing.assert_array_equal(weights, before)


def test_a_warm_start_at_the_optimum_takes_no_step():
    model = SoftmaxRegression(warm_start=True, tol=1e-6).fit(X_IRIS, Y_IRIS)
    first = model.coef_.copy()
    assert model.n_iter_[0] > 1
    model.fit(X_IRIS, Y_IRIS)
    assert model.n_iter_[0] == 0
    np.testing.assert_allclose(model.coef_, first, atol=1e-3)


def test_a_warm_start_of_two_classes_takes_no_step():
    X, y = X_IRIS[50:], Y_IRIS[50:]
    model = SoftmaxRegression(warm_start=True, tol=1e-6).fit(X, y)
    assert model.fit(X, y).n_iter_[0] == 0


@pytest.mark.parametrize("max_iter", [0, 1, 2])
def test_stopping_early_says_how_far_it_came(max_iter):
    with pytest.warns(ConvergenceWarning, match=rf"limit of {max_iter} iterations?, .*certified.*max_iter"):
        model = SoftmaxRegression(max_iter=max_iter, tol=1e-9).fit(X_IRIS, Y_IRIS)
    assert model.n_iter_[0] == max_iter
    assert model.optimality_gap_ > 1e-9


def test_separable_classes_without_a_penalty_are_named_in_the_warning():
    with pytest.warns(ConvergenceWarning, match="separable.*finite value"):
        SoftmaxRegression(C=np.inf).fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_unscaled_columns_converge_without_a_warning(scale):
    X, y = make_classification(500, 8, n_informative=6, n_classes=3, random_state=0)
    X = X * np.logspace(-3, 4, 8) * scale
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = SoftmaxRegression().fit(X, y)
    assert model.optimality_gap_ <= 1e-4


def test_a_large_sparse_matrix_is_fitted_without_a_dense_copy():
    X = sparse.random_array((50, 100_000), density=1e-4, rng=np.random.default_rng(0), format="csr")
    y = np.arange(50) % 5
    model = SoftmaxRegression().fit(X, y)
    assert model.coef_.shape == (5, 100_000)
    assert model.optimality_gap_ <= 1e-4


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_missing_and_infinite_values_are_an_error(bad):
    X = X_IRIS.copy()
    X[3, 2] = bad
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        SoftmaxRegression().fit(X, Y_IRIS)


def test_one_class_is_an_error():
    with pytest.raises(DataError, match="at least 2 classes, got 1 class"):
        SoftmaxRegression().fit(X_IRIS, np.zeros(len(X_IRIS)))


def test_works_in_pipelines_searches_and_calibration():
    pipeline = make_pipeline(StandardScaler(), SoftmaxRegression())
    assert cross_val_score(pipeline, X_IRIS, Y_IRIS, cv=3).mean() > 0.93
    search = GridSearchCV(SoftmaxRegression(), {"C": [1e-6, 1.0]}, cv=3).fit(X_IRIS, Y_IRIS)
    assert search.best_params_ == {"C": 1.0}
    calibrated = CalibratedClassifierCV(SoftmaxRegression(), cv=3).fit(X_IRIS, Y_IRIS)
    assert calibrated.score(X_IRIS, Y_IRIS) > 0.93
    assert clone(SoftmaxRegression(C=3.0)).C == 3.0


@SINCE_1_9
def test_weights_reach_the_fit_and_the_score_through_a_search_over_a_pipeline():
    weights = np.random.default_rng(0).uniform(0, 3, len(Y_IRIS))
    with config_context(enable_metadata_routing=True):
        model = SoftmaxRegression(tol=1e-10).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        search = GridSearchCV(pipeline, {"softmaxregression__C": [0.5]}, cv=3)
        search.fit(X_IRIS, Y_IRIS, sample_weight=weights)
    alone = SoftmaxRegression(C=0.5, tol=1e-10).fit(StandardScaler().fit_transform(X_IRIS), Y_IRIS, weights)
    np.testing.assert_allclose(search.best_estimator_[-1].coef_, alone.coef_, atol=1e-6)


@SINCE_1_9
def test_a_pipeline_may_pass_frames():
    frame = pd.DataFrame(X_IRIS, columns=list("abcd"))
    for kind in ("pandas", "polars"):
        pipeline = make_pipeline(StandardScaler(), SoftmaxRegression()).set_output(transform=kind).fit(frame, Y_IRIS)
        assert pipeline[-1].feature_names_in_.tolist() == list("abcd")
        assert pipeline.score(frame, Y_IRIS) > 0.93


def test_a_missing_device_is_named():
    with pytest.raises(RecipeError, match=r'device="warp": float64 cannot be computed there .* Use "cpu"'):
        SoftmaxRegression(device="warp").fit(X_IRIS, Y_IRIS)


def test_verbose_prints_objective_and_gap(capsys):
    SoftmaxRegression(verbose=1).fit(X_IRIS, Y_IRIS)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 2
    assert "objective" in lines[-1]
    assert "certified gap" in lines[-1]


def test_threads_are_given_back():
    before = torch.get_num_threads()
    SoftmaxRegression(n_jobs=1).fit(X_IRIS, Y_IRIS)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    "labels",
    [
        np.array([3, 7, 3, 5], dtype=np.int64),
        np.array([-128, 127, 127, -128], dtype=np.int8),
        np.array([255, 0, 7, 255], dtype=np.uint8),
        np.array([True, False, True, True]),
        np.array([2**63 + 1, 2**63, 2**63, 2**63 + 1], dtype=np.uint64),
        np.array([-(2**62), 2**62, 0, 0]),
        np.array([2.0, 1.0, 2.0, 3.0]),
        np.array(["b", "a", "b", "c"]),
    ],
    ids=lambda labels: str(labels.dtype),
)
def test_labels_of_any_kind_become_classes_as_in_numpy(labels):
    model = SoftmaxRegression(max_iter=200).fit(np.eye(4), labels)
    expected = np.unique(labels)
    assert model.classes_.dtype == expected.dtype
    np.testing.assert_array_equal(model.classes_, expected)
    np.testing.assert_array_equal(SoftmaxRegression(C=1e4).fit(np.eye(4), labels).predict(np.eye(4)), labels)


@pytest.mark.parametrize("dtype", [">f8", ">f4", ">i2", ">i8"])
def test_big_endian_numbers_give_the_same_model(dtype):
    numbers = np.round(X_IRIS * 100) if "i" in dtype else X_IRIS
    native = np.dtype(dtype).newbyteorder("=")
    swapped = SoftmaxRegression().fit(numbers.astype(dtype), Y_IRIS.astype(">i4"), np.ones(150, dtype=">f4"))
    plain = SoftmaxRegression().fit(numbers.astype(native), Y_IRIS.astype("i4"), np.ones(150, dtype="f4"))
    np.testing.assert_array_equal(swapped.coef_, plain.coef_)
    np.testing.assert_array_equal(swapped.predict(numbers.astype(dtype)), plain.predict(numbers.astype(native)))
    assert swapped.classes_.dtype.isnative


@pytest.mark.parametrize("device", ["cpu", "cpu:0", torch.device("cpu"), "auto"])
@pytest.mark.parametrize(
    "estimator",
    [SoftmaxRegression(), SoftmaxRegressionCV(Cs=[1.0], cv=2), SoftmaxClassifier(epochs=1)],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_device_is_named_alike_for_every_estimator(estimator, device):
    assert clone(estimator).set_params(device=device).fit(X_IRIS, Y_IRIS).predict(X_IRIS).shape == (150,)
    with pytest.raises(RecipeError, match=r'device="cuda:99": float.* cannot be computed there'):
        clone(estimator).set_params(device="cuda:99").fit(X_IRIS, Y_IRIS)


def test_coefficients_lie_in_column_major_order():
    for chosen in (Y_IRIS < 2, Y_IRIS < 3):
        model = SoftmaxRegression().fit(X_IRIS[chosen], Y_IRIS[chosen])
        assert model.coef_.flags.f_contiguous
        assert model.sparsify().densify().coef_.flags.f_contiguous
    assert model.sparsify().predict(X_IRIS).shape == (150,)


@pytest.mark.parametrize("n_jobs", [0, 1.5, "all"])
@pytest.mark.parametrize("estimator", [SoftmaxRegression(), SoftmaxRegressionCV()])
def test_n_jobs_is_validated(estimator, n_jobs):
    with pytest.raises(ValueError, match=r"The 'n_jobs' parameter of .* must be"):
        clone(estimator).set_params(n_jobs=n_jobs).fit(X_IRIS, Y_IRIS)


@pytest.mark.parametrize("n_jobs", [1, 2, -1, -2])
def test_n_jobs_is_a_number_of_threads(n_jobs, monkeypatch):
    seen = []
    monkeypatch.setattr(torch, "set_num_threads", seen.append)
    SoftmaxRegression(n_jobs=n_jobs).fit(X_IRIS, Y_IRIS)
    assert seen[0] == (n_jobs if n_jobs > 0 else effective_n_jobs(n_jobs))
    assert seen[-1] == torch.get_num_threads()


@pytest.mark.parametrize(
    ("estimator", "options", "message"),
    [
        (SoftmaxRegression, {"penalty": "l2"}, "SoftmaxRegression has no parameter 'penalty': .*C=inf"),
        (SoftmaxRegression, {"solver": "lbfgs"}, "'solver': leave it out"),
        (SoftmaxRegression, {"multi_class": "multinomial"}, "'multi_class': .*OneVsRestClassifier"),
        (SoftmaxRegression, {"dual": False}, "'dual'"),
        (SoftmaxRegressionCV, {"use_legacy_attributes": False}, "SoftmaxRegressionCV has no .*'use_legacy_attributes'"),
        (SoftmaxClassifier, {"hidden_layer_sizes": (10,)}, "SoftmaxClassifier .*'hidden_layer_sizes': use hidden"),
        (SoftmaxClassifier, {"alpha": 1e-4}, "'alpha': use weight_decay"),
    ],
)
def test_parameters_of_scikit_learn_get_a_hint(estimator, options, message):
    with pytest.raises(TypeError, match=message):
        estimator(**options)
    with pytest.raises(ValueError, match=message):
        estimator().set_params(**options)
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
        estimator(nonsense=1)
    with pytest.raises(ValueError, match="Invalid parameter 'nonsense'"):
        estimator().set_params(nonsense=1)


def test_every_parameter_of_scikit_learns_estimators_is_ours_or_has_a_hint():
    for ours, theirs in (
        (SoftmaxRegression, LogisticRegression),
        (SoftmaxRegressionCV, LogisticRegressionCV),
        (SoftmaxClassifier, MLPClassifier),
    ):
        known = set(ours().get_params()) | set(ours._hints)
        assert set(inspect.signature(theirs.__init__).parameters) - {"self"} <= known


@pytest.mark.parametrize(
    "fit",
    [
        lambda: SoftmaxRegression(max_iter=1, tol=1e-12).fit(X_IRIS, Y_IRIS),
        lambda: make_pipeline(StandardScaler(), SoftmaxRegression(max_iter=1, tol=1e-12)).fit(X_IRIS, Y_IRIS),
        lambda: SoftmaxRegressionCV(Cs=[1.0], cv=2, max_iter=1, tol=1e-12).fit(X_IRIS, Y_IRIS),
        lambda: cross_val_score(SoftmaxRegression(max_iter=1, tol=1e-12), X_IRIS, Y_IRIS, cv=2),
    ],
)
def test_warnings_point_at_the_line_of_the_caller(fit):
    with pytest.warns(ConvergenceWarning) as caught:
        fit()
    assert {warning.filename for warning in caught} == {__file__}


@pytest.mark.parametrize("name", ["coef_", "intercept_"])
def test_a_warm_start_from_nan_is_an_error(name):
    model = SoftmaxRegression(warm_start=True).fit(X_IRIS, Y_IRIS)
    getattr(model, name)[0] = np.nan
    with pytest.raises(DataError, match=f"warm_start: {name} of the last fit holds NaN or infinity"):
        model.fit(X_IRIS, Y_IRIS)


class Steps:
    """A callback that notes what it is called with."""

    def __init__(self):
        self.calls = []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def on_fit_task_begin(self, estimator, context, *, X=None):
        self.calls.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        able = fitted_estimator is not None and fitted_estimator.score(X_IRIS, Y_IRIS) > 0.5
        self.calls.append(f"end {context.task_name} {able}")

    def teardown(self, estimator, context):
        self.calls.append("teardown")


@pytest.mark.skipif(not hasattr(SoftmaxRegression, "set_callbacks"), reason="scikit-learn has callbacks from 1.9 on")
def test_callbacks_of_scikit_learn_are_called_at_each_step():
    steps = Steps()
    model = SoftmaxRegression(tol=1e-10).set_callbacks(steps).fit(X_IRIS, Y_IRIS)
    assert steps.calls[:3] == ["setup", "begin fit", "begin newton-step"]
    assert steps.calls[-2:] == ["end fit True", "teardown"]
    assert steps.calls.count("end newton-step False") == model.n_iter_[0] + 1
    steps = Steps()
    SoftmaxClassifier(epochs=3, learning_rate=0.05, random_state=0).set_callbacks(steps).fit(X_IRIS, Y_IRIS)
    assert steps.calls.count("end epoch True") == 3
    assert steps.calls[-2:] == ["end fit True", "teardown"]


@pytest.mark.parametrize("layout", ["csr", "strided"])
def test_tensors_of_any_layout_are_read(layout):
    rows = torch.tensor(X_IRIS).to_sparse_csr() if layout == "csr" else torch.tensor(X_IRIS, requires_grad=True)
    model = SoftmaxRegression().fit(rows, torch.tensor(Y_IRIS))
    np.testing.assert_allclose(model.coef_, SoftmaxRegression().fit(X_IRIS, Y_IRIS).coef_, atol=1e-2)
    assert isinstance(model.predict(rows), np.ndarray)
