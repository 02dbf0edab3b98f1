"""What the linear estimators share: `classes_`, `coef_`, `intercept_`, and predictions from them."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted, validate_data

from polylogit.estimators.array_conversion import as_numpy, in_namespace_of, native_byte_order
from polylogit.estimators.column_scales import column_moments
from polylogit.estimators.conversion import ColumnScaling, ConvertibleMixin, TrainedParts
from polylogit.estimators.labelled_rows import LabelledRows
from polylogit.estimators.parameter_hints import ParameterHintsMixin
from polylogit.model_header import NetworkSpec
from polylogit.networks import LinearNetwork
from polylogit.solver.softmax_regression import LinearFit

__all__ = ["LinearSoftmaxModel", "as_coefficients"]

_LARGEST_C = 1e15
"""What a recipe has for C=inf: recipes hold finite numbers."""


def as_coefficients(fit: LinearFit, dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """A fit with one row of weights per class as scikit-learn has it.

    Args:
        fit: The solver's result.
        dtype: Of the coefficients.

    Returns:
        Coefficients, shape (K, D), or (1, D) for two classes, in column-major order, in which a product with sparse
        rows needs no copy; and intercepts, shape (K,) or (1,).
    """
    weight, bias = fit.weight.cpu().numpy(), fit.bias.cpu().numpy()
    if len(weight) == 2:
        weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
    return np.asfortranarray(weight.astype(dtype)), bias.astype(dtype)


class LinearSoftmaxModel(ConvertibleMixin, ParameterHintsMixin, ClassifierMixin, BaseEstimator):
    """A linear softmax model in scikit-learn's shape, which predicts in the dtype of rows and coefficients."""

    C: float
    C_: float
    l1_ratio: float
    class_weight: Any
    tol: float

    def _take(
        self,
        coefficients: tuple[NDArray[Any], NDArray[Any]],
        rows: LabelledRows,
        X: Any,  # noqa: ANN401
        y: Any,  # noqa: ANN401
    ) -> None:
        """Set the fitted attributes, as arrays of the caller's kind."""
        coef, intercept = coefficients
        self.classes_ = in_namespace_of(y, rows.classes)
        self.coef_ = in_namespace_of(X, coef)
        self.intercept_ = in_namespace_of(X, intercept)
        self._fitted_rows = rows.count
        self._column_moments = column_moments(rows.rows)

    def decision_function(self, X: Any) -> Any:  # noqa: ANN401
        """Logits of each row.

        The logits are z_n = W x_n + b; with two classes, that of the second class.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features)
            Rows.

        Returns:
        -------
        logits : array of shape (n_samples, n_classes), or (n_samples,) for two classes
            Unnormalised log-probabilities, in the order of `classes_`.
        """
        return in_namespace_of(X, self._logits(X))

    def predict(self, X: Any) -> Any:  # noqa: ANN401
        """Most probable class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features)
            Rows.

        Returns:
        -------
        labels : array of shape (n_samples,)
            Class labels.
        """
        logits = self._logits(X)
        most_probable = (logits > 0).astype(np.intp) if logits.ndim == 1 else logits.argmax(axis=1)
        return in_namespace_of(X, as_numpy(self.classes_)[most_probable])

    def predict_proba(self, X: Any) -> Any:  # noqa: ANN401
        """Probability of each class.

        The probabilities are p_nk = softmax(W x_n + b)_k.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features)
            Rows.

        Returns:
        -------
        probabilities : array of shape (n_samples, n_classes)
            In the order of `classes_`; each row sums to 1.
        """
        logits = self._logits(X)
        if logits.ndim == 1:
            return in_namespace_of(X, np.stack([expit(-logits), expit(logits)], axis=1))
        return in_namespace_of(X, softmax(logits, axis=1))

    def predict_log_proba(self, X: Any) -> Any:  # noqa: ANN401
        """Logarithm of the probability of each class.

        It is finite also where the probability rounds to 0.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features)
            Rows.

        Returns:
        -------
        log_probabilities : array of shape (n_samples, n_classes)
            In nats, in the order of `classes_`.
        """
        logits = self._logits(X)
        if logits.ndim == 1:
            return in_namespace_of(X, np.stack([log_expit(-logits), log_expit(logits)], axis=1))
        return in_namespace_of(X, log_softmax(logits, axis=1))

    def sparsify(self) -> Any:  # noqa: ANN401
        """Convert `coef_` to a sparse matrix.

        It saves memory where most coefficients are zero. `densify` converts it back.

        Returns:
        -------
        self : estimator instance
        """
        check_is_fitted(self)
        self.coef_ = sparse.csr_array(as_numpy(self.coef_))
        return self

    def densify(self) -> Any:  # noqa: ANN401
        """Convert `coef_` back to a dense array.

        Returns:
        -------
        self : estimator instance
        """
        check_is_fitted(self)
        if sparse.issparse(self.coef_):
            self.coef_ = np.asfortranarray(self.coef_.toarray())
        return self

    def _logits(self, X: Any) -> NDArray[np.floating[Any]]:  # noqa: ANN401
        """Logits as a numpy array; with two classes, those of the second alone."""
        check_is_fitted(self)
        rows = native_byte_order(validate_data(self, as_numpy(X), accept_sparse="csr", reset=False))
        coef = as_numpy(self.coef_)
        logits = safe_sparse_dot(rows, coef.T, dense_output=True) + as_numpy(self.intercept_)
        logits = np.asarray(logits.toarray() if sparse.issparse(logits) else logits)
        return logits[:, 0] if logits.shape[1] == 1 else logits

    def _trained_parts(self) -> TrainedParts:
        """A network of float32 weights for columns of mean 0 and deviation 1, which float32 represents best."""
        coef = self.coef_.toarray() if sparse.issparse(self.coef_) else as_numpy(self.coef_)
        weight, bias = np.asarray(coef, dtype=np.float64), np.asarray(as_numpy(self.intercept_), dtype=np.float64)
        if len(weight) == 1:
            weight, bias = np.concatenate([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
        mean, scale = self._column_moments
        training: dict[str, Any] = {
            "C": min(float(getattr(self, "C_", None) or self.C), _LARGEST_C),
            "tolerance": self.tol or 1e-15,
        }
        if self.l1_ratio:
            training["l1_ratio"] = float(self.l1_ratio)
        if self.class_weight == "balanced":
            training["class_weight"] = "balanced"
        return TrainedParts(
            spec=NetworkSpec(kind="linear", options={"features": weight.shape[1], "classes": len(weight)}),
            network=LinearNetwork.with_weights(
                torch.from_numpy(weight * scale), torch.from_numpy(bias + weight @ mean)
            ),
            scaling=ColumnScaling(mean, scale),
            recipe={"model": {"kind": "linear"}, "training": training, "calibration": {"method": "none"}},
            rows=self._fitted_rows,
        )

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401
        """Sparse rows are accepted, and arrays that follow the array API standard."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags
