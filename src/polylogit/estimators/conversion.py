"""From a fitted estimator to a `Classifier`: the model file, the command line, the service and the export.

See also `polylogit.estimators.fitted_classifier`, the way back.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted
from torch import nn

from polylogit.classifier import Classifier
from polylogit.data.tables.encoded_column import Column
from polylogit.data.tables.encoder import TableEncoder
from polylogit.errors import DataError
from polylogit.estimators.array_conversion import as_numpy
from polylogit.model_header import NetworkSpec, TrainedOn
from polylogit.recipes.recipe import recipe_from_entries

__all__ = ["ColumnScaling", "ConvertibleMixin", "TrainedParts", "to_classifier"]


@dataclass(frozen=True)
class ColumnScaling:
    """(x - mean) / scale, column by column; float64."""

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    def then(self, other: "ColumnScaling") -> "ColumnScaling":
        """This scaling, and another one of its results."""
        return ColumnScaling(self.mean + self.scale * other.mean, self.scale * other.scale)


@dataclass(frozen=True)
class TrainedParts:
    """What a fitted estimator gives a `Classifier`.

    Args:
        spec: Kind and options of the network.
        network: The network, on the CPU and not shared with the estimator.
        scaling: What the network expects its columns to be scaled by.
        recipe: Entries of a recipe with the estimator's options.
        rows: Number of rows it was fitted to.
    """

    spec: NetworkSpec
    network: nn.Module
    scaling: ColumnScaling
    recipe: dict[str, Any]
    rows: int


class ConvertibleMixin:
    """The method `to_classifier` of an estimator that has `_trained_parts`."""

    def _trained_parts(self) -> TrainedParts:
        raise NotImplementedError

    def to_classifier(self, feature_names: Sequence[str] | None = None, *, target: str = "class") -> Classifier:
        """The `Classifier` that predicts the same probabilities.

        It can be saved as a model file, which the command line, the service and the export read.

        Parameters
        ----------
        feature_names : sequence of str, default=None
            Names of the columns of tables to predict; None means those of `feature_names_in_`, or x0, x1, and so on.
        target : str, default="class"
            Name of the column of classes in tables to evaluate.

        Returns:
        -------
        classifier : Classifier
            It computes in float32, in which probabilities differ by some 1e-6 from float64. Labels become text.

        See Also:
        --------
        polylogit.estimators.conversion.to_classifier : The same for a pipeline with a `StandardScaler`.
        """
        return to_classifier(self, feature_names, target=target)


def to_classifier(
    estimator: Any,  # noqa: ANN401 - an estimator or a pipeline
    feature_names: Sequence[str] | None = None,
    *,
    target: str = "class",
) -> Classifier:
    """The `Classifier` that predicts the probabilities of a fitted estimator.

    Args:
        estimator: A fitted `SoftmaxRegression`, `SoftmaxRegressionCV` or `SoftmaxClassifier`, or a pipeline of a
            `StandardScaler` and one of them.
        feature_names: Names of the columns that `Classifier` and the command line look for. Left out: those that the
            estimator was fitted with, or x0, x1, and so on.
        target: Name of the column of classes in tables to evaluate.

    Returns:
        A classifier of numeric columns. It computes in float32, so that its probabilities differ by some 1e-6 from
        those of a linear estimator, which computes in float64. Labels become text.

    Raises:
        DataError: The estimator is of another kind or not fitted, or the names do not fit the columns.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from sklearn.datasets import load_iris
        >>> from polylogit import SoftmaxRegression
        >>> X, y = load_iris(return_X_y=True, as_frame=True)
        >>> model = SoftmaxRegression().fit(X, y)
        >>> path = Path(tempfile.mkdtemp()) / "iris.safetensors"
        >>> to_classifier(model).save(path)
        >>> Classifier.load(path).predict(X)[:2]
        ['0', '0']
    """
    model, scaling = _model_and_scaling(estimator)
    columns = model.n_features_in_
    if feature_names is None:
        feature_names = _names_in(estimator) or [f"x{index}" for index in range(columns)]
    names = [str(name) for name in feature_names]
    if len(names) != columns or len(set(names)) != columns:
        raise DataError(
            f"feature_names: expected {columns} different names, one for each column, got {len(names)}: {names[:10]}."
        )
    parts = model._trained_parts()
    scaling = parts.scaling if scaling is None else scaling.then(parts.scaling)
    digest = hashlib.sha256()
    for tensor in parts.network.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    return Classifier(
        preprocessing=TableEncoder(
            [Column(name, "number") for name in names], torch.tensor(scaling.mean), torch.tensor(scaling.scale)
        ),
        network=parts.network,
        network_spec=parts.spec,
        class_names=tuple(str(label) for label in as_numpy(model.classes_).tolist()),
        trained_on=TrainedOn(
            data=f"{type(model).__name__}.fit",
            target=target,
            fingerprint=digest.hexdigest(),  # of the weights: arrays in memory are no file that could come again
            rows_train=parts.rows,
            rows_test=0,
        ),
        recipe=recipe_from_entries({**parts.recipe, "data": {"target": target}}).as_entries(),
    )


def _steps(estimator: Any) -> list[Any]:  # noqa: ANN401
    """The steps of a pipeline that do something, or the estimator alone."""
    if isinstance(estimator, Pipeline):
        return [step for _, step in estimator.steps if step is not None and step != "passthrough"]
    return [estimator]


def _names_in(estimator: Any) -> list[str]:  # noqa: ANN401
    """The names of the columns that the first step was fitted with; none where they had none."""
    return [str(name) for name in getattr(_steps(estimator)[0], "feature_names_in_", [])]


def _model_and_scaling(estimator: Any) -> tuple[Any, ColumnScaling | None]:  # noqa: ANN401
    """The softmax model, and what a `StandardScaler` before it does."""
    steps = _steps(estimator)
    model, scaler = steps[-1], steps[0] if len(steps) == 2 else None
    if not isinstance(model, ConvertibleMixin) or len(steps) > 2 or not isinstance(scaler, StandardScaler | None):
        names = " and ".join(type(step).__name__ for step in steps)
        raise DataError(
            "to_classifier: expected a SoftmaxRegression, SoftmaxRegressionCV or SoftmaxClassifier, or a pipeline of a "
            f"StandardScaler and one of them, got {names}. Use polylogit train for other preprocessing."
        )
    check_is_fitted(model)
    if scaler is None:
        return model, None
    columns = scaler.n_features_in_
    mean = as_numpy(scaler.mean_) if scaler.with_mean else np.zeros(columns)
    scale = as_numpy(scaler.scale_) if scaler.with_std else np.ones(columns)
    return model, ColumnScaling(np.array(mean, dtype=np.float64), np.array(scale, dtype=np.float64))
