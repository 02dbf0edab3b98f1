"""The functions that calibration fits minimise, given to the solver's Newton method.

See also: `polylogit.solver.backtracking_newton`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from polylogit.solver.backtracking_newton import minimize_newton

__all__ = ["minimise"]

TOLERANCE = 1e-11


@dataclass(frozen=True)
class _Function:
    value: Callable[[Float[Tensor, " P"]], float]
    derivatives: Callable[[Float[Tensor, " P"]], tuple[Float[Tensor, " P"], Float[Tensor, "P P"]]]


def minimise(
    value: Callable[[Float[Tensor, " P"]], float],
    derivatives: Callable[[Float[Tensor, " P"]], tuple[Float[Tensor, " P"], Float[Tensor, "P P"]]],
    start: Float[Tensor, " P"],
) -> Float[Tensor, " P"]:
    """The minimiser of a smooth function.

    Args:
        value: The function; infinite outside its domain.
        derivatives: Its gradient and a positive semidefinite Hessian, or an approximation of that.
        start: A point in the domain.

    Returns:
        The best point found.

    Example:
        >>> import torch
        >>> def derivatives(x):
        ...     return 2 * (x - 3), 2 * torch.eye(1)
        >>> minimise(lambda x: float((x - 3).square().sum()), derivatives, torch.zeros(1))
        tensor([3.0000])
    """
    return minimize_newton(_Function(value, derivatives), start, tolerance=TOLERANCE).point
