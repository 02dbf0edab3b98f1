"""Callbacks of scikit-learn (from its version 1.9 on), called at the steps of a fit."""

from collections.abc import Callable
from typing import Any

__all__ = ["FitCallbacks"]


class FitCallbacks:
    """The callbacks that were set with `set_callbacks`; without any, every method does nothing.

    Args:
        estimator: What is being fitted.
        X: The rows.
        y: The labels.
        sample_weight: The weight of each row.
        step: What a step is called, such as "epoch".
        steps: Number of steps, or None where it is not known in advance.

    See also: `sklearn.callback`.
    """

    def __init__(
        self,
        estimator: Any,  # noqa: ANN401 - an estimator of this package
        X: Any,  # noqa: ANN401
        y: Any,  # noqa: ANN401
        sample_weight: Any,  # noqa: ANN401
        *,
        step: str,
        steps: int | None,
    ) -> None:
        self._estimator, self._name = estimator, step
        self._data = {"X": X, "y": y, "metadata": None if sample_weight is None else {"sample_weight": sample_weight}}
        self._context: Any = None
        self._left = steps
        if getattr(estimator, "_skl_callbacks", None):
            self._context = estimator._init_callback_context(max_subtasks=steps)
            self._context.call_on_fit_task_begin(estimator=estimator, **self._data)
            self._begin_step()

    def step_done(self, attributes: Callable[[], dict[str, Any]] | None = None) -> None:
        """One step has ended.

        Args:
            attributes: Gives the fitted attributes after it, for callbacks that want to predict.
        """
        if self._context is not None:
            self._end_step(attributes)
            self._begin_step()

    def end(self, attributes: Callable[[], dict[str, Any]]) -> None:
        """The fit has ended.

        Args:
            attributes: Gives the fitted attributes.
        """
        if self._context is not None:
            self._end_step(None)
            self._context.call_on_fit_task_end(
                estimator=self._estimator, **self._data, reconstruction_attributes=attributes
            )

    def _begin_step(self) -> None:
        if self._left == 0:
            self._step = None
            return
        if self._left is not None:
            self._left -= 1
        self._step = self._context.subcontext(task_name=self._name)
        self._step.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def _end_step(self, attributes: Callable[[], dict[str, Any]] | None) -> None:
        if self._step is None:
            return
        self._step.call_on_fit_task_end(estimator=self._estimator, **self._data, reconstruction_attributes=attributes)
