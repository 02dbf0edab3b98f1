"""The choice of the kernel that computes a softmax on a CPU, by the number of classes and the size of the batch.

- Fewer classes than a vector register has lanes: PyTorch's kernel for a last axis that short is scalar. With the rows
  on the last axis the same kernels work on whole registers, 2 to 10 times faster.
- Many scores and class indices: one exponential per score (`fused`), where PyTorch takes two.
- Everything else: PyTorch as it is, in float32 at least.

See also: `cpu_losses`, for what a loss means and what happens where a kernel's result has another meaning.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from jaxtyping import Float, Shaped
from torch import Tensor

from polylogit.losses.arithmetic import at_least_float32, dot
from polylogit.losses.fused import fused_cross_entropy
from polylogit.losses.reduction import NUMBERS, Reduction
from polylogit.system import torch_private

__all__ = ["cross_entropy_on_cpu", "log_softmax"]

_REGISTER_BYTES = {"AVX512": 64, "AVX2": 32}.get(torch.backends.cpu.get_cpu_capability(), 16)

# From these numbers of scores on, a faster kernel is worth its further operations (benchmarks/losses.py).
_WORTH_TURNING = 1 << 10
_WORTH_FUSING = 1 << 19
_WORTH_FUSING_HALF = 1 << 17
_MANY_CLASSES = 64
_MOST_OF_ONE_PRODUCT = 1 << 20  # soft rows up to this size by one scalar product


def log_softmax(scores: Float[Tensor, "..."], axis: int) -> Float[Tensor, "..."]:
    """Log-softmax over an axis; differentiable and traceable as PyTorch's own.

    Example:
        >>> log_softmax(torch.zeros(1, 2), 1)
        tensor([[-0.6931, -0.6931]])
    """
    if axis == 1 and scores.is_cpu and not torch.compiler.is_compiling() and _has_few_classes(scores):
        return F.log_softmax(scores.t(), 0).t()
    return F.log_softmax(scores, axis)


def cross_entropy_on_cpu(  # noqa: PLR0917 - by name they cost a share of a small batch's loss
    logits: Shaped[Tensor, "..."],
    targets: Shaped[Tensor, "..."],
    class_weight: Float[Tensor, " K"] | None,
    ignore_index: int,
    label_smoothing: float,
    reduction: Reduction,
) -> Float[Tensor, "..."]:
    """`torch.nn.functional.cross_entropy` with PyTorch's meaning, by the fastest kernel, in float32 at least.

    Args:
        logits: (N, K), (N, K, d1, ...) or (K,), floating, on a CPU.
        targets: int64 class indices, or rows over the classes of the logits' dtype, float32 where that is shorter.
        class_weight: As in PyTorch.
        ignore_index: As in PyTorch.
        label_smoothing: As in PyTorch.
        reduction: "none", "sum" or "mean".

    Returns:
        What PyTorch gives, except that the mean of nothing may be NaN or 0.

    Raises:
        IndexError: PyTorch's own, where a class index is out of range.

    Example:
        >>> cross_entropy_on_cpu(torch.zeros(1, 2), torch.tensor([1]), None, -100, 0.0, "mean")
        tensor(0.6931)
    """
    number, count, dtype = NUMBERS[reduction], logits.numel(), logits.dtype
    half = dtype is not torch.float32 and dtype.itemsize < 4
    if count >= _WORTH_TURNING:
        if _has_few_classes(logits):
            turned = logits.t()
            if half:
                turned = turned.to(torch.float32, memory_format=torch.contiguous_format)
            by_rows = (targets if targets.dim() == 1 else targets.t()).unsqueeze(0)
            loss = torch_private.cross_entropy_loss(
                turned.unsqueeze(0), by_rows, class_weight, number, ignore_index, label_smoothing
            )
            return loss.squeeze(0) if number == 0 else loss
        if (
            count >= (_WORTH_FUSING_HALF if half else _WORTH_FUSING)
            and class_weight is None
            and not label_smoothing
            and logits.dim() == 2
            and logits.shape[1] >= _MANY_CLASSES
            and targets.shape == logits.shape[:1]
        ):
            return fused_cross_entropy(logits, targets, ignore_index, reduction)
    if half:
        logits = at_least_float32(logits, "logits")
    if (
        targets.dtype is not torch.int64
        and number
        and 0 < count <= _MOST_OF_ONE_PRODUCT
        and class_weight is None
        and not label_smoothing
        and targets.shape == logits.shape
        and logits.dim() == 2
    ):
        return _of_rows(logits, targets, reduction)
    return torch_private.cross_entropy_loss(logits, targets, class_weight, number, ignore_index, label_smoothing)


def _of_rows(logits: Tensor, rows: Tensor, reduction: Reduction) -> Tensor:
    """Soft rows by one scalar product over the whole batch; PyTorch makes a matrix of products and sums it."""
    log_probabilities = torch.log_softmax(logits, 1)
    return dot(log_probabilities, rows) * (-1 / len(rows) if reduction == "mean" else -1)


def _has_few_classes(scores: Tensor) -> bool:
    """Whether the rows of a large matrix are shorter than a vector register."""
    if scores.dim() != 2 or scores.numel() < _WORTH_TURNING:
        return False
    return scores.shape[1] < _REGISTER_BYTES // max(scores.dtype.itemsize, 4)
