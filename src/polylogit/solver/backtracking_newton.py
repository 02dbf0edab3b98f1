"""Newton's method with backtracking for smooth convex functions of few parameters.

Every loop has a bound, and every value is tested for finiteness: a function that overflows ends the minimisation with
a stop reason, never in an endless loop.

Source: Nocedal and Wright (2006), "Numerical Optimization", algorithms 3.1 (backtracking) and 3.3 (added multiples of
the diagonal); the stopping rule: Boyd and Vandenberghe (2004), "Convex Optimization", section 9.5.1.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["NewtonMinimum", "SmoothConvex", "backtracking_length", "cholesky_with_damping", "minimize_newton"]

_MAX_DAMPINGS = 20
MAX_BACKTRACKS = 40
SUFFICIENT_DECREASE = 1e-4


@runtime_checkable
class SmoothConvex(Protocol):
    """A twice differentiable convex function of a vector."""

    def value(self, point: Float[Tensor, " P"]) -> float:
        """The function's value; may be infinite or NaN outside its domain."""

    def derivatives(self, point: Float[Tensor, " P"]) -> tuple[Float[Tensor, " P"], Float[Tensor, "P P"]]:
        """Gradient and Hessian."""


@dataclass(frozen=True)
class NewtonMinimum:
    """The best point found and why the minimisation stopped.

    Attributes:
        point: The minimiser.
        value: The function's value there.
        iterations: Newton steps taken.
        stop_reason: "tolerance" where the expected decrease is small enough, "iterations" at the limit, "rounding"
            where no step decreases the function, its derivatives are not finite, or the Hessian is not positive
            semidefinite.
    """

    point: Float[Tensor, " P"]
    value: float
    iterations: int
    stop_reason: Literal["tolerance", "iterations", "rounding"]

    @property
    def converged(self) -> bool:
        """Whether the expected decrease is within the tolerance."""
        return self.stop_reason == "tolerance"


def minimize_newton(
    function: SmoothConvex, start: Float[Tensor, " P"], *, tolerance: float = 1e-12, max_iterations: int = 50
) -> NewtonMinimum:
    """The minimum of a smooth convex function.

    Stops where half the squared Newton decrement, g' H^-1 g / 2, is at most `tolerance` times max(1, |value|).

    Args:
        function: Value, gradient and Hessian.
        start: Where to start; the value there must be finite.
        tolerance: Expected decrease at which to stop, relative to max(1, |value|).
        max_iterations: Maximum number of Newton steps.

    Returns:
        The best point found.

    Example:
        >>> class LogisticLoss:
        ...     def value(self, point):
        ...         return float(torch.nn.functional.softplus(point).sum() - 0.25 * point.sum())
        ...     def derivatives(self, point):
        ...         p = point.sigmoid()
        ...         return p - 0.25, (p * (1 - p)).diag()
        >>> minimize_newton(LogisticLoss(), torch.zeros(1, dtype=torch.float64)).point
        tensor([-1.0986], dtype=torch.float64)
    """
    point, value = start, function.value(start)
    for iteration in range(max_iterations + 1):
        gradient, hessian = function.derivatives(point)
        factor = cholesky_with_damping(hessian)
        if factor is None or not math.isfinite(value) or not bool(torch.isfinite(gradient).all()):
            return NewtonMinimum(point, value, iteration, "rounding")
        step = -torch.cholesky_solve(gradient[:, None], factor)[:, 0]
        slope = float(gradient @ step)
        if -0.5 * slope <= tolerance * max(1.0, abs(value)):
            return NewtonMinimum(point, value, iteration, "tolerance")
        if iteration == max_iterations:
            break
        length, after = backtracking_length(partial(_value_along, function, point, step), value, slope)
        if length == 0:
            return NewtonMinimum(point, value, iteration, "rounding")
        point, value = point + length * step, after
    return NewtonMinimum(point, value, max_iterations, "iterations")


def _value_along(function: SmoothConvex, point: Tensor, step: Tensor, length: float) -> float:
    return function.value(point + length * step)


def backtracking_length(value_at: Callable[[float], float], value: float, slope: float) -> tuple[float, float]:
    """The longest of 1, 1/2, 1/4, ... at which the function has decreased sufficiently, and the value there.

    Args:
        value_at: The function's value at a length along the step.
        value: The value at length 0.
        slope: The derivative by the length at 0, negative.

    Returns:
        The length and the value; 0 and the value at 0 where no length of 40 serves.

    Example:
        >>> backtracking_length(lambda t: (1 - 3 * t) ** 2, 1.0, -6.0)
        (0.5, 0.25)
    """
    length = 1.0
    for _ in range(MAX_BACKTRACKS):
        after = value_at(length)
        if after <= value + SUFFICIENT_DECREASE * length * slope:
            return length, after
        length /= 2
    return 0.0, value


def cholesky_with_damping(matrix: Float[Tensor, "P P"]) -> Float[Tensor, "P P"] | None:
    """Cholesky factor of a symmetric matrix, with multiples of its diagonal added where rounding makes it indefinite.

    Args:
        matrix: Symmetric and positive semidefinite but for rounding; not changed.

    Returns:
        The lower triangular factor; None where a value is not finite, the diagonal has no positive entry, or even
        doubling the diagonal and more does not serve.

    Example:
        >>> cholesky_with_damping(torch.tensor([[1.0, 1.0], [1.0, 1.0]], dtype=torch.float64)) is None
        False
        >>> cholesky_with_damping(torch.tensor([[float("nan")]])) is None
        True
    """
    factor: Tensor
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if not int(failed) and bool(torch.isfinite(factor.diagonal()).all()):
        return factor
    diagonal = matrix.diagonal()
    largest = float(diagonal.max())
    if not largest > 0 or not bool(torch.isfinite(matrix).all()):
        return None
    eps = torch.finfo(matrix.dtype).eps
    damping = max(1e-12, 4 * eps)
    for _ in range(_MAX_DAMPINGS):
        damped = matrix + (damping * diagonal.abs() + eps * largest * damping).diag()
        factor, failed = torch.linalg.cholesky_ex(damped)
        if not int(failed):
            return factor
        damping *= 10
    return None
