"""Errors for arguments that other libraries' losses take under another name or in another place."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from polylogit.errors import did_you_mean

if TYPE_CHECKING:
    from typing import Never as Unexpected  # a type checker reports every argument that ends up here
else:
    Unexpected = Any

__all__ = ["Unexpected", "raise_unexpected_arguments"]

_CLASS_WEIGHT = "Weights of classes are class_weight=..., weights of rows sample_weight=..."
_BINARY_WEIGHT = "Weights of rows or scores are sample_weight=..., the weight of class 1 is pos_weight=..."
_CHOOSE = "The name of the function says it: ..._with_logits, ..._with_probabilities, ..._with_log_probabilities."
_AXIS = "Classes lie on axis 1: move another axis there with scores.movedim(axis, 1)."
_RENAMED = {
    "from_logits": _CHOOSE,
    "axis": _AXIS,
    "dim": _AXIS,
    "size_average": 'Use reduction="none", "sum" or "mean".',
    "reduce": 'Use reduction="none", "sum" or "mean".',
    "ignore_class": "The class index that marks rows to leave out is ignore_index=...",
    "smoothing": "Use label_smoothing=...",
    "alpha": "The paper's alpha is class_weight=...",
}


def raise_unexpected_arguments(
    name: str, known: Sequence[str], positional: Sequence[object], unknown: Mapping[str, object]
) -> NoReturn:
    """Raise the TypeError for arguments that a loss does not take, with the name of those that it does.

    Args:
        name: The function's or class's name.
        known: Its options.
        positional: Arguments given by position that have to be given by name.
        unknown: Arguments given by a name that it does not know.

    Raises:
        TypeError: Always.

    Example:
        >>> raise_unexpected_arguments("f", ["class_weight"], [], {"weight": None})
        Traceback (most recent call last):
        TypeError: f() got an unexpected argument "weight". Weights of classes are class_weight=..., ...
    """
    weights = _BINARY_WEIGHT if "pos_weight" in known else _CLASS_WEIGHT
    if positional:
        raise TypeError(
            f"{name}() takes its options by name only, got {len(positional)} more by position. {weights}, "
            f"all options: {', '.join(known)}."
        )
    argument = next(iter(unknown))
    if argument in ("weight", "weights"):
        hint = f" {weights}"
    elif argument in _RENAMED:
        hint = f" {_RENAMED[argument]}"
    else:
        hint = did_you_mean(argument, known)
    raise TypeError(f'{name}() got an unexpected argument "{argument}".{hint}')
