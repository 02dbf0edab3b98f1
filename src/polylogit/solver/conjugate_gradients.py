"""Conjugate gradients on a symmetric positive semidefinite system, preconditioned by a diagonal.

See also: `newton_direction.py`, whose conjugate gradients stop by what the certificate needs.

Source: Nocedal and Wright (2006), "Numerical Optimization", algorithm 5.3.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["conjugate_gradients"]


def conjugate_gradients(
    product: Callable[[Tensor], Tensor],
    residual: Float[Tensor, " P"],
    *,
    diagonal: Float[Tensor, " P"] | None = None,
    most_products: int,
    reduction: float,
) -> Float[Tensor, " P"]:
    """A v for which A v is near the right-hand side.

    Args:
        product: v -> A v.
        residual: The right-hand side; not changed.
        diagonal: The preconditioner, positive; None: none.
        most_products: Maximum number of products.
        reduction: How far the residual is to shrink, in the norm of the inverse diagonal.

    Returns:
        v; what is reached before a direction without curvature, where A is singular.

    Example:
        >>> matrix = torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64)
        >>> conjugate_gradients(matrix.mv, matrix.sum(1), most_products=2, reduction=1e-9)
        tensor([1.0000, 1.0000], dtype=torch.float64)
    """
    solution = torch.zeros_like(residual)
    search = residual.clone() if diagonal is None else residual / diagonal
    squared = first = float(residual @ search)
    for _ in range(most_products):
        if not squared > reduction**2 * first:
            break
        moved = product(search)
        curvature = float(search @ moved)
        if not curvature > 0:
            break
        length = squared / curvature
        solution.add_(search, alpha=length)
        residual = residual.sub(moved, alpha=length)
        preconditioned = residual if diagonal is None else residual / diagonal
        previous, squared = squared, float(residual @ preconditioned)
        search = preconditioned.add(search, alpha=squared / previous)
    return solution
