"""Class names, class indices and one-hot rows. The index of a class is its position in `class_names`, everywhere."""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor

from polylogit.errors import DataError, PolylogitError, did_you_mean

__all__ = [
    "balanced_class_weight",
    "balanced_weights",
    "check_class_indices",
    "chosen_classes",
    "class_indices",
    "class_totals",
    "one_hot",
    "ordered_class_names",
]


def ordered_class_names(labels: Iterable[str]) -> tuple[str, ...]:
    """The distinct labels in their fixed order: as numbers where all are numbers, else as text.

    Args:
        labels: One label per row.

    Returns:
        Every class name once.

    Example:
        >>> ordered_class_names(["10", "9", "10"])
        ('9', '10')
        >>> ordered_class_names(["fish", "bird"])
        ('bird', 'fish')
    """
    names = set(labels)
    try:
        return tuple(sorted(names, key=lambda name: (float(name), name)))
    except ValueError:
        return tuple(sorted(names))


def chosen_classes(wanted: Sequence[str], there: Sequence[str], place: str) -> tuple[str, ...]:
    """The classes that are wanted, once it is known that all of them are there.

    Args:
        wanted: Class names, in the order they are to be counted in.
        there: Those of the data.
        place: What messages call the data.

    Returns:
        The wanted names.

    Raises:
        DataError: There is no row of one of them.

    Example:
        >>> chosen_classes(["1", "0"], ["0", "1", "2"], "digits")
        ('1', '0')
    """
    for name in wanted:
        if name not in there:
            raise DataError(
                f'{place}: data.classes names "{name}", but no row is of that class.{did_you_mean(name, there)}'
            )
    return tuple(wanted)


def class_indices(labels: Sequence[str], class_names: Sequence[str]) -> Int[Tensor, " N"]:
    """The place of each label in `class_names`.

    Args:
        labels: One label per row.
        class_names: The classes in their order.

    Returns:
        Int64 indices in [0, K).

    Raises:
        DataError: A label is none of the class names; the message names its row, counted from 1.

    Example:
        >>> class_indices(["fish", "bird"], ("bird", "fish")).tolist()
        [1, 0]
    """
    index_of = {name: index for index, name in enumerate(class_names)}
    try:
        return torch.tensor([index_of[label] for label in labels], dtype=torch.int64)
    except KeyError:
        row, label = next((row, label) for row, label in enumerate(labels, start=1) if label not in index_of)
        known = ", ".join(list(class_names)[:12]) + (", …" if len(class_names) > 12 else "")
        raise DataError(
            f'row {row}: the class "{label}" is none of the {len(class_names)} classes ({known}). '
            "Correct the label, or drop the row."
        ) from None


def check_class_indices(
    targets: Integer[Tensor, "..."],
    classes: int,
    *,
    name: str = "targets",
    remedy: str = "Indices count from 0; check the number of classes.",
    error: type[PolylogitError] = DataError,
) -> None:
    """Raise an error where a class index is outside [0, K).

    Args:
        targets: Class indices, of any integer dtype.
        classes: K, the number of classes.
        name: What the message calls the indices.
        remedy: The last sentence of the message: what to do.
        error: Class of the error.

    Raises:
        PolylogitError: An index is out of range, of the class `error`. The message names the first such row, counted
            from 0, its index, and how many there are.

    Example:
        >>> check_class_indices(torch.tensor([0, 3, 4]), 3)
        Traceback (most recent call last):
            ...
        polylogit.errors.DataError: targets[1]: expected a class index from 0 to 2, got 3 ...
    """
    outside = (targets < 0) | (targets >= classes)
    if bool(outside.any()):
        position = outside.nonzero()[0].tolist()
        raise error(
            f"{name}{position}: expected a class index from 0 to {classes - 1}, got {int(targets[tuple(position)])} "
            f"({int(outside.sum())} of {targets.numel()} are out of range). {remedy}"
        )


def one_hot(targets: Int[Tensor, " N"], classes: int) -> Float[Tensor, "N K"]:
    """Rows of zeros with a one in the place of the class.

    Args:
        targets: Class indices in [0, K).
        classes: K, the number of classes.

    Returns:
        Float32 rows that sum to one.

    Raises:
        DataError: An index is outside [0, K).

    Example:
        >>> one_hot(torch.tensor([2, 0]), 3)
        tensor([[0., 0., 1.],
                [1., 0., 0.]])
    """
    check_class_indices(targets, classes)
    return torch.nn.functional.one_hot(targets.long(), classes).float()


def balanced_class_weight(
    targets: Int[Tensor, " N"], classes: int, sample_weight: Float[Tensor, " N"] | None = None
) -> Float[Tensor, " K"]:
    """Class weights that give every class the same total weight: sum of weights / (K * sum of weights of the class).

    Args:
        targets: Class indices in [0, K).
        classes: K, the number of classes.
        sample_weight: Weight of each row, by which it is counted; 1 when left out.

    Returns:
        Float64 weights; a class without rows has weight 0. The same as scikit-learn's "balanced" from version 1.9 on.

    Example:
        >>> balanced_class_weight(torch.tensor([0, 0, 0, 1]), 2)
        tensor([0.6667, 2.0000], dtype=torch.float64)

    Source: King and Zeng (2001), Logistic Regression in Rare Events Data, section 3.
    """
    return balanced_weights(class_totals(targets, classes, sample_weight))


def class_totals(
    targets: Int[Tensor, " N"], classes: int, sample_weight: Float[Tensor, " N"] | None = None
) -> Float[Tensor, " K"]:
    """The sum of the weights of the rows of each class, or their number, in float64."""
    return torch.bincount(targets.long(), weights=sample_weight, minlength=classes).double()


def balanced_weights(totals: Float[Tensor, " K"]) -> Float[Tensor, " K"]:
    """The weight of each class that gives every class the same total; 0 for a class without rows."""
    return torch.where(totals > 0, totals.sum() / (len(totals) * totals), torch.zeros_like(totals))
