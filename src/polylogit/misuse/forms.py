"""The form of scores: a distribution, log-probabilities, numbers from 0 to 1, rectified, bounded, equal in all rows.

Each predicate is applied to the scores of the batch and to those under redrawn parameters: a form is the model's only
where it holds for all of them.

See also: `score_checks.py`, which draws the conclusions.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

__all__ = [
    "as_rows",
    "constant_rows",
    "is_bounded_by_1",
    "is_distribution",
    "is_log_distribution",
    "is_outside_unit_interval",
    "is_positive",
    "is_rectified",
    "is_unit_interval",
]


def as_rows(scores: Shaped[Tensor, "..."]) -> Float[Tensor, "rows K"]:
    """Lay scores as (rows, K) in float32 or wider; one score a row becomes K = 1."""
    wide = scores.float() if scores.dtype.itemsize < 4 or not scores.is_floating_point() else scores
    if wide.dim() <= 1:
        return wide.reshape(-1, 1)
    return wide.movedim(1, -1).reshape(-1, wide.shape[1])


def tolerance(scores: Shaped[Tensor, "..."]) -> float:
    """How far a sum that should be 1 may be off: what the dtype of the scores rounds to."""
    return 2e-2 if scores.dtype in (torch.float16, torch.bfloat16) else 1e-4


def is_distribution(samples: Sequence[Tensor], *, over_rows: bool = False) -> bool:
    """Every row (or every column) is from 0 to 1 and sums to 1."""

    def holds(scores: Tensor) -> bool:
        slack = tolerance(scores)
        rows = as_rows(scores)
        sums = rows.sum(0 if over_rows else 1)
        inside = bool((rows >= -slack).all()) and bool((rows <= 1 + slack).all())
        return inside and bool(((sums - 1).abs() <= slack).all())

    return _all_have(samples, holds, least_classes=1 if over_rows else 2)


def is_log_distribution(samples: Sequence[Tensor]) -> bool:
    """Every row is at most 0 and its exponentials sum to 1."""

    def holds(scores: Tensor) -> bool:
        rows = as_rows(scores)
        return bool((rows <= tolerance(scores)).all()) and bool((rows.logsumexp(1).abs() <= tolerance(scores)).all())

    return _all_have(samples, holds, least_classes=2)


def is_unit_interval(samples: Sequence[Tensor]) -> bool:
    """Every score is from 0 to 1.

    Small logits may lie there by chance, so this form has to survive redrawn parameters, or show both ends among many
    scores.
    """
    if not _all_have(samples, lambda scores: bool((scores >= 0).all()) and bool((scores <= 1).all()), least_classes=1):
        return False
    first = samples[0]
    both_ends = first.numel() >= 20 and float(first.min()) < 0.05 and float(first.max()) > 0.95
    return both_ends or (len(samples) > 1 and all(float(scores.max()) > float(scores.min()) for scores in samples[1:]))


def is_outside_unit_interval(scores: Shaped[Tensor, "..."]) -> bool:
    """Some score is below 0 or above 1."""
    return float(scores.min()) < 0 or float(scores.max()) > 1


def is_rectified(samples: Sequence[Tensor]) -> bool:
    """No score is below 0, and in each sample some are 0 to the last bit and some are not."""

    def holds(scores: Tensor) -> bool:
        zeros = int((scores == 0).sum())
        return bool((scores >= 0).all()) and max(2, 0.01 * scores.numel()) <= zeros < scores.numel()

    return _all_have(samples, holds, least_classes=1)


def is_bounded_by_1(samples: Sequence[Tensor]) -> bool:
    """Every score is from -1 to 1 with both signs, under redrawn parameters too, and some come near the bounds."""

    def holds(scores: Tensor) -> bool:
        return float(scores.abs().max()) <= 1 and float(scores.min()) < 0 < float(scores.max())

    if len(samples) < 3 or samples[0].numel() < 20 or not _all_have(samples, holds, least_classes=2):
        return False
    return any(float(scores.abs().max()) > 0.9 for scores in samples)


def is_positive(samples: Sequence[Tensor]) -> bool:
    """No score is negative in many, under redrawn parameters either, and some exceed 1."""
    many = bool(samples) and samples[0].numel() >= 20 and len(samples) >= 3
    return many and _all_have(samples, lambda scores: bool((scores >= 0).all()), least_classes=2)


def constant_rows(scores: Shaped[Tensor, "..."]) -> bool:
    """All rows are the same, up to rounding; each class by its own size, for a masked one may stand at -1e9 or -inf."""
    rows = as_rows(scores)
    finite = rows.isfinite()
    if not bool((finite == finite[:1]).all()):
        return False  # masked with -inf in some rows and not in others
    rows = torch.where(finite, rows, 0)
    same = rows.amax(0) - rows.amin(0) <= 1e-6 * (1 + rows.abs().amax(0))
    return len(rows) > 1 and bool(same.all())


def _all_have(samples: Sequence[Tensor], holds: Callable[[Tensor], bool], *, least_classes: int) -> bool:
    if not samples or samples[0].numel() == 0 or as_rows(samples[0]).shape[1] < least_classes:
        return False
    return all(bool(scores.isfinite().any()) and holds(scores) for scores in samples)
