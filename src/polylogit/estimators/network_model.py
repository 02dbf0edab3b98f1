"""What the estimator of a network has once it is fitted: predictions, its plain state, and its parts for a model file.

See also: `networks.py`, the parameters and the fit.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from polylogit.estimators.array_conversion import as_features, as_numpy, in_namespace_of
from polylogit.estimators.conversion import ColumnScaling, ConvertibleMixin, TrainedParts
from polylogit.estimators.parameter_hints import ParameterHintsMixin
from polylogit.estimators.sparse_rows import SparseRows
from polylogit.fitting.forward import network_logits
from polylogit.model_header import NetworkSpec
from polylogit.networks.mlp import MlpNetwork

__all__ = ["NetworkModel", "as_inputs"]


class NetworkModel(ConvertibleMixin, ParameterHintsMixin, ClassifierMixin, BaseEstimator):
    """A fitted network in scikit-learn's shape."""

    network_: MlpNetwork
    class_weight: Any
    batch_size: Any
    early_stopping: bool
    n_iter_no_change: int
    validation_fraction: float

    def decision_function(self, X: Any) -> Any:  # noqa: ANN401
        """Logits of each row; with two classes, that of the second minus that of the first.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features)
            Rows.

        Returns:
        -------
        logits : array of shape (n_samples, n_classes), or (n_samples,) for two classes
            Unnormalised log-probabilities, in the order of `classes_`.
        """
        logits = self._logits(X)
        if logits.shape[1] == 2:
            return in_namespace_of(X, (logits[:, 1] - logits[:, 0]).numpy())
        return in_namespace_of(X, logits.numpy())

    def predict_proba(self, X: Any) -> Any:  # noqa: ANN401
        """Probability of each class.

        The probabilities are p_nk = softmax(network(x_n))_k.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features)
            Rows.

        Returns:
        -------
        probabilities : array of shape (n_samples, n_classes)
            In the order of `classes_`; each row sums to 1.
        """
        return in_namespace_of(X, torch.softmax(self._logits(X), dim=1).numpy())

    def predict_log_proba(self, X: Any) -> Any:  # noqa: ANN401
        """Logarithm of the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features)
            Rows.

        Returns:
        -------
        log_probabilities : array of shape (n_samples, n_classes)
            In nats, in the order of `classes_`.
        """
        return in_namespace_of(X, torch.log_softmax(self._logits(X), dim=1).numpy())

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
        most_probable = self._logits(X).argmax(dim=1).numpy()
        return in_namespace_of(X, as_numpy(self.classes_)[most_probable])

    def _logits(self, X: Any) -> Float[Tensor, "N K"]:  # noqa: ANN401
        check_is_fitted(self)
        rows = validate_data(self, as_numpy(X), dtype=np.float32, accept_sparse="csr", reset=False)
        inputs, prepare = as_inputs(rows)
        return network_logits(self.network_, inputs, prepare=prepare)

    def _copied_network(self) -> MlpNetwork:
        network = MlpNetwork(**self._network_options)
        network.load_state_dict({name: value.detach().cpu() for name, value in self.network_.state_dict().items()})
        return network.eval()

    def _trained_parts(self) -> TrainedParts:
        """The network, and a recipe with the same options."""
        options = self._network_options
        names = ("epochs", "learning_rate", "weight_decay", "label_smoothing")
        training = {name: getattr(self, name) for name in names}
        if self.class_weight == "balanced":
            training["class_weight"] = "balanced"
        if self.batch_size is not None:
            training["batch_size"] = self.batch_size
        if self.early_stopping:
            training |= {"patience": self.n_iter_no_change, "validation_fraction": self.validation_fraction}
        model = {"kind": "mlp"} | {name: options[name] for name in ("hidden", "activation", "dropout")}
        zeros, ones = np.zeros(self.n_features_in_), np.ones(self.n_features_in_)
        return TrainedParts(
            spec=NetworkSpec(kind="mlp", options={**options, "hidden": list(options["hidden"])}),
            network=self._copied_network(),
            scaling=ColumnScaling(zeros, ones),
            recipe={"model": model, "training": training, "calibration": {"method": "none"}},
            rows=self._fitted_rows,
        )

    def __getstate__(self) -> dict[str, Any]:
        """Plain data and arrays, so that formats that run no code (skops) keep a fitted network too."""
        state = dict(super().__getstate__())
        network = state.pop("network_", None)
        if network is not None:
            state["_network_state"] = {name: value.numpy() for name, value in network.state_dict().items()}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Build the network from the options and arrays of `__getstate__`."""
        state = dict(state)
        arrays = state.pop("_network_state", None)
        super().__setstate__(state)
        if arrays is not None:
            self.network_ = MlpNetwork(**self._network_options)
            self.network_.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in arrays.items()})
            self.network_.eval()

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401
        """Sparse rows are accepted, and arrays that follow the array API standard."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags


def as_inputs(rows: Any) -> tuple[Tensor, Callable[[Tensor], Tensor] | None]:  # noqa: ANN401 - scipy has no types
    """Rows as the inputs of a network, and what makes a batch of them dense.

    Args:
        rows: A numpy array or a scipy matrix.

    Returns:
        The inputs, and the function from a batch of them to dense rows; None where they are dense.
    """
    if sparse.issparse(rows):
        lookup = SparseRows(rows)
        return lookup.indices, lookup.prepare
    return as_features(rows, torch.device("cpu")), None
