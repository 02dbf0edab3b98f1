"""Names of scikit-learn that are private, or newer than version 1.6, the oldest that is supported.

No other file of polylogit imports a private name of scikit-learn.
"""

from typing import Any

from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_method_params as check_method_params
from sklearn.utils.validation import _check_sample_weight

__all__ = [
    "CallbackSupportMixin",
    "Interval",
    "StrOptions",
    "check_method_params",
    "check_sample_weight",
    "fit_context",
]

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # before version 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Estimators have no callbacks before version 1.9 of scikit-learn."""


def check_sample_weight(sample_weight: Any, X: Any) -> Any:  # noqa: ANN401 - whatever scikit-learn takes
    """The weight of each row as float64 numbers of 0 or more; scikit-learn's own messages for anything else."""
    return _check_sample_weight(sample_weight, X, dtype="float64", ensure_non_negative=True)
