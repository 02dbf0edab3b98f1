"""Whether the values of tensors can be read, and whether operations on them run plainly.

Under `torch.compile`, `torch.export`, `vmap`, `make_fx`, fake tensors, the meta device and CUDA graph capture a tensor
has a shape and a dtype, but no values that Python could look at. Checks of values are skipped there.
"""

import torch
from torch import Tensor, nn

from polylogit.system import torch_private

__all__ = ["runs_plainly", "values_can_be_read"]


def runs_plainly(*tensors: Tensor) -> bool:
    """Whether operations on these tensors run at once, with nothing between them and PyTorch's kernels.

    False under a compiler, a `torch.func` transform, forward-mode differentiation and any `TorchDispatchMode`, and for
    subclasses of Tensor and tensors on the meta device. Where it is True, values can be read too, except that a CUDA
    graph may be being captured.

    Example:
        >>> runs_plainly(torch.zeros(2)), runs_plainly(torch.zeros(2, device="meta"))
        (True, False)
    """
    if torch.compiler.is_compiling():
        return False
    for tensor in tensors:
        if (type(tensor) is not Tensor and type(tensor) is not nn.Parameter) or tensor.is_meta:
            return False
    return torch_private.operations_run_plainly(*tensors)


def values_can_be_read(*tensors: Tensor | None) -> bool:
    """Whether Python may read numbers of these tensors; None is no obstacle.

    Example:
        >>> values_can_be_read(torch.zeros(2)), values_can_be_read(torch.zeros(2, device="meta"))
        (True, False)
        >>> torch.func.vmap(lambda row: torch.tensor(values_can_be_read(row)))(torch.zeros(2, 3))
        tensor([False, False])
    """
    if torch.compiler.is_compiling():
        return False
    given = [tensor for tensor in tensors if tensor is not None]
    capturing = any(tensor.is_cuda for tensor in given) and torch.cuda.is_current_stream_capturing()
    if any(map(torch_private.is_batched, given)):
        return False
    if runs_plainly(*given):
        return not capturing
    if any(tensor.is_meta for tensor in given) or torch_private.operations_are_traced(*given):
        return False
    return not capturing
