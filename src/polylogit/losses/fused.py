"""Cross-entropy with one exponential per logit, where that is faster than PyTorch's two.

An autograd function for class indices and many logits on a CPU. PyTorch takes exp in the log-softmax and again in its
gradient, and rounds the log-probabilities of half precision scores to half. Here softmax is taken once, in float32 at
least; the loss is read from it, and it becomes the gradient in place. That is one large tensor instead of three.
Softmax of float16 scores is taken again in the backward pass: a slope divided by the number of rows would be rounded to
float16, and to 0, before the factor of `torch.amp.GradScaler` reaches it.

See also: `kernels`, which chooses this function by the size of the batch.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.losses.reduction import Reduction, check_reduction
from polylogit.system.tensor_values import values_can_be_read

__all__ = ["fused_cross_entropy"]

_BLOCK = 1 << 20  # numbers widened to float32 at a time: 4 MiB, which stays in the cache
_TINY = 1e-30  # below this a float32 probability has lost digits, and its log is computed from the logits


def fused_cross_entropy(
    logits: Float[Tensor, "N K"], targets: Int[Tensor, " N"], ignore_index: int, reduction: Reduction
) -> Float[Tensor, "..."]:
    """Softmax cross-entropy of class indices, differentiable twice.

    loss_n = logsumexp_k(logits[n, k]) - logits[n, targets[n]],   0 where targets[n] is ignore_index

    Args:
        logits: (N, K), floating, on a CPU.
        targets: (N,), int64: from 0 to K - 1, or ignore_index.
        ignore_index: Marks rows to leave out.
        reduction: "none", "sum", or "mean" over the rows that are not left out.

    Returns:
        A scalar, or (N,) for "none"; float32 at least.

    Raises:
        IndexError: A class index is out of range.

    Example:
        >>> fused_cross_entropy(torch.tensor([[2.0, 0.0, 1.0]]), torch.tensor([0]), -100, "mean")
        tensor(0.4076)
    """
    check_reduction(reduction)
    skip, rows = (targets == ignore_index), len(targets)
    skipped = int(skip.count_nonzero())
    if skipped:
        targets = targets.masked_fill(skip, 0)
    if rows and not 0 <= int(targets.amin()) <= int(targets.amax()) < logits.shape[1]:
        raise IndexError("target out of range")
    scale = None if reduction == "none" else 1.0 if reduction == "sum" else 1.0 / max(rows - skipped, 1)
    loss: Tensor = _OneExponential.apply(logits, targets, skip if skipped else None, scale)
    return loss


class _OneExponential(torch.autograd.Function):
    """The losses, or scale times their sum; the slope is made in the forward pass and used up by the first backward."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        logits: Tensor,
        targets: Tensor,
        skip: Tensor | None,
        scale: float | None,
    ) -> Tensor:
        ctx.save_for_backward(logits, targets, skip)  # type: ignore[arg-type]  # None is taken
        ctx.scale = scale  # type: ignore[attr-defined]
        wanted = ctx.needs_input_grad[0] and logits.dtype is not torch.float16  # type: ignore[attr-defined]
        losses, ctx.slope = _losses_and_slope(logits, targets, skip, scale if wanted else None, wanted=wanted)  # type: ignore[attr-defined]
        return losses if scale is None else losses.sum() * scale

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        logits, targets, skip = ctx.saved_tensors  # type: ignore[attr-defined]
        scale: float | None = ctx.scale  # type: ignore[attr-defined]
        gradient = gradients[0]
        if torch.is_grad_enabled() or not values_can_be_read(gradient):
            # A gradient of this gradient is wanted, or many gradients at once (is_grads_batched).
            return _differentiable_slope(logits, targets, skip, scale, gradient), None, None, None
        slope, ctx.slope = ctx.slope, None  # type: ignore[attr-defined]
        factor = None if scale is None else gradient.item()
        if slope is None:  # float16, or used up by an earlier backward pass over a retained graph
            rows = gradient if factor is None or scale is None else factor * scale
            _, slope = _losses_and_slope(logits, targets, skip, rows, wanted=True)
        elif factor is None:
            slope.mul_(gradient.unsqueeze(1).to(slope.dtype))
        elif factor != 1:  # loss.backward() needs no further pass
            slope.mul_(factor)
        return slope, None, None, None


def _differentiable_slope(
    logits: Tensor, targets: Tensor, skip: Tensor | None, scale: float | None, gradient: Tensor
) -> Tensor:
    """The slope gradient * scale * (softmax(logits) - one_hot(targets)), in operations that autograd differentiates."""
    rows = gradient if scale is None else (gradient * scale).expand(len(targets))
    if skip is not None:
        rows = rows.masked_fill(skip, 0)
        logits = logits.masked_fill(skip.unsqueeze(1), 0)
    softmax = logits.to(gradient.dtype).softmax(1)
    one_hot = torch.zeros_like(softmax).scatter(1, targets.unsqueeze(1), 1.0)
    return (rows.unsqueeze(1) * (softmax - one_hot)).to(logits.dtype)


def _losses_and_slope(
    logits: Tensor, targets: Tensor, skip: Tensor | None, scale: float | Tensor | None, *, wanted: bool
) -> tuple[Tensor, Tensor | None]:
    """Losses and scale * (softmax - one_hot), in blocks where logits have to be widened; the scale may be one a row."""
    column = targets.unsqueeze(1)
    slope: Tensor | None
    if logits.dtype.itemsize >= 4:
        slope = torch.softmax(logits, 1)
        chosen = slope.gather(1, column)
        if wanted:
            _to_slope(slope, column, chosen, scale)
    else:
        rows, classes = logits.shape
        step = max(1, _BLOCK // classes)
        slope = torch.empty_like(logits) if wanted else None
        chosen = torch.empty(rows, 1, dtype=torch.float32, device=logits.device)
        block = torch.empty(min(step, rows), classes, dtype=torch.float32, device=logits.device)
        for start in range(0, rows, step):
            part = slice(start, start + step)
            wide = block[: min(step, rows - start)]
            wide.copy_(logits[part])
            torch.softmax(wide, 1, out=wide)
            torch.gather(wide, 1, column[part], out=chosen[part])
            if slope is not None:
                _to_slope(wide, column[part], chosen[part], scale[part] if isinstance(scale, Tensor) else scale)
                slope[part].copy_(wide)
    losses = -chosen.log().squeeze(1)
    if not chosen.numel() or not float(chosen.amin()) >= _TINY:  # written so that NaN is computed again too
        lost = chosen.squeeze(1) < _TINY
        far = logits[lost].to(losses.dtype)
        losses[lost] = far.logsumexp(1) - far.gather(1, column[lost]).squeeze(1)
    if skip is not None:
        losses.masked_fill_(skip, 0)
        if slope is not None:
            slope.masked_fill_(skip.unsqueeze(1), 0)
    return losses, slope


def _to_slope(softmax: Tensor, column: Tensor, chosen: Tensor, scale: float | Tensor | None) -> None:
    """Turn softmax into scale * (softmax - one_hot), in place."""
    softmax.scatter_(1, column, chosen - 1)
    if isinstance(scale, Tensor):
        softmax.mul_(scale.unsqueeze(1))
    elif scale is not None and scale != 1:
        softmax.mul_(scale)
