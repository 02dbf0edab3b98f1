"""Arithmetic that the losses share: their precision, products with 0 * inf = 0, scalar products and minima."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from polylogit.errors import ScoreError

__all__ = ["at_least_float32", "dot", "least", "product"]

_FEW = 1 << 12  # up to this size `min` takes half the time of `amin`; above it takes twice the time
_MANY = 1 << 20  # up to this size: a scalar product adds without pairs and loses a digit on millions of float32 numbers


def at_least_float32(scores: Shaped[Tensor, "..."], name: str) -> Float[Tensor, "..."]:
    """Scores in the precision that a loss is computed in: float16 and bfloat16 become float32, wider floats stay.

    Raises:
        ScoreError: The scores are not floating point numbers.
    """
    dtype = scores.dtype
    if dtype is torch.float32 or dtype is torch.float64:
        return scores
    if dtype.is_floating_point:
        return scores.float()
    raise ScoreError(
        f"{name}: expected floating point numbers, got {str(dtype).removeprefix('torch.')}. "
        "Pass the model's output itself, not its argmax."
    )


def product(coefficients: Float[Tensor, "..."], values: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Elementwise product with 0 * inf = 0, in the value and in the gradient.

    A class with target 0 adds nothing to a cross-entropy, even where its log-probability is -inf:
    lim x log x = 0 as x goes to 0.

    Example:
        >>> product(torch.tensor([0.0, 0.5]), torch.tensor([-torch.inf, -2.0]))
        tensor([ 0., -1.])
    """
    return coefficients * values.masked_fill((coefficients == 0) & values.isinf(), 0)


def dot(left: Float[Tensor, "*axes"], right: Float[Tensor, "*axes"]) -> Float[Tensor, ""]:
    """The sum of all elementwise products, without a tensor of them where rounding allows it.

    Example:
        >>> dot(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
        tensor(11.)
    """
    if left.numel() <= _MANY:
        return torch.dot(left.reshape(-1), right.reshape(-1))
    return (left * right).sum()


def least(values: Shaped[Tensor, "..."]) -> int | float:
    """The minimum of one or more numbers, NaN where one is NaN.

    Example:
        >>> least(torch.tensor([0.5, -2.0]))
        -2.0
    """
    return (values.min() if values.numel() <= _FEW else values.amin()).item()
