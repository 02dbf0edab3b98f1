"""Class weights and sample weights: the forms they are taken in, their checks, and the weight of each target."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from polylogit.errors import ScoreError
from polylogit.losses.arithmetic import least
from polylogit.losses.autocast import without_autocast
from polylogit.losses.targets import class_axis, resolve_targets, where

__all__ = [
    "ClassWeight",
    "SampleWeight",
    "as_weight",
    "broadcast_sample_weight",
    "check_class_weight",
    "check_sample_weight",
    "target_weights",
    "weights_of",
]

Numbers = Sequence[int | float] | np.ndarray
ClassWeight = Shaped[Tensor, " classes"] | Numbers
SampleWeight = Shaped[Tensor, "..."] | Numbers


def as_weight(value: object, name: str, scores: Tensor | None = None) -> Tensor | None:
    """A weight as a tensor: tensors pass as they are, lists, tuples and NumPy arrays are converted.

    Args:
        value: What the caller gave; None passes.
        name: The option's name, for the message.
        scores: Their device is the weight's; None: the CPU.

    Returns:
        A tensor, float32 where it had to be converted.

    Raises:
        ScoreError: Something else, such as "balanced".

    Example:
        >>> as_weight([1, 2.5], "class_weight")
        tensor([1.0000, 2.5000])
        >>> as_weight("balanced", "class_weight")
        Traceback (most recent call last):
        polylogit.errors.ScoreError: class_weight: expected one number per class, got 'balanced'. Compute them ...
    """
    if value is None or isinstance(value, Tensor):
        return value
    device = "cpu" if scores is None else scores.device
    if isinstance(value, list | tuple | np.ndarray):
        try:
            return torch.as_tensor(np.asarray(value, dtype=np.float32), device=device)
        except (TypeError, ValueError):
            pass
    fix = "Pass a tensor."
    if name == "class_weight":
        fix = (
            "Compute them from the classes of the training set: counts = torch.bincount(classes, minlength=K), "
            "class_weight = counts.sum() / (K * counts)."
        )
    expected = "one number per class" if name == "class_weight" else "numbers"
    shown = repr(value) if isinstance(value, str | list | tuple) else type(value).__name__
    raise ScoreError(f"{name}: expected {expected}, got {shown[:80]}. {fix}")


def check_sample_weight(sample_weight: Shaped[Tensor, "..."]) -> None:
    """Raise ScoreError where a sample weight is negative or NaN."""
    if sample_weight.numel() and not least(sample_weight.detach()) >= 0:
        position = torch.nonzero(~(sample_weight >= 0))[0].tolist()
        value = float(sample_weight[tuple(position)])
        raise ScoreError(
            f"sample_weight, {where(position)}: expected a weight of 0 or more, got {value:g}. "
            "Give 0 to leave a row out of the loss."
        )


def broadcast_sample_weight(sample_weight: Shaped[Tensor, "..."], losses_shape: Sequence[int]) -> Shaped[Tensor, "..."]:
    """Broadcast weights per row, (N,), to losses per position, (N, d1, ...); the full shape passes as it is."""
    shape, wanted = tuple(sample_weight.shape), tuple(losses_shape)
    if shape == wanted:
        return sample_weight
    if len(shape) == 1 and shape == wanted[:1]:
        return sample_weight.reshape(-1, *[1] * (len(wanted) - 1)).expand(wanted)
    per_row = f"({wanted[0]},)" if wanted else "()"
    raise ScoreError(
        f"sample_weight: expected one weight per row, shape {per_row}{f' or {wanted}' if len(wanted) > 1 else ''}, "
        f"got shape {shape}."
    )


def check_class_weight(class_weight: Shaped[Tensor, "..."], classes: int) -> None:
    """Raise ScoreError where the shape is not (K,)."""
    if tuple(class_weight.shape) != (classes,):
        raise ScoreError(
            f"class_weight: expected one weight per class, shape ({classes},), got shape {tuple(class_weight.shape)}."
        )


def target_weights(
    targets: Shaped[Tensor, "..."],
    scores_shape: Sequence[int],
    *,
    class_weight: ClassWeight | None = None,
    sample_weight: SampleWeight | None = None,
    ignore_index: int = -100,
) -> Float[Tensor, "..."]:
    """The weight of each target in the mean; their sum is what a weighted mean divides by.

    weight_n = sample_weight[n] * class_weight[y_n]                        class indices (0 where y_n is ignore_index)
    weight_n = sample_weight[n] * sum_k targets[n, k] * class_weight[k]    one-hot and soft rows

    It needs no scores, only their shape. So a batch that is cut into parts (accumulated steps, several ranks) has the
    same objective as a whole one: add up `reduction="sum"` losses and these weights, then divide once.

    Args:
        targets: Class indices, one-hot or soft rows; any device.
        scores_shape: (N, K), (N, K, d1, ...) or (K,): the shape that the model's scores have or will have.
        class_weight: (K,), a tensor, list or NumPy array; 1 where not given.
        sample_weight: (N,) or the shape of the losses; 1 where not given.
        ignore_index: Class index that marks rows to leave out.

    Returns:
        Weights, with the scores' shape less the class axis; float32 at least.

    Raises:
        ScoreError: A shape or dtype does not fit.

    Example:
        >>> target_weights(torch.tensor([0, 1, -100]), (3, 2), class_weight=[1.0, 3.0])
        tensor([1., 3., 0.])
    """
    resolved = resolve_targets(targets, scores_shape)
    axis = class_axis(scores_shape)
    class_weight = as_weight(class_weight, "class_weight", resolved)
    sample_weight = as_weight(sample_weight, "sample_weight", resolved)
    if class_weight is not None:
        check_class_weight(class_weight, scores_shape[axis])
    return without_autocast(weights_of, resolved, axis, class_weight, sample_weight, ignore_index)


def weights_of(
    resolved: Shaped[Tensor, "..."],
    axis: int,
    class_weight: Shaped[Tensor, " K"] | None,
    sample_weight: Shaped[Tensor, "..."] | None,
    ignore_index: int,
) -> Float[Tensor, "..."]:
    """`target_weights` of targets in one of the two forms of `resolve_targets`, outside autocast."""
    if resolved.dtype.is_floating_point:
        rows = resolved.float() if resolved.dtype.itemsize < 4 else resolved
        if class_weight is None:
            # A soft row is one example, whatever rounding has made of its sum.
            weights = rows.new_ones(rows.shape[:axis] + rows.shape[axis + 1 :])
        else:
            weights = torch.tensordot(rows, class_weight.to(rows.dtype), dims=([axis], [0]))
    else:
        kept = resolved != ignore_index
        if class_weight is None:
            weights = kept.float()
        else:
            wide = class_weight if class_weight.dtype is torch.float64 else class_weight.float()
            weights = torch.where(kept, wide[torch.where(kept, resolved, 0)], 0)
    if sample_weight is not None:
        wide = sample_weight if sample_weight.dtype is torch.float64 else sample_weight.float()
        weights = weights * broadcast_sample_weight(wide, weights.shape)
    return weights
