"""A `Classifier`, such as one from a model file, as a scikit-learn compatible estimator that is fitted already."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from polylogit.classifier import Classifier
from polylogit.data.tables.encoder import TableEncoder
from polylogit.errors import DataError

__all__ = ["FittedClassifier"]


class FittedClassifier(ClassifierMixin, BaseEstimator):
    """A trained `Classifier` for scikit-learn's tools: ensembles, inspection, metrics, thresholds.

    It stays as it is: `fit` does nothing, and a clone is the same object, as of `sklearn.frozen.FrozenEstimator`.

    Parameters
    ----------
    classifier : Classifier
        A trained classifier.
    classes : sequence of shape (n_classes,), default=None
        The labels of the classes, in the order of `classifier.class_names`; None means these names, which are text.

    Attributes:
    ----------
    classes_ : array of shape (n_classes,)
        The labels.
    feature_names_in_ : array of shape (n_features_in_,)
        Names of the columns, for a classifier of tables.
    n_features_in_ : int
        Number of columns, for a classifier of tables.

    See Also:
    --------
    polylogit.Classifier.to_estimator : Makes one.
    polylogit.estimators.conversion.to_classifier : The way back.

    Examples:
    --------
    >>> from sklearn.datasets import load_iris
    >>> from polylogit import SoftmaxRegression
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> classifier = SoftmaxRegression().fit(X, y).to_classifier()
    >>> model = FittedClassifier(classifier, classes=[0, 1, 2])
    >>> model.predict(X)[:3]
    array([0, 0, 0])
    >>> model.score(X, y) > 0.96
    True
    """

    def __init__(self, classifier: Classifier, classes: Sequence[Any] | None = None) -> None:
        self.classifier = classifier
        self.classes = classes

    @property
    def classes_(self) -> NDArray[Any]:
        """The labels, in the order of the probabilities."""
        names = self.classifier.class_names
        labels = np.array(names if self.classes is None else self.classes)
        if labels.shape != (len(names),) or len(set(labels.tolist())) != len(names):
            raise DataError(
                f"classes: expected {len(names)} different labels, one for each of {list(names)[:20]}, got "
                f"{self.classes}."
            )
        return labels

    @property
    def feature_names_in_(self) -> NDArray[np.object_]:
        """Names of the columns of a table."""
        return np.array([column.name for column in self._encoder().columns], dtype=object)

    @property
    def n_features_in_(self) -> int:
        """Number of columns of a table."""
        return len(self._encoder().columns)

    def fit(self, X: Any, y: Any = None) -> "FittedClassifier":  # noqa: ANN401
        """Do nothing: the classifier is trained.

        Parameters
        ----------
        X : object
            Ignored.
        y : object
            Ignored.

        Returns:
        -------
        self : FittedClassifier
        """
        return self

    def decision_function(self, X: Any) -> NDArray[np.float32]:  # noqa: ANN401
        """Calibrated logits of each row; with two classes, that of the second minus that of the first.

        Parameters
        ----------
        X : table or pictures
            As for `Classifier.predict_logits`.

        Returns:
        -------
        logits : array of shape (n_samples, n_classes), or (n_samples,) for two classes
            Unnormalised log-probabilities, in the order of `classes_`.
        """
        logits = self.classifier.predict_logits(X, "X")
        return np.asarray(logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits)

    def predict_proba(self, X: Any) -> NDArray[np.float32]:  # noqa: ANN401
        """Calibrated probability of each class.

        Parameters
        ----------
        X : table or pictures
            As for `Classifier.predict_logits`.

        Returns:
        -------
        probabilities : array of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        return np.asarray(torch.softmax(self.classifier.predict_logits(X, "X"), dim=1))

    def predict_log_proba(self, X: Any) -> NDArray[np.float32]:  # noqa: ANN401
        """Logarithm of the probability of each class, in nats.

        Parameters
        ----------
        X : table or pictures
            As for `Classifier.predict_logits`.

        Returns:
        -------
        log_probabilities : array of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        return np.asarray(torch.log_softmax(self.classifier.predict_logits(X, "X"), dim=1))

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: ANN401
        """Most probable class of each row.

        Parameters
        ----------
        X : table or pictures
            As for `Classifier.predict_logits`.

        Returns:
        -------
        labels : array of shape (n_samples,)
            Class labels.
        """
        decided = self.classifier.decide(self.classifier.predict_logits(X, "X")).numpy()
        labels: NDArray[Any] = self.classes_[decided]
        return labels

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:  # noqa: ANN401
        """Accuracy.

        Parameters
        ----------
        X : table or pictures
            As for `Classifier.predict_logits`.
        y : array-like of shape (n_samples,)
            Class labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.

        Returns:
        -------
        accuracy : float

        Raises:
        ------
        DataError
            None of the labels is among the classes, as where numbers stand for text.
        """
        known = set(self.classes_.tolist())
        labels = np.asarray(y).tolist()
        if labels and not known.intersection(labels):
            raise DataError(
                f"y: none of the labels is among the classes {sorted(known, key=str)[:20]}; the first is "
                f"{labels[0]!r}. Give the labels of y in the order of the classes: to_estimator(classes=[...])."
            )
        return float(super().score(X, y, sample_weight=sample_weight))

    def _encoder(self) -> TableEncoder:
        """The encoder of a table; without one there are no columns, as `hasattr` finds out."""
        if not isinstance(self.classifier.preprocessing, TableEncoder):
            raise AttributeError("a classifier of pictures has no columns")
        return self.classifier.preprocessing

    def __sklearn_is_fitted__(self) -> bool:
        """It is fitted from the start."""
        return True

    def __sklearn_clone__(self) -> "FittedClassifier":
        """The same object: a trained classifier does not change."""
        return self
