"""Row losses with one exponential per logit, where that is faster than PyTorch's two.

Owns an autograd function for class indices and many logits on a CPU. PyTorch takes exp in the log-softmax and again in
its gradient, and rounds the log-probabilities of half precision scores to half. Here softmax is taken once, in float32
at least; the loss is read off it and it becomes the gradient in place. That is one large tensor instead of two.
Does not own the choice of when to use it, nor weights, ignored rows and reductions (`softmax`, `likelihood`).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["row_losses"]

_BLOCK = 1 << 18  # numbers widened to float32 at a time: 1 MiB, which stays in a core's cache
_TINY = 1e-30  # below this a float32 probability has lost digits, so its log is taken the long way


def row_losses(logits: Float[Tensor, "N K"], targets: Int[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Softmax cross-entropy of each row, differentiable twice.

    loss_n = logsumexp_k(logits[n, k]) - logits[n, targets[n]]

    Args:
        logits: (N, K), floating, on a CPU.
        targets: (N,), int64, from 0 to K - 1.

    Returns:
        (N,), float32 at least.

    Raises:
        RuntimeError: A target is out of range (PyTorch's own; the caller says it in better words).

    Example:
        >>> row_losses(torch.tensor([[2.0, 0.0, 1.0]]), torch.tensor([0]))
        tensor([0.4076])
    """
    losses: Tensor = _RowLosses.apply(logits, targets)
    return losses


class _RowLosses(torch.autograd.Function):
    """The slope of a row's loss, softmax(logits) - one_hot(target), is made in the forward pass and used up once."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, logits: Tensor, targets: Tensor) -> Tensor:
        ctx.save_for_backward(logits, targets)
        losses, ctx.slope = _losses_and_slope(logits, targets, want_slope=ctx.needs_input_grad[0])  # type: ignore[attr-defined]
        return losses

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None]:
        logits, targets = ctx.saved_tensors  # type: ignore[attr-defined]
        gradient = gradients[0].unsqueeze(1)
        if torch.is_grad_enabled():  # a gradient of this gradient is wanted: say it in differentiable words
            softmax = logits.to(gradient.dtype).softmax(1)
            one_hot = torch.zeros_like(softmax).scatter_(1, targets.unsqueeze(1), 1.0)
            return (gradient * (softmax - one_hot)).to(logits.dtype), None
        slope, ctx.slope = ctx.slope, None  # type: ignore[attr-defined]
        if slope is None:  # used up by an earlier backward pass over a retained graph
            _, slope = _losses_and_slope(logits, targets, want_slope=True)
        return slope.mul_(gradient.to(slope.dtype)), None


def _losses_and_slope(logits: Tensor, targets: Tensor, *, want_slope: bool) -> tuple[Tensor, Tensor | None]:
    """One pass over the logits, block by block where they have to be widened."""
    column = targets.unsqueeze(1)
    slope: Tensor | None
    if logits.dtype.itemsize >= 4:
        slope = torch.softmax(logits, 1)
        chosen = slope.gather(1, column)
    else:
        rows, classes = logits.shape
        step = max(1, _BLOCK // classes)
        slope = torch.empty_like(logits) if want_slope else None
        chosen = torch.empty(rows, 1)
        block = torch.empty(min(step, rows), classes)
        for start in range(0, rows, step):
            part = slice(start, start + step)
            wide = block[: min(step, rows - start)]
            wide.copy_(logits[part])
            torch.softmax(wide, 1, out=wide)
            torch.gather(wide, 1, column[part], out=chosen[part])
            if slope is not None:
                slope[part].copy_(wide)
    losses = -chosen.log().squeeze(1)
    lost = chosen.squeeze(1) < _TINY
    if bool(lost.any()):
        far = logits[lost].to(losses.dtype)
        losses[lost] = far.logsumexp(1) - far.gather(1, column[lost]).squeeze(1)
    if slope is not None:
        slope.scatter_(1, column, (chosen - 1).to(slope.dtype))
    return losses, slope
