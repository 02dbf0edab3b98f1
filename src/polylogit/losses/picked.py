"""Cross-entropy of probabilities that looks at one probability a row.

Owns the kernel for class indices on a CPU: the probability of each row's class is picked first, widened, and its log
taken alone; the gradient is a tensor of zeros with one number a row. `nll_loss(log(p))` takes the log of all of them
and divides all of them again. And it owns the sample that scores are judged by: whether a network gives probabilities
is decided for all rows alike, so the first 16 tell, and the other rows stay unread.
Does not own the long way with weights and soft rows (`likelihood`), nor the words for what is wrong (`targets`).
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from polylogit.losses.reduction import Reduction, check_reduction
from polylogit.losses.targets import LOWEST_PROBABILITY

__all__ = ["are_distributions", "picked_cross_entropy", "sample_of"]

_ROWS = 16
_SAMPLE = 1 << 15  # numbers at most, where further axes make rows long
_FEW_SCORES = 1 << 13  # up to here two native operations on all scores cost less than an autograd function


def sample_of(probabilities: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
    """The first 16 rows; of very long rows, evenly spaced places along their last axis."""
    if probabilities.dim() < 2:
        return probabilities
    sample = probabilities[:_ROWS]
    if sample.dim() > 2 and sample.numel() > _SAMPLE:
        sample = sample[..., :: -(-sample.numel() // _SAMPLE)]
    return sample


def are_distributions(probabilities: Shaped[Tensor, "..."], axis: int, tolerance: float) -> bool:
    """Whether no number is below 0 and all of them sum to the number of rows; NaN passes, being no error in a score."""
    values = probabilities.detach()
    if values.numel() == 0:
        return True
    rows = values.numel() // values.shape[axis]
    total = values.sum(dtype=torch.float32 if values.dtype.itemsize < 4 else None).item()
    return not (abs(total - rows) > rows * tolerance or values.amin().item() < LOWEST_PROBABILITY)


def picked_cross_entropy(
    probabilities: Shaped[Tensor, "..."],
    targets: Int[Tensor, "..."],
    ignore_index: int,
    reduction: Reduction,
    tolerance: float | None,
) -> Float[Tensor, "..."] | None:
    """Cross-entropy of class indices, differentiable twice; None where something is suspicious or not a number.

    loss_n = -log(probabilities[n, targets[n]]),   0 where targets[n] is ignore_index

    Args:
        probabilities: (N, K) or (N, K, d1, ...), on a CPU; refused where not floating.
        targets: int64: from 0 to K - 1, or ignore_index.
        ignore_index: Marks rows to leave out.
        reduction: "none", "sum", or "mean" over the rows that are not left out.
        tolerance: How far a row may sum from 1; None to look at no sum.

    Returns:
        A scalar, or one loss per row for "none"; float32 at least.

    Raises:
        RuntimeError: Shapes do not fit, or a target is out of range (PyTorch's own).

    Example:
        >>> picked_cross_entropy(torch.tensor([[0.5, 0.5]]), torch.tensor([1]), -100, "mean", 1e-3)
        tensor(0.6931)
    """
    check_reduction(reduction)
    count = probabilities.numel()
    if count <= _FEW_SCORES and reduction != "none" and count:
        loss = _of_few(probabilities, targets, ignore_index, reduction, tolerance)
        if loss is not None:
            return loss
    if targets.shape != probabilities.shape[:1] + probabilities.shape[2:] or probabilities.dim() < 2:
        return None
    if tolerance is not None and not are_distributions(sample_of(probabilities), 1, tolerance):
        return None
    if 0 <= ignore_index < probabilities.shape[1]:
        loss = _of_rows(probabilities, targets, targets == ignore_index, reduction)
    else:
        try:
            loss = _of_rows(probabilities, targets, None, reduction)
        except RuntimeError:  # an index is out of range: rows to leave out, or a mistake that fails again
            loss = _of_rows(probabilities, targets, targets == ignore_index, reduction)
    number = loss.item() if reduction != "none" else loss.detach().sum().item()
    return None if math.isnan(number) else loss


def _of_few(
    probabilities: Tensor, targets: Tensor, ignore_index: int, reduction: Reduction, tolerance: float | None
) -> Tensor | None:
    """PyTorch's two operations, where no p = 0 is about: the log's gradient would be NaN there."""
    wide = probabilities.float() if probabilities.dtype.itemsize < 4 else probabilities
    values = wide.detach()
    if not values.amin().item() > 0:
        return None
    if tolerance is not None:
        rows = targets.numel()
        if not abs(values.sum().item() - rows) <= rows * tolerance:
            return None
    loss = F.nll_loss(wide.log(), targets, ignore_index=ignore_index, reduction=reduction)
    number = loss.item()
    if number == 0:
        return loss + 0.0  # the loss of sure and right rows is 0, not PyTorch's -0
    return None if math.isnan(number) else loss


def _of_rows(probabilities: Tensor, targets: Tensor, skip: Tensor | None, reduction: Reduction) -> Tensor:
    """The autograd function, with rows left out where `skip` says so."""
    kept = targets.numel()
    if skip is not None:
        kept -= int(skip.count_nonzero())
        targets, skip = targets.masked_fill(skip, 0), skip.unsqueeze(1)
    scale = None if reduction == "none" else -1.0 if reduction == "sum" else -1.0 / max(kept, 1)
    loss: Tensor = _Picked.apply(probabilities, targets.unsqueeze(1), skip, scale)
    return loss


class _Picked(torch.autograd.Function):
    """scale * sum of log p, or -log p by row; the gradient is scale / p at the picked places and 0 elsewhere."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        probabilities: Tensor,
        column: Tensor,
        skip: Tensor | None,
        scale: float | None,
    ) -> Tensor:
        picked = probabilities.gather(1, column)
        if picked.dtype.itemsize < 4:
            picked = picked.float()
        if skip is not None:
            picked.masked_fill_(skip, 1)
        ctx.save_for_backward(probabilities, column, skip, picked)  # type: ignore[arg-type]  # None is taken
        ctx.scale = scale  # type: ignore[attr-defined]
        logs = picked.log()
        # Subtracted from 0, for a product with a negative number would make -0 of the loss of sure and right rows.
        return torch.rsub(logs.squeeze(1), 0) if scale is None else torch.rsub(logs.sum(), 0, alpha=-scale)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        probabilities, column, skip, picked = ctx.saved_tensors  # type: ignore[attr-defined]
        scale: float | None = ctx.scale  # type: ignore[attr-defined]
        gradient = -gradients[0].unsqueeze(1) if scale is None else gradients[0] * scale
        if torch.is_grad_enabled():  # a gradient of this gradient is wanted: p has to be on the graph
            picked = probabilities.gather(1, column).to(picked.dtype)
            picked = picked if skip is None else picked.masked_fill(skip, 1)
        slope = gradient / picked
        if skip is not None:
            slope = slope.masked_fill(skip, 0)
        zeros = torch.zeros_like(probabilities)
        return zeros.scatter_(1, column, slope.to(probabilities.dtype)), None, None, None
