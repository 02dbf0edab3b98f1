"""`SoftmaxClassifier`: a multilayer perceptron as a scikit-learn compatible estimator.

See also: `network_model.py`, its predictions; `polylogit.networks.mlp`, the network; `polylogit.fitting.loop`, the fit.
"""

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, no_type_check

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data
from torch import Tensor

from polylogit.data.split import stratified_split
from polylogit.errors import DataError, RecipeError
from polylogit.estimators.array_conversion import as_numpy, in_namespace_of
from polylogit.estimators.caller_warnings import warn_caller
from polylogit.estimators.class_weights import row_weights
from polylogit.estimators.column_scales import warn_of_scales
from polylogit.estimators.devices import find_device
from polylogit.estimators.fit_callbacks import FitCallbacks
from polylogit.estimators.labelled_rows import at_least_two
from polylogit.estimators.network_model import NetworkModel, as_inputs
from polylogit.estimators.parameter_hints import NETWORK_HINTS, with_hints
from polylogit.estimators.sklearn_compat import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    check_sample_weight,
    fit_context,
)
from polylogit.fitting.history import EpochRecord
from polylogit.fitting.loop import fit_network
from polylogit.fitting.memory import check_network_fits_memory
from polylogit.fitting.options import TrainingOptions
from polylogit.network_sections import MLP, NETWORK_TRAINING, usual_batch_size
from polylogit.networks.mlp import ACTIVATIONS, MlpNetwork

__all__ = ["SoftmaxClassifier"]


