"""scikit-learn's checks of array API support, run by test_array_api.py in a process with SCIPY_ARRAY_API=1."""

import sys
import warnings

import torch
from sklearn import config_context
from sklearn.datasets import load_iris
from sklearn.utils.estimator_checks import check_array_api_input

from polylogit import SoftmaxClassifier, SoftmaxRegression, SoftmaxRegressionCV

ESTIMATORS = [
    SoftmaxRegression(tol=1e-10),
    SoftmaxRegressionCV(Cs=[0.1, 10.0], cv=3, tol=1e-10),
    SoftmaxClassifier(epochs=2, hidden=8, random_state=0),
]


def run_checks(estimator):
    """scikit-learn's own checks, for three array libraries and two precisions."""
    name = type(estimator).__name__
    for namespace in ("numpy", "array_api_strict", "torch"):
        for dtype in ("float64", "float32"):
            # scikit-learn averages the accuracy of torch labels in float32, so values are compared where it is 1.
            values = dtype == "float64" and not isinstance(estimator, SoftmaxClassifier)
            check_array_api_input(
                name, estimator, namespace, dtype_name=dtype, check_values=values, check_sample_weight=True
            )
            sys.stdout.write(f"{name} {namespace} {dtype}\n")


def run_fits_to_tensors(estimator):
    """Fits and answers with and without dispatch, with a graph behind the rows, and with labels of text."""
    X, y = load_iris(return_X_y=True)
    names = load_iris().target_names[y]
    rows, labels = torch.tensor(X, requires_grad=True), torch.tensor(y)
    with config_context(array_api_dispatch=True):
        estimator.fit(rows, labels, sample_weight=torch.ones(len(y)))
        assert isinstance(estimator.classes_, torch.Tensor)
        for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
            assert isinstance(getattr(estimator, method)(rows), torch.Tensor), method
        assert isinstance(estimator.score(rows, labels), float)
        estimator.fit(rows, names)
        assert set(estimator.predict(rows)) <= set(names)
    assert not isinstance(estimator.predict_proba(rows), torch.Tensor)
    sys.stdout.write(f"{type(estimator).__name__} dispatch\n")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for each in ESTIMATORS:
        run_checks(each)
        run_fits_to_tensors(each)
