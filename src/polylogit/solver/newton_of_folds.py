"""Newton's method on several small problems at once, which share their rows and differ in the weights of these.

The folds of a cross-validation are such problems: a row that a fold holds out has weight 0 in it. Small problems are
mostly the calls of their operations, and here one call serves all folds. The steps and the bound on F are those of
`full_hessian`. The weights at the optimum sum to zero over the classes, so that they are W = B U with an orthonormal
basis B of K - 1 columns, and the Hessian by U,

    H = sum_n omega_n (B' (diag(p_n) - p_n p_n') B) (x) x_n x_n' + lambda I,

has (K - 1) (D + 1) rows and is regular. Along a path of C the optimum moves nearly in a straight line in log C, which
the fit follows from the two optima before.

Source: Bishop (2006), "Pattern Recognition and Machine Learning", equation 4.110; Nocedal and Wright (2006), algorithm
3.1 (backtracking); the bound: Boyd and Vandenberghe (2004), section 5.1.3; the start from two optima: the secant
predictor of Allgower and Georg (1990), "Numerical Continuation Methods".
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.solver.backtracking_newton import MAX_BACKTRACKS, SUFFICIENT_DECREASE
from polylogit.solver.full_hessian import MOST_MULTIPLICATIONS, MOST_PARAMETERS

__all__ = ["FoldFits", "NewtonOfFolds"]


@dataclass(frozen=True)
class FoldFits:
    """The fits of all folds at one C.

    Args:
        weight: Weights of each fold, columns summing to zero over the classes.
        bias: Intercepts of each fold, summing to zero; zeros without an intercept.
        objective: F of each fold.
        gap: The certified relative gap of each.
        iterations: Newton steps of each.
    """

    weight: Float[Tensor, "F K D"]
    bias: Float[Tensor, "F K"]
    objective: Float[Tensor, " F"]
    gap: Float[Tensor, " F"]
    iterations: Int[Tensor, " F"]


class NewtonOfFolds:
    """Fits of all folds, one C after the other, each from the optima of those before.

    Args:
        rows: The rows of all folds.
        targets: Class index of each row.
        weights: Weight of each row in each fold, 0 for the rows that the fold holds out. Every class has a row with a
            weight in every fold.
        classes: K.
        fit_intercept: Whether each class has a free, unpenalised intercept.
        tolerance: Largest certified relative gap at which a fold is left alone.
        max_iterations: Most Newton steps of a fold at one C.

    Example:
        >>> rows = torch.tensor([[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]])
        >>> held_out = torch.tensor([[1.0, 1, 1, 1, 0, 0], [0.0, 0, 1, 1, 1, 1]])
        >>> newton = NewtonOfFolds(rows, torch.tensor([0, 1, 0, 1, 0, 1]), held_out, classes=2)
        >>> fits = newton.fit(1.0)
        >>> fits.weight.shape, bool((fits.gap <= 1e-4).all())
        (torch.Size([2, 2, 1]), True)
    """

    def __init__(
        self,
        rows: Float[Tensor, "N D"],
        targets: Int[Tensor, " N"],
        weights: Float[Tensor, "F N"],
        *,
        classes: int,
        fit_intercept: bool = True,
        tolerance: float = 1e-4,
        max_iterations: int = 200,
    ) -> None:
        rows, weights = rows.double(), weights.double()
        self._tolerance, self._max_iterations, self._intercept = tolerance, max_iterations, fit_intercept
        self._totals = weights.sum(1)
        self._omega = weights / self._totals[:, None]
        self._counted = weights[:, None] > 0
        self._centre = rows.mean(0) if fit_intercept else rows.new_zeros(rows.shape[1])
        centred = rows - self._centre
        self._rows = torch.cat([centred, rows.new_ones(len(rows), 1)], 1) if fit_intercept else centred
        self._columns = self._rows.T.contiguous()
        chosen = torch.nn.functional.one_hot(targets, classes).T * self._omega[:, None]
        self._sums_by_class = chosen @ self._rows
        self._basis = _basis_of_zero_sums(classes)
        self._pairs = [(a, b, self._basis[:, a] * self._basis[:, b]) for a in range(classes - 1) for b in range(a + 1)]
        self._point = rows.new_zeros(len(weights), classes - 1, self._rows.shape[1])
        self._before: list[tuple[float, Tensor]] = []

    @staticmethod
    def is_applicable(rows: int, columns: int, classes: int) -> bool:
        """Whether a fold is a problem for the full Hessian.

        Args:
            rows: N.
            columns: D, and one more with an intercept.
            classes: K.
        """
        parameters = classes * columns
        return parameters <= MOST_PARAMETERS and parameters**2 * rows <= MOST_MULTIPLICATIONS

    def fit(self, C: float) -> FoldFits:
        """The optimum of every fold at a C.

        Args:
            C: Inverse strength of the L2 penalty in the sense of `fit_softmax_regression`; finite.

        Returns:
            The fits. A fold whose gap is above the tolerance has not converged: its Hessian had no factor, its steps
            no longer decreased F, or the limit of steps was reached.
        """
        self._penalty = self._sums_by_class.new_zeros(len(self._omega), 1, self._rows.shape[1])
        self._penalty[..., : len(self._centre)] = (1 / C / self._totals)[:, None, None]
        lower = torch.full_like(self._totals, -torch.inf)
        iterations = torch.zeros(len(self._totals), dtype=torch.int64)
        objective, log_probabilities = self._start(C)
        while True:
            shares = log_probabilities.exp()
            step, slope = self._step(shares)
            lower = torch.maximum(lower, self._bound_below(shares, step))
            gap = _relative_gap(objective, lower)
            moving = (gap > self._tolerance) & (iterations < self._max_iterations) & (slope < 0)
            if not bool(moving.any()):
                break
            length = moving.double()
            for _ in range(MAX_BACKTRACKS):
                point = self._point + length[:, None, None] * step
                after, log_probabilities = self._evaluated(point)
                too_long = moving & ~(after <= objective + SUFFICIENT_DECREASE * length * slope)
                if not bool(too_long.any()):
                    break
                length = torch.where(too_long, length / 2, length)
            else:
                break
            self._point, objective = point, after
            iterations += moving
        self._before = [*self._before[-1:], (math.log(C), self._point)]
        return self._fits(objective, gap, iterations)

    def _start(self, C: float) -> tuple[Float[Tensor, " F"], Float[Tensor, "F K N"]]:
        """Put each fold at its last optimum or at the continuation of the last two, whichever is lower."""
        objective, log_probabilities = self._evaluated(self._point)
        if len(self._before) < 2:
            return objective, log_probabilities
        (first, earlier), (second, later) = self._before
        continued = later + (later - earlier) * ((math.log(C) - second) / (second - first))
        ahead, ahead_probabilities = self._evaluated(continued)
        better = ahead < objective
        self._point = torch.where(better[:, None, None], continued, self._point)
        return torch.where(better, ahead, objective), torch.where(
            better[:, None, None], ahead_probabilities, log_probabilities
        )

    def _evaluated(self, point: Float[Tensor, "F K1 D1"]) -> tuple[Float[Tensor, " F"], Float[Tensor, "F K N"]]:
        """F and the log-probabilities at a point."""
        weight = self._basis @ point
        logits = (weight.flatten(0, 1) @ self._columns).view(len(weight), -1, len(self._rows))
        normalizers = torch.logsumexp(logits, 1)
        losses = (self._omega * normalizers).sum(1)
        linear = (weight * (0.5 * self._penalty * weight - self._sums_by_class)).sum((1, 2))
        return losses + linear, logits.sub_(normalizers[:, None])

    def _step(self, shares: Float[Tensor, "F K N"]) -> tuple[Float[Tensor, "F K1 D1"], Float[Tensor, " F"]]:
        """Newton's step, and the derivative of F along it; zero where the Hessian has no factor."""
        folds, columns = len(shares), self._rows.shape[1]
        omega = self._omega[:, None]
        adjoint = ((shares * omega).flatten(0, 1) @ self._rows).view(folds, -1, columns)
        gradient = self._basis.T @ (adjoint - self._sums_by_class) + self._penalty * self._point
        projected = self._basis.T @ shares
        hessian = shares.new_empty(folds, len(self._basis) - 1, columns, len(self._basis) - 1, columns)
        for a, b, product in self._pairs:
            curvature = (product @ shares - projected[:, a] * projected[:, b]) * self._omega
            block = ((curvature[:, None] * self._columns).flatten(0, 1) @ self._rows).view(folds, columns, columns)
            hessian[:, a, :, b] = block
            hessian[:, b, :, a] = block
        parameters = gradient[0].numel()
        hessian = hessian.view(folds, parameters, parameters)
        hessian.diagonal(dim1=1, dim2=2).view(gradient.shape).add_(self._penalty)
        factor, failed = torch.linalg.cholesky_ex(hessian)
        step = torch.cholesky_solve(gradient.neg().view(folds, -1, 1), factor).view(gradient.shape)
        step[(failed > 0) | ~torch.isfinite(step).all((1, 2))] = 0
        return step, (gradient * step).sum((1, 2))

    def _bound_below(self, shares: Float[Tensor, "F K N"], step: Float[Tensor, "F K1 D1"]) -> Float[Tensor, " F"]:
        """What a step proves of the least F; -inf where a q_n is no distribution."""
        tilt = ((self._basis @ step).flatten(0, 1) @ self._columns).view(shares.shape)
        tilt -= (shares * tilt).sum(1, keepdim=True)
        tilt *= self._counted
        are_distributions = tilt.amin((1, 2)) >= -1
        tilted = shares * tilt.add_(1).clamp_min_(0)
        adjoint = ((tilted * self._omega[:, None]).flatten(0, 1) @ self._rows).view(self._sums_by_class.shape)
        slopes = (adjoint - self._sums_by_class)[..., : len(self._centre)]
        entropy = (torch.special.entr(tilted).sum(1) * self._omega).sum(1)
        bound = entropy - slopes.square().sum((1, 2)) / (2 * self._penalty[:, 0, 0])
        has_step = step.abs().amax((1, 2)) > 0
        return torch.where(are_distributions & has_step, bound, -torch.inf)

    def _fits(self, objective: Tensor, gap: Tensor, iterations: Tensor) -> FoldFits:
        weight = self._basis @ self._point
        slopes, bias = weight[..., : len(self._centre)], weight.new_zeros(weight.shape[:2])
        if self._intercept:
            bias = weight[..., -1] - slopes @ self._centre
        return FoldFits(slopes, bias, objective, gap, iterations)


def _basis_of_zero_sums(classes: int) -> Float[Tensor, "K K1"]:
    """An orthonormal basis of the vectors that sum to zero: Helmert's contrasts."""
    basis = torch.zeros(classes, classes - 1, dtype=torch.float64)
    for place in range(classes - 1):
        basis[: place + 1, place] = 1
        basis[place + 1, place] = -(place + 1)
    return torch.nn.functional.normalize(basis, dim=0)


def _relative_gap(objective: Float[Tensor, " F"], lower: Float[Tensor, " F"]) -> Float[Tensor, " F"]:
    """As `duality_gap.relative_gap`, of each fold."""
    gap = (objective - lower).clamp_min(0)
    return torch.where(gap == 0, 0.0, torch.where((lower > 0) & gap.isfinite(), gap / lower, torch.inf))
