"""Optimal intercepts for fixed weights, and the Hessian by the intercepts alone.

With m = sum_n omega_n p_n, the Hessian of F by the K intercepts is

    H = diag(m) - sum_n omega_n p_n p_n'.

It is singular along the vector of ones, as adding a number to every intercept changes no probability. H + m m' is
regular, and has the same solution up to such a number for every right-hand side that sums to zero. It is factored as
S (H + m m') S with S = diag(m)^-1/2, whose eigenvalues are at most 1 whatever the class shares. With more than 256
classes conjugate gradients take the place of the factor.

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
from polylogit.solver.conjugate_gradients import conjugate_gradients
from polylogit.solver.objective import Objective
from polylogit.system.matrix_product import matrix_product_nt

__all__ = ["InterceptHessian", "optimal_intercepts"]

_FAR = 0.1
_NEAR = 1e-5
_ROUNDING = 4
"""Relative excess, in units of the logits' rounding, that no change of the intercepts reduces further."""
_MANY_CLASSES = 32
_MOST_FACTORED = 256
_MOST_PRODUCTS = 50
_RESIDUAL = 1e-6
_SLOW_FEW = 0.0
_SLOW_MANY = 0.3


class InterceptHessian:
    """The Hessian of F by the intercepts: factored, or with very many classes by its products.

    A factor takes K products of the size of the probabilities; conjugate gradients take a few, for the scaled matrix is
    the identity less the classes' overlap.

    Args:
        problem: F.
        probabilities_of: softmax of the logits of a block of rows.
    """

    def __init__(self, problem: Objective, probabilities_of: Callable[[slice], Float[Tensor, "K B"]]) -> None:
        self._mean = torch.zeros(problem.classes, dtype=torch.float64, device=problem.omega.device)
        self._blocks: list[tuple[Tensor, Tensor]] = []
        self._factored = problem.classes <= _MOST_FACTORED
        self._factor: Tensor | None = None
        products = self._mean.new_zeros(problem.classes, problem.classes if self._factored else 0)
        for block in problem.blocks():
            probabilities = probabilities_of(block)
            omega = problem.omega[block].to(probabilities.dtype)
            weighted = probabilities * omega
            self._mean += weighted.sum(1)
            if self._factored:
                products += matrix_product_nt(weighted, probabilities)
            else:
                self._blocks.append((probabilities, omega))
        self._processes = problem.processes
        self._mean, products = self._processes.total(self._mean), self._processes.total(products)
        self._scale = self._mean.clamp_min(1e-300).rsqrt()
        if self._factored:
            hessian = products.neg_().addr_(self._mean, self._mean)
            hessian.diagonal().add_(self._mean)
            self._factor = cholesky_with_damping(hessian.mul_(self._scale[:, None]).mul_(self._scale))

    def solve(self, excess: Float[Tensor, " K"]) -> Float[Tensor, " K"]:
        """The change of the intercepts d with H d = excess and mean 0; zeros where H has no factor."""
        if not self._factored:
            scaled = conjugate_gradients(
                self._scaled_product, excess * self._scale, most_products=_MOST_PRODUCTS, reduction=_RESIDUAL
            )
            change = scaled * self._scale
        elif self._factor is not None:
            change = torch.cholesky_solve((excess * self._scale)[:, None], self._factor)[:, 0] * self._scale
        else:
            return torch.zeros_like(excess)
        return change - change.mean()

    def _scaled_product(self, direction: Float[Tensor, " K"]) -> Float[Tensor, " K"]:
        """S (H + m m') S v."""
        moved = direction * self._scale
        product = self._mean * moved + self._mean * (self._mean @ moved)
        overlap = torch.zeros_like(product)
        for probabilities, omega in self._blocks:
            overlap += (probabilities @ ((moved.to(omega.dtype) @ probabilities) * omega)).double()
        product -= self._processes.total(overlap)
        return self._processes.agreed(product * self._scale)


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
    many, very_many = problem.classes > _MANY_CLASSES, problem.classes > _MOST_FACTORED
    slow = _SLOW_MANY if many and not very_many else _SLOW_FEW
    hessian: InterceptHessian | None = None
    previous = math.inf
    tolerance = max(tolerance, _ROUNDING * torch.finfo(logits.dtype).eps)

    def probabilities_of(block: slice) -> Tensor:
        return torch.softmax(logits[:, block] + shift.to(logits.dtype)[:, None], 0)

    def narrow_probabilities_of(block: slice) -> Tensor:
        return probabilities_of(block).float()

    for _ in range(2 * most_rounds if many else most_rounds):
        mean = torch.zeros_like(shares)
        kept: dict[int, Tensor] = {}
        for block in problem.blocks():
            probabilities = probabilities_of(block)
            mean += _weighted_sum(probabilities, problem.omega[block])
            if very_many:
                kept[block.start] = probabilities
        mean = problem.processes.total(mean).clamp_min_(1e-300)
        excess = problem.processes.agreed_number(float((mean / shares - 1).abs().max()))
        stagnant = excess < _NEAR and excess > 0.5 * previous
        if stagnant or not excess > tolerance:
            break
        if excess > _FAR:
            shift += (shares / mean).log()
        else:
            if hessian is None or excess > slow * previous:
                again = narrow_probabilities_of if many else probabilities_of
                hessian = InterceptHessian(problem, _looked_up(kept) if very_many else again)
            shift += hessian.solve(shares - mean)
            previous = excess
        shift -= shift.mean()
    return shift


def _looked_up(kept: dict[int, Tensor]) -> Callable[[slice], Tensor]:
    """The kept probabilities of a block of rows, by its first row."""
    return lambda block: kept[block.start]


def _weighted_sum(probabilities: Float[Tensor, "K B"], omega: Float[Tensor, " B"]) -> Float[Tensor, " K"]:
    """sum_n omega_n p_n."""
    return (probabilities @ omega.to(probabilities.dtype)).double()
