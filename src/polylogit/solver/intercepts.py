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

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.solver.backtracking_newton import cholesky_with_damping
from polylogit.solver.conjugate_gradients import conjugate_gradients
from polylogit.solver.objective import Objective, Softmax
from polylogit.system.matrix_product import matrix_product_nt

__all__ = ["InterceptHessian", "balance_intercepts"]

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
        softmax: Of the logits; read again by each solve with very many classes.
    """

    def __init__(self, problem: Objective, softmax: Softmax) -> None:
        self._problem, self._probabilities, self._mean = problem, softmax.probabilities, softmax.class_means
        self._scale = self._mean.clamp_min(1e-300).rsqrt()
        self._factored = problem.classes <= _MOST_FACTORED
        self._factor: Tensor | None = None
        if self._factored:
            overlap = self._mean.new_zeros(problem.classes, problem.classes)
            for block in problem.blocks():
                probabilities, omega = self._block(block)
                overlap += matrix_product_nt(probabilities * omega, probabilities)
            hessian = problem.processes.total(overlap).neg_().addr_(self._mean, self._mean)
            hessian.diagonal().add_(self._mean)
            self._factor = cholesky_with_damping(hessian.mul_(self._scale[:, None]).mul_(self._scale))

    def _block(self, block: slice) -> tuple[Float[Tensor, "K B"], Float[Tensor, " B"]]:
        """Probabilities and weights of some rows, with many classes in float32."""
        probabilities = self._probabilities[:, block]
        narrow = torch.float32 if self._problem.classes > _MANY_CLASSES else probabilities.dtype
        return probabilities.to(narrow), self._problem.omega[block].to(narrow)

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
        for block in self._problem.blocks():
            probabilities, omega = self._block(block)
            overlap += (probabilities @ ((moved.to(omega.dtype) @ probabilities) * omega)).double()
        product -= self._problem.processes.total(overlap)
        return self._problem.processes.agreed(product * self._scale)


def balance_intercepts(
    problem: Objective,
    weight: Float[Tensor, "K D1"],
    logits: Float[Tensor, "K N"],
    softmax: Softmax,
    *,
    shares: Float[Tensor, " K"],
    tolerance: float,
    most_rounds: int = 8,
) -> tuple[Float[Tensor, "K D1"], Softmax]:
    """Set the intercepts so that each class's mean probability is its share, the slopes being fixed.

    Far from the optimum b_k += log(s_k / m_k), which always decreases F (iterative scaling); close to it Newton's step
    on the K intercepts. With many classes a factor serves several steps, as it costs K products of the size of the
    probabilities.

    Args:
        problem: F, with an intercept.
        weight: W; not changed.
        logits: Z at W; changed in place to the logits at the result.
        softmax: Of Z; its array is used again.
        shares: sum_n omega_n y_n, each above 0.
        tolerance: Largest relative excess max_k |m_k / s_k - 1| to leave; at least 4 times the relative rounding
            of the logits.
        most_rounds: Maximum number of rounds; twice as many with more than 32 classes.

    Returns:
        W with other intercepts, and the softmax there.
    """
    weight = weight.clone()
    many, very_many = problem.classes > _MANY_CLASSES, problem.classes > _MOST_FACTORED
    slow = _SLOW_MANY if many and not very_many else _SLOW_FEW
    hessian: InterceptHessian | None = None
    previous = math.inf
    tolerance = max(tolerance, _ROUNDING * torch.finfo(logits.dtype).eps)
    for _ in range(2 * most_rounds if many else most_rounds):
        means = softmax.class_means.clamp_min(1e-300)
        excess = problem.processes.agreed_number(float((means / shares - 1).abs().max()))
        stagnant = excess < _NEAR and excess > 0.5 * previous
        if stagnant or not excess > tolerance:
            break
        if excess > _FAR:
            change = (shares / means).log()
        else:
            if hessian is None or excess > slow * previous:
                hessian = InterceptHessian(problem, softmax)
            change = hessian.solve(shares - means)
            previous = excess
        change = problem.processes.agreed(change - change.mean())
        weight[:, -1] += change
        logits += change.to(logits.dtype)[:, None]
        softmax = problem.softmax(weight, logits, out=softmax.probabilities)
    return weight, softmax
