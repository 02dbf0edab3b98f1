"""Errors that name the way here for parameters of scikit-learn's `LogisticRegression` and `MLPClassifier`."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

__all__ = ["LINEAR_HINTS", "NETWORK_HINTS", "PATH_HINTS", "ParameterHintsMixin", "with_hints"]

LINEAR_HINTS: Mapping[str, str] = {
    "penalty": "use l1_ratio (0 is L2, 1 is L1, between them is the elastic net). C=inf means no penalty.",
    "solver": "leave it out. There is one solver, and `tol` bounds the relative distance to the optimum.",
    "multi_class": "leave it out. The model is multinomial; sklearn.multiclass.OneVsRestClassifier makes one-vs-rest.",
    "dual": "leave it out. The solver chooses between rows and columns by itself.",
    "intercept_scaling": "leave it out. Intercepts are not penalised.",
}
"""Parameters of `LogisticRegression` that `SoftmaxRegression` lacks, and what to do instead."""

PATH_HINTS: Mapping[str, str] = {
    **LINEAR_HINTS,
    "l1_ratios": "use l1_ratio, which takes one value; sklearn.model_selection.GridSearchCV compares several.",
    "use_legacy_attributes": "leave it out. Attributes have the shapes of use_legacy_attributes=False, without the "
    "axis of l1_ratios.",
}
"""Parameters of `LogisticRegressionCV` that `SoftmaxRegressionCV` lacks, and what to do instead."""

NETWORK_HINTS: Mapping[str, str] = {
    "hidden_layer_sizes": "use hidden.",
    "solver": "leave it out. The optimizer is AdamW.",
    "alpha": "use weight_decay, which AdamW applies apart from the gradient.",
    "learning_rate_init": "use learning_rate.",
    "max_iter": "use epochs.",
    "shuffle": 'leave it out. Rows are shuffled in each epoch, unless batch_size="all".',
    "tol": "leave it out. early_stopping=True goes by the validation loss.",
    "power_t": "leave it out. The learning rate rises and falls once (one-cycle schedule).",
    "momentum": "leave it out. The optimizer is AdamW.",
    "nesterovs_momentum": "leave it out. The optimizer is AdamW.",
    "beta_1": "leave it out. It is 0.9.",
    "beta_2": "leave it out. It is 0.999.",
    "epsilon": "leave it out. It is 1e-8.",
    "max_fun": "leave it out. The optimizer is AdamW.",
}
"""Parameters of `MLPClassifier` that `SoftmaxClassifier` names otherwise or lacks, and what to do instead."""


def with_hints(hints: Mapping[str, str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let an `__init__` answer these parameters with a hint. Its signature stays as it is.

    Args:
        hints: What to do instead, by parameter.

    Returns:
        A decorator of `__init__`.
    """

    def decorate(init: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(init)
        def hinting(self: Any, *args: Any, **parameters: Any) -> None:  # noqa: ANN401
            for name in parameters:
                if name in hints:
                    raise TypeError(f"{type(self).__name__} has no parameter {name!r}: {hints[name]}")
            init(self, *args, **parameters)

        return hinting

    return decorate


class ParameterHintsMixin:
    """The same hints from `set_params`, so that a search over such a parameter names them too."""

    _hints: ClassVar[Mapping[str, str]] = {}

    def set_params(self, **parameters: Any) -> Any:  # noqa: ANN401
        """Set parameters of this estimator.

        Parameters
        ----------
        **parameters : dict
            Values by parameter.

        Returns:
        -------
        self : estimator instance
        """
        for name in parameters:
            if name in self._hints:
                raise ValueError(f"{type(self).__name__} has no parameter {name!r}: {self._hints[name]}")
        return super().set_params(**parameters)  # type: ignore[misc]  # scikit-learn's BaseEstimator
