"""One Newton step: a direction from conjugate gradients on the exact Hessian, and a line search on cached logits.

See also: `newton.py`, which iterates.

Source: Nocedal and Wright (2006), "Numerical Optimization", algorithm 7.1 (truncated Newton) and section 3.5.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.solver.objective import Objective

__all__ = ["Direction", "newton_direction", "step_length"]

_LEAST_CURVATURE = 1e-7


@dataclass(frozen=True)
class Direction:
    """A step, what it does to the logits, and what is left of the gradient's linear equation.

    Args:
        step: V.
        logit_change: V X', the change of the logits.
        residual: -gradient - H V.
        products: Hessian products that it took.
        decrease: What F falls by along the whole step where F is its second-order model.
    """

    step: Float[Tensor, "K D1"]
    logit_change: Float[Tensor, "K N"]
    residual: Float[Tensor, "K D1"]
    products: int
    decrease: float


def newton_direction(
    problem: Objective,
    probabilities: Float[Tensor, "K N"],
    gradient: Float[Tensor, "K D1"],
    precondition: Callable[[Tensor], Tensor],
    *,
    forcing: float,
    small_enough: float,
    most_products: int,
    closing: float = 0.0,
) -> Direction:
    """Conjugate gradients on H V = -gradient.

    Stops when the residual has shrunk by `forcing` in the norm of the preconditioner, or when its plain norm is below
    `small_enough`: what is left of it is the next gradient, but for the change of the Hessian. Where the step promises
    so little that it could be the last, only the latter will do. A search along which
    the Hessian has next to nothing beside its preconditioner is rounding (duplicate columns without a penalty) and ends
    it too.

    Args:
        problem: F.
        probabilities: softmax of the logits; its dtype is the precision of the products.
        gradient: The gradient of F there.
        precondition: An approximate inverse of the Hessian.
        forcing: Relative size of the residual at which to stop.
        small_enough: Absolute size at which to stop.
        most_products: Most Hessian products.
        closing: A promised decrease of F up to which `forcing` does not count.

    Returns:
        The direction; its step is zero where the gradient is.
    """
    step = torch.zeros_like(gradient)
    logit_change = torch.zeros_like(probabilities)
    residual = (gradient - gradient.mean(0)).neg_()
    search = precondition(residual)
    processes = problem.processes
    squared = processes.agreed_number(float((residual * search).sum()))
    first, size, products, decrease, remaining = squared, squared, 0, 0.0, math.inf
    # Intercepts without a penalty can be set right in the end: see `duality_gap`.
    certified = problem.design.columns - (problem.design.intercept and problem.ridge > 0)
    while products < most_products and squared > 0:
        if squared <= forcing**2 * first and decrease > closing:
            break
        if products and remaining <= small_enough:
            break
        product, search_change = problem.hessian_product(probabilities, search)
        products += 1
        curvature = processes.agreed_number(float((search * product).sum()))
        if not curvature > _LEAST_CURVATURE * size:
            break
        length = squared / curvature
        decrease += 0.5 * length * squared
        step.add_(search, alpha=length)
        logit_change.add_(search_change, alpha=length)
        residual.sub_(product, alpha=length)
        preconditioned = precondition(residual)
        decisive = torch.stack([(residual * preconditioned).sum(), residual[:, :certified].norm()])
        previous, (squared, remaining) = squared, processes.agreed(decisive).tolist()
        search.mul_(squared / previous).add_(preconditioned)
        size = squared + (squared / previous) ** 2 * size
    return Direction(step, logit_change, residual, products, decrease)


def step_length(
    problem: Objective,
    weight: Float[Tensor, "K D1"],
    logits: Float[Tensor, "K N"],
    gradient: Float[Tensor, "K D1"],
    direction: Direction,
) -> float:
    """A t near the root of the slope of t -> F(W + t V), by safeguarded Newton steps on the logits alone.

    slope(t) = sum_n omega_n (p_n(t) - y_n) . V x_n + <penalty (W + t V), V>

    F is convex, so the slope only grows. The logits are linear in t, so a trial costs K x N, not K x N x D. Where the
    slope is smaller than the rounding of its sum, the optimum is too near to search: the step is taken whole.

    Args:
        problem: F.
        weight: W.
        logits: Z at W.
        gradient: The gradient of F at W.
        direction: V and V X'.

    Returns:
        The length; 0 where the direction does not descend.
    """
    quadratic = float((problem.penalty * direction.step.square()).sum())
    linear = float((problem.penalty * weight * direction.step).sum())
    logit_change = direction.logit_change.to(logits.dtype)
    observed = logit_change.gather(0, problem.targets[None])[0]

    def slope_and_curvature(length: float) -> tuple[float, float]:
        counted = float(problem.processes.rank == 0)  # the penalty, once among all processes
        slope = logits.new_tensor(counted * (linear + length * quadratic), dtype=torch.float64)
        curvature = logits.new_tensor(counted * quadratic, dtype=torch.float64)
        for block in problem.blocks():
            some, omega = logit_change[:, block], problem.omega[block]
            probabilities = torch.softmax(torch.add(logits[:, block], some, alpha=length), 0)
            mean = (probabilities * some).sum(0)
            variance = (probabilities * (some - mean).square()).sum(0)
            slope += omega @ (mean - observed[block]).double()
            curvature += omega @ variance.double()
        summed = problem.processes.total(torch.stack([slope, curvature])).tolist()
        return summed[0], summed[1]

    at_start = problem.processes.agreed_number(float((gradient * direction.step).sum()))
    if not at_start < 0:
        return 0.0
    moves = problem.processes.total_number(
        float(problem.omega @ (logit_change.amax(0) - logit_change.amin(0)).double())
    )
    linear = problem.processes.agreed_number(linear)
    if -at_start <= 10 * torch.finfo(logits.dtype).eps * (moves + abs(linear)):
        return 1.0
    low, high, length = 0.0, math.inf, 1.0
    for _ in range(60):
        slope, curvature = slope_and_curvature(length)
        if abs(slope) <= 0.1 * abs(at_start):
            return length
        low, high = (length, high) if slope < 0 else (low, length)
        newton = length - slope / curvature if curvature > 0 else math.inf
        ceiling = 10.0 * length if math.isinf(high) else low + 0.9 * (high - low)
        floor = low + 0.1 * (high - low) if math.isfinite(high) else low
        length = min(max(newton, floor), ceiling)
    return low
