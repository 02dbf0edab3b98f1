"""Cross-entropy of probabilities that reads one probability a row.

The kernel for class indices on a CPU picks the probability of each row's class first, widens it, and takes the log of
that one alone; the gradient is a tensor of zeros with one number a row. `nll_loss(log(p))` takes the log of all of them
and divides all of them again. Whether scores are probabilities is checked on the first 16 rows: a network gives the
same kind of score for every row.

See also: `likelihood` for weights and soft rows.
"""

import math

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from polylogit.losses.arithmetic import least
from polylogit.losses.reduction import NUMBERS, Reduction, check_reduction
from polylogit.losses.targets import LOWEST_PROBABILITY
from polylogit.system import torch_private

__all__ = ["are_distributions", "picked_cross_entropy", "sample_of"]

_ROWS = 16
_SAMPLE = 1 << 15  # numbers at most, where further axes make rows long
# Up to here two of PyTorch's operations on all scores cost less than an autograd function; in half precision they are
# four.
_FEW_SCORES = 1 << 15
_FEW_SCORES_HALF = 1 << 13


def sample_of(probabilities: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
    """The first 16 rows; of very long rows, evenly spaced places along their last axis."""
    if probabilities.dim() < 2:
        return probabilities
    sample = probabilities[:_ROWS]
    if sample.dim() > 2 and sample.numel() > _SAMPLE:
        sample = sample[..., :: -(-sample.numel() // _SAMPLE)]
    return sample


def are_distributions(probabilities: Shaped[Tensor, "..."], axis: int, tolerance: float) -> bool:
    """Whether no number is below 0 and the sum of all is the number of rows; NaN passes, as in every score."""
    count = probabilities.numel()
    if count == 0:
        return True
    rows = count // probabilities.shape[axis]
    total = probabilities.sum().item()
    return not (abs(total - rows) > rows * tolerance or least(probabilities) < LOWEST_PROBABILITY)


def picked_cross_entropy(
    probabilities: Shaped[Tensor, "..."],
    targets: Int[Tensor, "..."],
    ignore_index: int,
    reduction: Reduction,
    tolerance: float | None,
) -> Float[Tensor, "..."] | None:
    """Cross-entropy of class indices, differentiable twice; None where a value is suspicious or NaN.

    loss_n = -log(probabilities[n, targets[n]]),   0 where targets[n] is ignore_index

    Args:
        probabilities: (N, K) or (N, K, d1, ...), floating, on a CPU.
        targets: int64: from 0 to K - 1, or ignore_index.
        ignore_index: Marks rows to leave out.
        reduction: "none", "sum", or "mean" over the rows that are not left out.
        tolerance: How far the sum of a row may be from 1; None: sums are not checked.

    Returns:
        A scalar, or one loss per row for "none"; float32 at least.

    Raises:
        IndexError: A class index is out of range (PyTorch's own).

    Example:
        >>> picked_cross_entropy(torch.tensor([[0.5, 0.5]]), torch.tensor([1]), -100, "mean", 1e-3)
        tensor(0.6931)
    """
    if reduction != "mean":
        check_reduction(reduction)
    half = probabilities.dtype is not torch.float32 and probabilities.dtype.itemsize < 4
    if reduction != "none" and 0 < probabilities.numel() <= (_FEW_SCORES_HALF if half else _FEW_SCORES):
        wide = probabilities.float() if half else probabilities
        loss = _of_few(wide, targets, ignore_index, reduction, tolerance)
        if loss is not None:
            return loss
    axes, shape, full = probabilities.dim(), targets.shape, probabilities.shape
    if axes < 2 or shape != full[:1] + full[2:] or 0 in shape:
        return None
    if tolerance is not None and not are_distributions(sample_of(probabilities.detach()), 1, tolerance):
        return None
    if axes == 2:
        return _of_rows(probabilities, targets, ignore_index, reduction)
    # PyTorch's kernel takes two further axes.
    places = _of_rows(
        probabilities.reshape(full[0], full[1], -1, 1),
        targets.reshape(full[0], -1, 1),
        ignore_index,
        reduction,
    )
    return places.reshape(shape) if places is not None and reduction == "none" else places


def _of_few(
    probabilities: Tensor, targets: Tensor, ignore_index: int, reduction: Reduction, tolerance: float | None
) -> Tensor | None:
    """PyTorch's two operations, where no p is 0: the gradient of the log would be NaN there."""
    values = probabilities.detach()
    if not least(values) > 0:
        return None
    if tolerance is not None:
        rows = targets.numel()
        if not abs(values.sum().item() - rows) <= rows * tolerance:
            return None
    loss = torch_private.nll_loss(probabilities.log(), targets, None, NUMBERS[reduction], ignore_index)
    number = loss.item()
    if number > 0:
        return loss
    return loss + 0.0 if number == 0 else None  # the loss of certain and right rows is 0, not PyTorch's -0


def _of_rows(probabilities: Tensor, targets: Tensor, ignore_index: int, reduction: Reduction) -> Tensor | None:
    """The autograd function, for (N, K) or (N, K, D, 1); None where the loss is not a number."""
    skip, kept = None, targets.numel()
    while True:
        scale = None if reduction == "none" else -1.0 if reduction == "sum" else -1.0 / max(kept, 1)
        loss: Tensor = _Picked.apply(probabilities, targets, ignore_index, skip, scale)
        number = loss.item() if scale is not None else loss.detach().sum().item()
        if math.isnan(number):
            return None
        if skip is not None or not math.isinf(number):
            return loss
        # The kernel picks 0 for an ignored row, so that its log makes the loss infinite; or some p = 0 does.
        skip = targets == ignore_index
        skipped = int(skip.count_nonzero())
        if skipped == 0:
            return loss
        kept -= skipped


class _Picked(torch.autograd.Function):
    """scale * sum of log p, or -log p by row; the gradient is scale / p at the picked places and 0 elsewhere."""

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd hands them over one by one
        ctx: torch.autograd.function.FunctionCtx,
        probabilities: Tensor,
        targets: Tensor,
        ignore_index: int,
        skip: Tensor | None,
        scale: float | None,
    ) -> Tensor:
        picked = _picked(probabilities, targets, ignore_index, skip)
        ctx.save_for_backward(probabilities, targets, skip, picked)  # type: ignore[arg-type]  # None is taken
        ctx.options = ignore_index, scale  # type: ignore[attr-defined]
        logs = picked.log()
        # Subtracted from 0: a product with a negative number would make -0 of the loss of certain and right rows.
        return torch.rsub(logs, 0) if scale is None else torch.rsub(logs.sum(), 0, alpha=-scale)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        probabilities, targets, skip, picked = ctx.saved_tensors  # type: ignore[attr-defined]
        ignore_index, scale = ctx.options  # type: ignore[attr-defined]
        if torch.is_grad_enabled():  # a gradient of this gradient is wanted: p has to be in the graph
            picked = _picked(probabilities, targets, ignore_index, skip)
        # The kernel turns the sign.
        slope = (gradients[0] if scale is None else gradients[0] * -scale) / picked
        slopes = torch_private.nll_loss_gradient(slope.to(probabilities.dtype), probabilities, targets, ignore_index)
        return slopes, None, None, None, None


def _picked(probabilities: Tensor, targets: Tensor, ignore_index: int, skip: Tensor | None) -> Tensor:
    """The probability of each row's class, in float32 at least; 0 where ignored, or 1 where `skip` says so."""
    negative = torch_private.nll_loss(probabilities, targets, None, NUMBERS["none"], ignore_index)
    picked = (negative if negative.dtype.itemsize >= 4 else negative.float()).neg_()
    return picked if skip is None else picked.masked_fill(skip, 1)