class SoftmaxClassifier(CallbackSupportMixin, NetworkModel):
    """A multilayer perceptron with softmax probabilities.

    p_n = softmax(network(x_n)), fitted by AdamW to the mean cross-entropy, weighted where weights are given.
    Columns are taken as they are: put a `StandardScaler` before it where their scales differ.

    Parameters
    ----------
    hidden : int or sequence of int, default=(256,)
        Widths of the hidden layers; an empty sequence makes the model linear, and a number is one layer.
    activation : {"relu", "gelu", "silu", "tanh"}, default="relu"
        Activation between the layers.
    dropout : float, default=0.0
        Share of the hidden values set to zero in training, in [0, 1).
    epochs : int, default=30
        Number of passes over the rows in `fit`.
    batch_size : int, "all" or None, default=None
        Rows in a step; None means 256, or an eighth of the rows if that is fewer.
    learning_rate : float, default=0.005
        Peak learning rate. `fit` warms up to it and decays (one-cycle schedule); `partial_fit` keeps it constant.
    weight_decay : float, default=0.01
        Decoupled weight decay of AdamW.
    label_smoothing : float, default=0.0
        Share of each target that is spread evenly over the classes, in [0, 1).
    class_weight : dict or "balanced", default=None
        A weight for each class label; a label that is left out has weight 1. "balanced" is the sum of the sample
        weights over K times their sum in the class. Class weights multiply `sample_weight`.
    early_stopping : bool, default=False
        Whether to hold out `validation_fraction` of the rows, by class, and to stop once the validation loss has not
        improved for `n_iter_no_change` epochs. The weights of the best epoch are kept.
    validation_fraction : float, default=0.1
        Share of the rows to hold out with `early_stopping`, in (0, 1).
    n_iter_no_change : int, default=10
        Number of epochs without improvement to wait for with `early_stopping`.
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the last fit, if classes, columns and layers are the same.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the order of the rows, dropout and the validation split. None draws a new one.
    device : str or torch.device, default="auto"
        "auto", or a device of torch, such as "cpu", "cuda:0" or "mps".
    verbose : int, default=0
        Whether to write the losses of each epoch to standard error.

    Attributes:
    ----------
    classes_ : array of shape (n_classes,)
        Class labels, sorted.
    network_ : torch.nn.Module
        The fitted network, on the CPU.
    loss_curve_ : list of float
        Mean training loss of each epoch, in nats.
    validation_loss_curve_ : list of float
        Validation loss after each epoch, in nats; empty without `early_stopping`.
    n_iter_ : int
        Number of epochs done.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : array of shape (n_features_in_,)
        Column names, where X had text names.

    See Also:
    --------
    SoftmaxRegression : The linear model, solved to a certified gap.
    sklearn.neural_network.MLPClassifier : scikit-learn's multilayer perceptron.

    References:
    ----------
    `polylogit.networks.mlp` and `polylogit.fitting.loop` name theirs.

    Examples:
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X, y = load_iris(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), SoftmaxClassifier(hidden=(32,), random_state=0)).fit(X, y)
    >>> model.score(X, y) > 0.95
    True
    """

    hidden: int | Sequence[int]
    activation: str
    dropout: float
    epochs: int
    batch_size: Any
    learning_rate: float
    weight_decay: float
    label_smoothing: float
    class_weight: Any
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    warm_start: bool
    random_state: Any
    device: Any
    verbose: int

    _hints: ClassVar[Mapping[str, str]] = NETWORK_HINTS
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"all"}), None],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "device": [str, torch.device],
        "verbose": ["verbose"],
    }

    @no_type_check  # scikit-learn validates parameters in `fit`, by `_parameter_constraints`, never here
    @with_hints(NETWORK_HINTS)
    def __init__(
        self,
        hidden: int | Sequence[int] = MLP.hidden,
        *,
        activation: str = MLP.activation,
        dropout: float = MLP.dropout,
        epochs: int = NETWORK_TRAINING.epochs,
        batch_size: int | str | None = None,
        learning_rate: float = NETWORK_TRAINING.learning_rate,
        weight_decay: float = NETWORK_TRAINING.weight_decay,
        label_smoothing: float = NETWORK_TRAINING.label_smoothing,
        class_weight: dict[Any, float] | str | None = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        random_state: Any = None,  # noqa: ANN401 - scikit-learn's: None, int or RandomState
        device: str | torch.device = "auto",
        verbose: int = 0,
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
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]  # scikit-learn has no types
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "SoftmaxClassifier":  # noqa: ANN401
        """Fit a new network; with `warm_start`, continue with the last one.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features)
            Rows of any real dtype.
        y : array-like of shape (n_samples,)
            Class labels: numbers or text.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row, 0 or more.

        Returns:
        -------
        self : SoftmaxClassifier

        Raises:
        ------
        DataError
            There are fewer than two classes, the weights sum to 0, or too few rows are left to hold any out. Ctrl-C
            ends the fit with the weights so far, and warns.
        """
        rows, labels = self._validated(X, y, reset=True)
        classes = np.unique(labels)
        if not (self.warm_start and self._can_continue(classes)):
            self._start(classes)
        self._fitted_rows = 0
        self.classes_ = in_namespace_of(y, classes)
        warn_of_scales(rows, getattr(self, "feature_names_in_", None))
        callbacks = FitCallbacks(self, X, y, sample_weight, step="epoch", steps=int(self.epochs))
        return self._train(
            rows, labels, sample_weight, epochs=int(self.epochs), schedule="one-cycle", callbacks=callbacks
        )

    @fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]  # scikit-learn has no types
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> "SoftmaxClassifier":  # noqa: ANN401
        """Train one epoch on these rows, from the current weights. The optimizer starts afresh in each call.

        Parameters
        ----------
        X : {array-like, sparse matrix, tensor} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Class labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever come; required in the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row, 0 or more.

        Returns:
        -------
        self : SoftmaxClassifier

        Raises:
        ------
        DataError
            The first call names no classes, a label is not among them, or class_weight is "balanced", which would be
            another weight in each call.
        """
        if isinstance(self.class_weight, str):
            raise DataError(
                'partial_fit: class_weight="balanced" needs all labels at once. Count them over all rows to '
                "come, and give N / (K count) of each class as class_weight={label: weight}."
            )
        if self.early_stopping:
            raise DataError(
                "partial_fit: early_stopping=True needs all rows at once. Use fit, or early_stopping=False."
            )
        first = not hasattr(self, "classes_")
        rows, labels = self._validated(X, y, reset=first)
        if first:
            if classes is None:
                raise DataError("partial_fit: the first call must name all classes, as in classes=[0, 1, 2].")
            self._start(np.unique(as_numpy(classes)))
            self.classes_ = in_namespace_of(y, np.unique(as_numpy(classes)))
        elif classes is not None and not np.array_equal(np.unique(as_numpy(classes)), as_numpy(self.classes_)):
            raise DataError(
                f"partial_fit: the classes are {self.classes_}, and cannot become {np.unique(as_numpy(classes))}."
            )
        callbacks = FitCallbacks(self, X, y, sample_weight, step="epoch", steps=1)
        return self._train(rows, labels, sample_weight, epochs=1, schedule="constant", callbacks=callbacks)

    def _validated(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, NDArray[Any]]:  # noqa: ANN401
        rows, labels = validate_data(self, as_numpy(X), as_numpy(y), dtype=np.float32, accept_sparse="csr", reset=reset)
        check_classification_targets(labels)
        return rows, labels

    def _widths(self) -> tuple[int, ...]:
        """Widths of the hidden layers."""
        widths = (self.hidden,) if isinstance(self.hidden, Integral) else tuple(as_numpy(self.hidden))
        for width in widths:
            if isinstance(width, bool) or not isinstance(width, Integral) or width < 1:
                raise RecipeError(f"hidden: expected whole numbers of at least 1, got {width!r} in {self.hidden!r}.")
        return tuple(int(width) for width in widths)

    def _options(self, classes: int) -> dict[str, Any]:
        """What builds the network."""
        return {
            "features": self.n_features_in_,
            "classes": classes,
            "hidden": self._widths(),
            "activation": self.activation,
            "dropout": float(self.dropout),
        }

    def _can_continue(self, classes: NDArray[Any]) -> bool:
        """Whether the last network has these classes, columns and layers."""
        if not hasattr(self, "network_"):
            return False
        same_classes = np.array_equal(as_numpy(self.classes_), classes)
        return same_classes and self._network_options == self._options(len(classes))

    def _start(self, classes: NDArray[Any]) -> None:
        """A new network, and the seed of its epochs."""
        at_least_two(classes)
        options = self._options(len(classes))
        build = partial(MlpNetwork, **options)
        device = find_device(self.device, torch.float32)
        check_network_fits_memory(build, TrainingOptions(), device, f"hidden = {self._widths()}")
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self._network_options = options
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            self.network_ = build()
        self.loss_curve_: list[float] = []
        self.validation_loss_curve_: list[float] = []
        self.n_iter_ = 0
        self._fitted_rows = 0

    def _train(
        self,
        rows: Any,  # noqa: ANN401 - a numpy array or a scipy matrix
        labels: NDArray[Any],
        sample_weight: Any,  # noqa: ANN401
        *,
        epochs: int,
        schedule: Literal["one-cycle", "constant"],
        callbacks: FitCallbacks,
    ) -> "SoftmaxClassifier":
        classes = as_numpy(self.classes_)
        unseen = np.setdiff1d(labels, classes)
        if len(unseen):
            raise DataError(f"y: the label {unseen[0]} is none of the classes {classes}.")
        targets = np.searchsorted(classes, labels)
        weights = None if sample_weight is None else check_sample_weight(as_numpy(sample_weight), rows)
        weights = row_weights(self.class_weight, classes, targets, weights)
        inputs, prepare = as_inputs(rows)
        fitted, held_out = self._split(torch.from_numpy(targets))
        weight = None if weights is None else torch.from_numpy(weights).float()
        result = fit_network(
            self.network_,
            inputs if fitted is None else inputs[fitted],
            torch.from_numpy(targets) if fitted is None else torch.from_numpy(targets)[fitted],
            options=TrainingOptions(
                epochs=epochs,
                batch_size=self._rows_in_a_batch(len(inputs) if fitted is None else len(fitted)),
                learning_rate=float(self.learning_rate),
                weight_decay=float(self.weight_decay),
                label_smoothing=float(self.label_smoothing),
                schedule=schedule,
                patience=None if held_out is None else int(self.n_iter_no_change),
                seed=self._seed + self.n_iter_,
            ),
            validation=None if held_out is None else (inputs[held_out], torch.from_numpy(targets)[held_out]),
            validation_weight=None if held_out is None or weight is None else weight[held_out],
            sample_weight=weight if fitted is None or weight is None else weight[fitted],
            check_misuse=False,
            prepare=prepare,
            device=find_device(self.device, torch.float32),
            on_epoch=partial(self._epoch_done, callbacks),
        )
        self.network_.to("cpu")
        self.loss_curve_ += [record.train_loss for record in result.history]
        losses = [record.validation_loss for record in result.history]
        self.validation_loss_curve_ += [loss for loss in losses if loss is not None]
        self.n_iter_ += result.epochs
        self._fitted_rows += len(targets)
        callbacks.end(lambda: {"classes_": self.classes_, "network_": self.network_})
        if result.ended in {"interrupted", "diverged"}:
            warn_caller(result.message, ConvergenceWarning)
        return self

    def _split(self, targets: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Rows to fit and rows to hold out; None where all are fitted."""
        if not self.early_stopping:
            return None, None
        wanted = round(self.validation_fraction * len(targets))
        present = len(np.unique(targets.numpy()))
        if not 1 <= wanted <= len(targets) - present:
            raise DataError(
                f"early_stopping: validation_fraction={self.validation_fraction} of {len(targets)} rows is {wanted}. "
                f"At least 1 row must be held out, and 1 of each of {present} classes left to fit. Change "
                "validation_fraction, or use early_stopping=False."
            )
        split = stratified_split(targets, float(self.validation_fraction), self._seed)
        return split.train, split.test

    def _rows_in_a_batch(self, rows: int) -> int | Literal["all"]:
        """The batch size of these rows."""
        if self.batch_size is None:
            return usual_batch_size(rows)
        if self.batch_size == "all":
            return "all"
        if self.batch_size > rows:
            warn_caller(f"batch_size={self.batch_size} is reduced to the number of rows, {rows}.", UserWarning)
        return min(int(self.batch_size), rows)

    def _epoch_done(self, callbacks: FitCallbacks, record: EpochRecord) -> None:
        """Report one epoch."""
        if self.verbose:
            line = f"epoch {self.n_iter_ + record.epoch}: training loss {record.train_loss:.4f}"
            if record.validation_loss is not None:
                line += f", validation loss {record.validation_loss:.4f}, accuracy {record.validation_accuracy:.4f}"
            sys.stderr.write(f"{line}, {record.seconds:.1f} s\n")
        callbacks.step_done(self._as_it_is)

    def _as_it_is(self) -> dict[str, Any]:
        """The fitted attributes after an epoch, apart from the network that is being trained."""
        return {"classes_": self.classes_, "network_": self._copied_network()}
