"""The arguments of version 0.1 for the parts of a calibration, which its classifier took one by one."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, TypeVar

from polylogit.calibration.calibration import Calibration
from polylogit.errors import PolylogitWarning

__all__ = ["accepts_former_arguments"]

_FIELDS = {
    "temperature": "temperature",
    "curve": "quadratic",
    "floor": "uniform_share",
    "vector_scaling": "vector_scaling",
}
"""The field of `Calibration` for each former argument."""

_T = TypeVar("_T")


def accepts_former_arguments(cls: type[_T]) -> type[_T]:
    """Let a class with an argument `calibration` take `temperature`, `curve`, `floor` and `vector_scaling` as well.

    Args:
        cls: The class; changed in place.

    Returns:
        The class. Its constructor warns (`PolylogitWarning`) of each former argument, and puts it into the calibration.

    Example:
        >>> @accepts_former_arguments
        ... class Model:
        ...     def __init__(self, calibration=Calibration()):
        ...         self.calibration = calibration
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     Model(temperature=2.0).calibration.temperature
        2.0
    """
    construct: Callable[..., None] = cls.__init__

    @wraps(construct)
    def __init__(self: _T, *arguments: Any, **options: Any) -> None:  # noqa: N807, ANN401
        former = {field: options.pop(name) for name, field in _FIELDS.items() if name in options}
        if former:
            written = ", ".join(f"{field}=..." for field in former)
            warnings.warn(
                f"{cls.__name__}: the parts of a calibration are one argument now, calibration=Calibration({written}).",
                PolylogitWarning,
                stacklevel=2,
            )
            options["calibration"] = replace(options.get("calibration", Calibration()), **former)
        construct(self, *arguments, **options)

    setattr(cls, "__init__", __init__)  # noqa: B010 - mypy allows no plain assignment to a method
    return cls
