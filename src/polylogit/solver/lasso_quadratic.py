"""The minimum of a convex quadratic function plus an L1 norm, by solves over the variables that are not zero.

    m(u) = <g, u - w> + <u - w, H (u - w)> / 2 + sum_i t_i |u_i|,    t_i >= 0

is reduced in rounds. A proximal gradient step, scaled by the diagonal of H, moves variables off zero or onto it. Then m
is minimised over the variables that are not zero, with their signs kept: those that would change it are set to zero
where that reduces m, else the step is cut at the first of them.

Source: Solntsev, Nocedal and Byrd (2015), "An algorithm for quadratic l1-regularized optimization with a flexible
active-set strategy", Optim. Methods Softw. 30.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polylogit.solver.backtracking_newton import cholesky_with_damping
from polylogit.solver.conjugate_gradients import conjugate_gradients

__all__ = ["MatrixCurvature", "OperatorCurvature", "minimize_lasso_quadratic"]

_MOST_ROUNDS = 50
_MOST_SCALES = 10
_LARGEST_SCALE = 4.0


@dataclass(frozen=True)
class MatrixCurvature:
    """H as a matrix, solved by Cholesky factors.

    Args:
        matrix: H.
    """

    matrix: Float[Tensor, "P P"]

    @property
    def diagonal(self) -> Float[Tensor, " P"]:
        """The diagonal of H."""
        return self.matrix.diagonal()

    def product(self, direction: Float[Tensor, " P"]) -> Float[Tensor, " P"]:
        """H v."""
        return self.matrix @ direction

    def solve(self, free: Bool[Tensor, " P"], residual: Float[Tensor, " P"]) -> Float[Tensor, " P"]:
        """The solution over the free variables; zero where their block has no factor."""
        index = torch.nonzero(free)[:, 0]
        step = torch.zeros_like(residual)
        factor = cholesky_with_damping(self.matrix[index][:, index])
        if factor is not None:
            step[index] = torch.cholesky_solve(residual[index, None], factor)[:, 0]
        return step


@dataclass(frozen=True)
class OperatorCurvature:
    """H by its products, solved by conjugate gradients with the diagonal as preconditioner.

    Args:
        product: v -> H v.
        diagonal: The diagonal of H, positive.
        most_products: Maximum number of products of a solve.
        reduction: How far the residual of a solve is to shrink, in the norm of the inverse diagonal.
    """

    product: Callable[[Tensor], Tensor]
    diagonal: Float[Tensor, " P"]
    most_products: int = 50
    reduction: float = 0.1

    def solve(self, free: Bool[Tensor, " P"], residual: Float[Tensor, " P"]) -> Float[Tensor, " P"]:
        """Conjugate gradients over the free variables."""
        return conjugate_gradients(
            lambda direction: torch.where(free, self.product(direction), 0.0),
            torch.where(free, residual, 0.0),
            diagonal=self.diagonal,
            most_products=self.most_products,
            reduction=self.reduction,
        )


Curvature = MatrixCurvature | OperatorCurvature
"""A symmetric positive semidefinite H."""


def minimize_lasso_quadratic(
    curvature: Curvature,
    gradient: Float[Tensor, " P"],
    start: Float[Tensor, " P"],
    thresholds: Float[Tensor, " P"],
    *,
    reduction: float,
) -> Float[Tensor, " P"]:
    """A u near the minimum of m.

    Args:
        curvature: H.
        gradient: g.
        start: w.
        thresholds: t; a variable with 0 is never held at zero.
        reduction: How far the least subgradient of m is to shrink, in the norm of the inverse diagonal of H.

    Returns:
        u, with zeros where m has its minimum on them.

    Example:
        >>> identity = MatrixCurvature(torch.eye(3, dtype=torch.float64))
        >>> towards = torch.tensor([2.0, 0.5, -3.0], dtype=torch.float64)
        >>> minimize_lasso_quadratic(
        ...     identity, -towards, torch.zeros_like(towards), torch.ones_like(towards), reduction=0.1
        ... )
        tensor([ 1.,  0., -2.], dtype=torch.float64)
    """
    point, gradient = start.clone(), gradient.clone()
    diagonal = curvature.diagonal
    first = _subgradient_norm(point, gradient, thresholds, diagonal)
    scale = 1.0
    for _ in range(_MOST_ROUNDS):
        larger = _proximal_step(curvature, point, gradient, thresholds, scale)
        if larger is None:
            break
        scale = larger
        _face_step(curvature, point, gradient, thresholds)
        if _subgradient_norm(point, gradient, thresholds, diagonal) <= reduction * first:
            break
    return point


def _subgradient_norm(point: Tensor, gradient: Tensor, thresholds: Tensor, diagonal: Tensor) -> float:
    """The norm of the least subgradient of m."""
    at_zero = gradient - torch.minimum(torch.maximum(gradient, -thresholds), thresholds)
    least = torch.where(point != 0, gradient + thresholds * point.sign(), at_zero)
    return float((least.square() / diagonal).sum().sqrt())


def _proximal_step(
    curvature: Curvature, point: Tensor, gradient: Tensor, thresholds: Tensor, scale: float
) -> float | None:
    """A proximal gradient step with a multiple of the diagonal that makes m decrease: the multiple, or None.

    Only whole steps put variables at zero, so a step that is too long is taken again with a larger multiple, up to 4;
    beyond that a part of the step is taken.
    """
    for _ in range(_MOST_SCALES):
        diagonal = scale * curvature.diagonal
        shifted, bounds = point - gradient / diagonal, thresholds / diagonal
        target = shifted - torch.minimum(torch.maximum(shifted, -bounds), bounds)
        direction = target - point
        product = curvature.product(direction)
        slope = float(gradient @ direction + thresholds @ (target.abs() - point.abs()))
        if not slope < 0:
            return None
        steepness = float(direction @ product)
        if 0.5 * steepness <= -0.9 * slope:
            point.copy_(target)
            gradient.add_(product)
            return scale
        needed = max(1.5, -0.6 * steepness / slope)
        if scale * needed > _LARGEST_SCALE:
            length = -slope / steepness
            point.add_(direction, alpha=length)
            gradient.add_(product, alpha=length)
            return scale
        scale *= needed
    return None


def _face_step(curvature: Curvature, point: Tensor, gradient: Tensor, thresholds: Tensor) -> None:
    """Minimise m over the variables that are not zero, up to a change of sign."""
    signs = point.sign()
    step = curvature.solve((signs != 0) | (thresholds == 0), -(gradient + thresholds * signs))
    target = point + step
    crossed = (target * signs < 0) & (thresholds > 0)
    if bool(crossed.any()):
        projected = torch.where(crossed, 0.0, target) - point
        product = curvature.product(projected)
        change = float(projected @ (gradient + 0.5 * product) + thresholds @ ((point + projected).abs() - point.abs()))
        if change < 0:
            gradient.add_(product)
            point.add_(projected)
            point[crossed] = 0
            return
        lengths = torch.where(crossed, -point / step, 1.0)
        length = float(lengths.min())
        step = length * step
        gradient.add_(curvature.product(step))
        point.add_(step)
        point[lengths <= length] = 0
        return
    gradient.add_(curvature.product(step))
    point.copy_(target)
