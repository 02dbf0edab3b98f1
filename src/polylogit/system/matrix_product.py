"""Products of float32 matrices on a CPU, by the faster of the two libraries that torch is built with.

`torch.matmul` and `nn.Linear` send float32 to BLAS; torch's own compiler sends a linear layer to oneDNN. Both multiply
in float32; only the order in which they add differs. Where BLAS is MKL, oneDNN is the faster one in two cases:
- The processor is not Intel's: MKL takes up to 2.5 times as long (AMD EPYC, 784 columns times 10).
- The processor is Intel's and a large product has few columns, as the logits of many rows.

`benchmarks/matrix_product.py` compares the two; docs/decisions.md has its figures.

Everything else is torch's own product: another BLAS, device or dtype, small matrices, a build of torch without the
operator, oneDNN switched off by `torch.backends.mkldnn.flags`, and every transform of torch.func.
"""

import os
import platform
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.system import torch_private
from polylogit.system.tensor_values import runs_plainly

__all__ = ["linear", "matrix_product_nt", "onednn_is_faster"]

_WORTH_THE_CALL = 1 << 20
"""Multiplications from which on oneDNN is faster on a processor that is not Intel's: a call takes 10 to 30 us more."""

_WORTH_THE_CALL_ON_INTEL = 1 << 23
_FEW_COLUMNS = 64


def _processor_is_intel() -> bool:
    """Whether the processor's maker is Intel; True where it is not known, for then nothing shows that MKL is slow."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        with information.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("vendor_id"):
                    return "GenuineIntel" in line
    maker = os.environ.get("PROCESSOR_IDENTIFIER") or platform.processor()
    return "AMD" not in maker


_BLAS_IS_MKL = bool(torch.backends.mkl.is_available())  # type: ignore[no-untyped-call] # torch declares no types there
_INTEL = _processor_is_intel()


def matrix_product_nt(left: Float[Tensor, "A M"], right: Float[Tensor, "B M"]) -> Float[Tensor, "A B"]:
    """The product left @ right.T, not differentiable.

    The right matrix may be a transposed view; it is read without a copy.

    Args:
        left: Of any dtype.
        right: Of the same dtype.

    Returns:
        The product.

    Example:
        >>> matrix_product_nt(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [5.0, 6.0]]))
        tensor([[11., 17.]])
    """
    return _product(left, right, None)


def linear(
    inputs: Float[Tensor, "N I"], weight: Float[Tensor, "O I"], bias: Float[Tensor, " O"] | None
) -> Float[Tensor, "N O"]:
    """The same as `torch.nn.functional.linear`, with gradients of every order.

        outputs = inputs weight' + bias
        d inputs = g weight,   d weight = g' inputs,   d bias = sum_n g_n

    Args:
        inputs: float32, on a CPU.
        weight: Of the same dtype.
        bias: Added to every row; None: no bias.

    Returns:
        The outputs.

    Example:
        >>> weight = torch.ones(1, 2, requires_grad=True)
        >>> linear(torch.tensor([[1.0, 2.0]]), weight, None).sum().backward()
        >>> weight.grad
        tensor([[1., 2.]])
    """
    if not onednn_is_faster(inputs, weight):
        return torch.nn.functional.linear(inputs, weight, bias)
    outputs: Tensor = _Linear.apply(inputs, weight, bias)
    return outputs


class _Linear(torch.autograd.Function):
    """Each of the two gradients is such a product again, so that it can have gradients of its own.

    Under transforms of torch.func `linear` calls torch's own operation instead: a `setup_context`, which they need
    here, takes 40 microseconds more a call (docs/decisions.md).
    """

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, inputs: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return _product(inputs, weight, bias)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        inputs, weight = ctx.saved_tensors  # type: ignore[attr-defined]
        of_inputs, of_weight, of_bias = ctx.needs_input_grad  # type: ignore[attr-defined]
        product = linear if torch.is_grad_enabled() else _product
        return (
            product(gradient, weight.t(), None) if of_inputs else None,
            product(gradient.t(), inputs.t(), None) if of_weight else None,
            gradient.sum(0) if of_bias else None,
        )


def _product(left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
    if not onednn_is_faster(left, right):
        return torch.nn.functional.linear(left, right, bias)
    return torch_private.onednn_linear(left, right, bias)


def onednn_is_faster(left: Float[Tensor, "A M"], right: Float[Tensor, "B M"]) -> bool:
    """Whether the product left @ right.T is one of the cases in the module's description, and goes to oneDNN.

    Never where the right matrix is a part of longer rows or columns: oneDNN takes 500 times as long as BLAS there.

    Args:
        left: The left matrix.
        right: The right matrix, which is read transposed.

    Example:
        >>> onednn_is_faster(torch.zeros(2, 3), torch.zeros(4, 3))
        False
    """
    if left.dtype is not torch.float32 or right.dtype is not torch.float32 or not left.is_cpu or not _BLAS_IS_MKL:
        return False
    multiplications = left.shape[0] * left.shape[1] * right.shape[0]
    if _INTEL:
        wanted = multiplications >= _WORTH_THE_CALL_ON_INTEL and right.shape[0] <= _FEW_COLUMNS
    else:
        wanted = multiplications >= _WORTH_THE_CALL
    return (
        wanted
        and (right.is_contiguous() or right.t().is_contiguous())
        and bool(torch.backends.mkldnn.enabled)
        and runs_plainly(left, right)
        and not torch_private.is_batched(left)
    )
