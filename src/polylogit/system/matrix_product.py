"""Products of float32 matrices on a CPU, by the faster of the two libraries that torch brings with it.

`torch.matmul` and `nn.Linear` send float32 to BLAS; torch's own compiler sends a linear layer to oneDNN. Where BLAS is
MKL and the processor is none of its maker's, BLAS takes 2 to 2.5 times as long. Both multiply in float32; only the
order in which they add differs. Everywhere else (another device or dtype, a build of torch without the operator,
matrices so small that the call is the cost) torch's own product serves.

Owns the choice. What is multiplied, and why, is the business of those who call.
"""

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["linear", "matrix_product_nt"]

_WORTH_THE_CALL = 1 << 20
"""Multiplications from which on oneDNN is the faster one: it takes 10 microseconds more to begin."""

_ONEDNN = (
    getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    if torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    else None
)


def matrix_product_nt(left: Float[Tensor, "A M"], right: Float[Tensor, "B M"]) -> Float[Tensor, "A B"]:
    """The product left @ right.T, not differentiable.

    The right matrix may be a transposed view, which is read as it lies: a copy would take longer.

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
    """What `torch.nn.functional.linear` gives, and its gradients, differentiable as often as wanted.

        outputs = inputs weight' + bias
        d inputs = g weight,   d weight = g' inputs,   d bias = sum_n g_n

    Args:
        inputs: float32, on a CPU.
        weight: Of the same dtype.
        bias: Is added to every row; None: nothing is.

    Returns:
        The outputs.

    Example:
        >>> weight = torch.ones(1, 2, requires_grad=True)
        >>> linear(torch.tensor([[1.0, 2.0]]), weight, None).sum().backward()
        >>> weight.grad
        tensor([[1., 2.]])
    """
    if _ONEDNN is None or not _onednn_is_faster(inputs, weight):
        return torch.nn.functional.linear(inputs, weight, bias)
    outputs: Tensor = _Linear.apply(inputs, weight, bias)
    return outputs


class _Linear(torch.autograd.Function):
    """Each of the two gradients is such a product again, so that it can have gradients of its own."""

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
    if _ONEDNN is None or not _onednn_is_faster(left, right):
        return torch.nn.functional.linear(left, right, bias)
    product: Tensor = _ONEDNN(left, right, bias, "none", [], "")
    return product


def _onednn_is_faster(left: Tensor, right: Tensor) -> bool:
    """Not where the right matrix is a part of longer rows or columns: oneDNN then takes 500 times as long as BLAS."""
    return (
        left.dtype is torch.float32
        and left.is_cpu
        and (right.is_contiguous() or right.t().is_contiguous())
        and left.shape[0] * left.shape[1] * right.shape[0] >= _WORTH_THE_CALL
    )
