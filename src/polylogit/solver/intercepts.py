"""Optimal intercepts for fixed weights, and the Hessian by the intercepts alone.

With m = sum_n omega_n p_n, the Hessian of F by the K intercepts is

    H = diag(m) - sum_n omega_n p_n p_n'.

It is singular along the vector of ones, as adding a number to every intercept changes no probability. H + m m' is
regular, and has the same solution up to such a number for every right-hand side that sums to zero. It is factored as
S (H + m m') S with S = diag(m)^-1/2, whose eigenvalues are at most 1 whatever the class shares.

Source: Bishop (2006), "Pattern Recognition and Machine Learning", equation 4.110; iterative scaling: Darroch and
Ratcliff (1972); steps with a factor of an earlier Hessian: Kelley (1995), "Iterative Methods for Linear and Nonlinear
Equations", section 5.4.1 (the chord method).
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.solver.backtracking_newton import cholesky_with_damping
from polylogit.solver.objective import Objective
from polylogit.system.matrix_product import matrix_product_nt

__all__ = ["InterceptHessian", "optimal_intercepts"]

_FAR = 0.1
_NEAR = 1e-5
_ROUNDING = 4
"""Relative excess, in units of the logits' rounding, that no change of the intercepts reduces further."""
_MANY_CLASSES = 32
_SLOW_FEW = 0.0
_SLOW_MANY = 0.3


class InterceptHessian:
    """The factored Hessian of F by the intercepts.

    Args:
        problem: F.
        probabilities_of: softmax of the logits of a block of rows.
    """

    def __init__(self, problem: Objective, probabilities_of: Callable[[slice], Float[Tensor, "K B"]]) -> None:
        mean = torch.zeros(problem.classes, dtype=torch.float64, device=problem.omega.device)
        products = mean.new_zeros(problem.classes, problem.classes)
        for block in problem.blocks():
            probabilities = probabilities_of(block)
            weighted = probabilities * problem.omega[block].to(probabilities.dtype)
            mean += weighted.sum(1)
            products += matrix_product_nt(weighted, probabilities)
        self._scale = mean.clamp_min(1e-300).rsqrt()
        hessian = products.neg_().addr_(mean, mean)
        hessian.diagonal().add_(mean)
        self._factor = cholesky_with_damping(hessian.mul_(self._scale[:, None]).mul_(self._scale))

    def solve(self, excess: Float[Tensor, " K"]) -> Float[Tensor, " K"]:
        """The change of the intercepts d with H d = excess and mean 0; zeros where H has no factor."""
        if self._factor is None:
            return torch.zeros_like(excess)
        change = torch.cholesky_solve((excess * self._scale)[:, None], self._factor)[:, 0] * self._scale
        return change - change.mean()


def optimal_intercepts(
    problem: Objective,
    shares: Float[Tensor, " K"],
    logits: Float[Tensor, "K N"],
    *,
    tolerance: float,
    most_rounds: int = 8,
) -> Float[Tensor, " K"]:
    """The change of the intercepts that makes each class's mean probability its share, W being fixed.

    Far from the optimum b_k += log(s_k / m_k), which always decreases F (iterative scaling); close to it Newton's step
    on the K intercepts. With many classes a factor serves several steps, as it costs K products of the size of the
    probabilities.

    Args:
        problem: F, with an intercept.
        shares: sum_n omega_n y_n, each above 0.
        logits: Z; not changed.
        tolerance: Largest relative excess max_k |m_k / s_k - 1| to leave; at least 4 times the relative rounding
            of the logits.
        most_rounds: Maximum number of rounds; twice as many with more than 32 classes.

    Returns:
        What to add to the intercepts.
    """
    shift = torch.zeros_like(shares)
    many = problem.classes > _MANY_CLASSES
    hessian: InterceptHessian | None = None
    previous = math.inf
    tolerance = max(tolerance, _ROUNDING * torch.finfo(logits.dtype).eps)

    def probabilities_of(block: slice) -> Tensor:
        return torch.softmax(logits[:, block] + shift.to(logits.dtype)[:, None], 0)

    def narrow_probabilities_of(block: slice) -> Tensor:
        return probabilities_of(block).float()

    for _ in range(2 * most_rounds if many else most_rounds):
        mean = torch.zeros_like(shares)
        for block in problem.blocks():
            probabilities = probabilities_of(block)
            mean += probabilities.mul_(problem.omega[block].to(probabilities.dtype)).sum(1)
        mean.clamp_min_(1e-300)
        excess = float((mean / shares - 1).abs().max())
        stagnant = excess < _NEAR and excess > 0.5 * previous
        if stagnant or not excess > tolerance:
            break
        if excess > _FAR:
            shift += (shares / mean).log()
        else:
            if hessian is None or excess > (_SLOW_MANY if many else _SLOW_FEW) * previous:
                hessian = InterceptHessian(problem, narrow_probabilities_of if many else probabilities_of)
            shift += hessian.solve(shares - mean)
            previous = excess
        shift -= shift.mean()
    return shift
