"""`SoftmaxClassifier`: a multilayer perceptron with scikit-learn's face.

This module owns the estimator: parameters, checked input, classes and weights. The network is that of
`polylogit.networks.mlp`, the fit that of `polylogit.fitting.loop`. Columns are taken as they are: put a
`StandardScaler` before it where their scales differ.
"""

from collections.abc import Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, no_type_check

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils import check_random_state, compute_class_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from polylogit.errors import DataError
from polylogit.estimators.tensors import readable
from polylogit.fitting.devices import choose_device
from polylogit.fitting.forward import network_logits
from polylogit.fitting.loop import fit_network
from polylogit.fitting.memory import check_network_fits_memory
from polylogit.fitting.options import TrainingOptions
from polylogit.networks.mlp import ACTIVATIONS, MlpNetwork

__all__ = ["SoftmaxClassifier"]

USUAL_BATCH = 256


class SoftmaxClassifier(ClassifierMixin, BaseEstimator):
    """A multilayer perceptron that gives a probability per class.

    p_n = softmax(network(x_n)), fitted by AdamW on the mean cross-entropy, weighted where weights are given

    Args:
        hidden: Widths of the hidden layers; with none the model is linear.
        activation: "relu", "gelu", "silu" or "tanh".
        dropout: The share of hidden values set to zero in training, in [0, 1).
        epochs: Times that `fit` sees every row.
        batch_size: Rows in a step; None takes 256, or an eighth of the rows if that is fewer.
        learning_rate: At its height; `fit` raises it to there and takes it down again, `partial_fit` keeps it.
        weight_decay: Pull of the weights towards zero.
        label_smoothing: The share of each target that is spread evenly over the classes, in [0, 1).
        class_weight: A weight for each class label, or "balanced" for N / (K count), times `sample_weight`.
        random_state: Of the first weights, the order of the rows and dropout. None draws a new one each time.
        device: "auto", "cpu", "cuda" or "mps".

    Attributes:
        classes_: Class labels, sorted, shape (K,).
        network_: The fitted network, on the CPU.
        loss_curve_: Mean training loss of each epoch, in nats.
        n_iter_: Epochs done.
        n_features_in_: D.
        feature_names_in_: Column names, where X had them.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> X, y = load_iris(return_X_y=True)
        >>> model = make_pipeline(StandardScaler(), SoftmaxClassifier(hidden=(32,), random_state=0)).fit(X, y)
        >>> model.score(X, y) > 0.95
        True

    Source: `polylogit.networks.mlp` and `polylogit.fitting.loop` name theirs.
    """

    hidden: Sequence[int]
    activation: str
    dropout: float
    epochs: int
    batch_size: Any
    learning_rate: float
    weight_decay: float
    label_smoothing: float
    class_weight: Any
    random_state: Any
    device: Any

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden": ["array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"all"}), None],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "random_state": ["random_state"],
        "device": [StrOptions({"auto", "cpu", "cuda", "mps"})],
    }

    @no_type_check  # scikit-learn judges parameters in `fit`, by `_parameter_constraints`, never here
    def __init__(
        self,
        hidden: Sequence[int] = (256,),
        *,
        activation: str = "relu",
        dropout: float = 0.0,
        epochs: int = 30,
        batch_size: int | str | None = None,
        learning_rate: float = 0.005,
        weight_decay: float = 0.01,
        label_smoothing: float = 0.0,
        class_weight: dict[Any, float] | str | None = None,
        random_state: Any = None,  # noqa: ANN401 - scikit-learn's: None, int or RandomState
        device: str = "auto",
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.dropout = dropout
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.random_state = random_state
        self.device = device

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "SoftmaxClassifier":  # noqa: ANN401
        """Fit a new network.

        Args:
            X: Rows, shape (N, D), any real dtype.
            y: Class labels, shape (N,): numbers or strings.
            sample_weight: Weight of each row, 0 or more, shape (N,).

        Returns:
            The estimator.

        Raises:
            DataError: Fewer than two classes, or weights that sum to 0.
        """
        X, y = validate_data(self, readable(X), readable(y), dtype=np.float32)
        check_classification_targets(y)
        classes = np.unique(y)
        self._start(classes)
        return self._go_on(X, y, sample_weight, epochs=self.epochs, schedule="one-cycle")

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> "SoftmaxClassifier":  # noqa: ANN401
        """One epoch over these rows, from the weights as they are; the optimiser starts anew each time.

        Args:
            X: Rows, shape (N, D).
            y: Class labels, shape (N,).
            classes: All labels that will ever come; needed in the first call.
            sample_weight: Weight of each row, 0 or more, shape (N,).

        Returns:
            The estimator.

        Raises:
            DataError: The first call names no classes, a label is none of them, or class_weight is "balanced", which
                would be another weight in each call.
        """
        if isinstance(self.class_weight, str):
            raise DataError(
                'partial_fit: class_weight="balanced" needs all labels at once. Count them over all rows to '
                "come, and give N / (K count) of each class as class_weight={label: weight}."
            )
        first = not hasattr(self, "classes_")
        X, y = validate_data(self, readable(X), readable(y), dtype=np.float32, reset=first)
        check_classification_targets(y)
        if first:
            if classes is None:
                raise DataError("partial_fit: the first call must name all classes, as in classes=[0, 1, 2].")
            self._start(np.unique(classes))
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise DataError(f"partial_fit: the classes are {self.classes_}, and cannot become {np.unique(classes)}.")
        return self._go_on(X, y, sample_weight, epochs=1, schedule="constant")

    def predict_proba(self, X: Any) -> NDArray[np.float32]:  # noqa: ANN401
        """Probability of each class, p_nk = softmax(network(x_n))_k.

        Args:
            X: Rows, shape (N, D).

        Returns:
            Probabilities, shape (N, K), in the order of `classes_`.
        """
        return np.asarray(torch.softmax(self._logits(X), dim=1))

    def predict_log_proba(self, X: Any) -> NDArray[np.float32]:  # noqa: ANN401
        """Logarithm of the probability of each class, in nats. Arguments as for `predict_proba`."""
        return np.asarray(torch.log_softmax(self._logits(X), dim=1))

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: ANN401
        """The most probable class of each row. Arguments as for `predict_proba`."""
        most_probable = self._logits(X).argmax(dim=1).numpy()
        labels: NDArray[Any] = self.classes_[most_probable]
        return labels

    def _logits(self, X: Any) -> torch.Tensor:  # noqa: ANN401
        check_is_fitted(self)
        X = validate_data(self, readable(X), dtype=np.float32, reset=False)
        return network_logits(self.network_, torch.from_numpy(np.array(X)))

    def _start(self, classes: NDArray[Any]) -> None:
        """A new network, and the seeds of its epochs."""
        if len(classes) < 2:
            raise DataError(
                f"y: expected at least 2 classes, got 1 class: {classes[0]}. "
                "A classifier needs samples of at least 2 classes in the data."
            )
        self.classes_ = classes
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        build = partial(
            MlpNetwork,
            self.n_features_in_,
            len(classes),
            hidden=tuple(int(width) for width in self.hidden),
            activation=self.activation,
            dropout=float(self.dropout),
        )
        check_network_fits_memory(build, TrainingOptions(), choose_device(self.device), f"hidden = {self.hidden}")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            self.network_ = build()
        self.loss_curve_: list[float] = []
        self.n_iter_ = 0

    def _go_on(
        self,
        X: NDArray[np.float32],
        y: NDArray[Any],
        sample_weight: Any,  # noqa: ANN401
        *,
        epochs: int,
        schedule: Any,  # noqa: ANN401
    ) -> "SoftmaxClassifier":
        unseen = np.setdiff1d(y, self.classes_)
        if len(unseen):
            raise DataError(f"y: the label {unseen[0]} is none of the classes {self.classes_}.")
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(readable(sample_weight), X, dtype=np.float64, ensure_non_negative=True)
        if self.class_weight is not None:
            present = np.unique(y)
            of_class = compute_class_weight(self.class_weight, classes=present, y=y)
            rows = of_class[np.searchsorted(present, y)]
            weights = rows if weights is None else weights * rows
        fit = fit_network(
            self.network_,
            torch.from_numpy(np.array(X)),
            torch.from_numpy(np.searchsorted(self.classes_, y)),
            options=TrainingOptions(
                epochs=int(epochs),
                batch_size=self.batch_size or min(USUAL_BATCH, max(1, len(y) // 8)),
                learning_rate=float(self.learning_rate),
                weight_decay=float(self.weight_decay),
                label_smoothing=float(self.label_smoothing),
                schedule=schedule,
                seed=self._seed + self.n_iter_,
            ),
            sample_weight=None if weights is None else torch.from_numpy(weights).float(),
            device=choose_device(self.device),
        )
        self.network_.to("cpu")
        self.loss_curve_ += [record.train_loss for record in fit.history]
        self.n_iter_ += fit.epochs
        return self
