"""Softmax regression with an L1 penalty beside the L2 one: proximal Newton steps on the columns that matter.

With lambda_1 > 0 and lambda_2 >= 0 the objective is

    F(W, b) = f(W, b) + lambda_1 sum_kj |w_kj|,    f(W, b) = sum_n omega_n loss_n + lambda_2 / 2 ||W||^2.

Each step minimises the quadratic model of f at the point plus the L1 norm (`lasso_quadratic`), over the columns in use
and those whose gradient exceeds lambda_1, and goes along the straight line to that minimum as far as F decreases. All
other columns stay zero, and only products with the columns in use are needed between two gradients. Without an L2
penalty a number that is added to a column of W for all classes changes no probability; the median over the classes is
subtracted, which gives the column its least L1 norm.

The bound on F - min F comes from weak duality, as in `duality_gap`: for distributions q_n with
g_q = sum_n omega_n (q_n - y_n) = 0 and G_q = sum_n omega_n (q_n - y_n) x_n',

    min F >= sum_n omega_n entropy(q_n) - sum_kj max(|G_q,kj| - lambda_1, 0)^2 / (2 lambda_2),

and without an L2 penalty every |G_q,kj| must be at most lambda_1. With q_n = y_n + s (p_n - y_n), 0 <= s <= 1, G_q is
s G_p; the best of some s is taken.

Source: Lee, Sun and Saunders (2014), "Proximal Newton-type methods for minimizing composite functions", SIAM J. Optim.
24; Byrd, Nocedal and Oztoprak (2016), "An inexact successive quadratic approximation method for L-1 regularized
optimization", Math. Program. 157; the bound: Boyd and Vandenberghe (2004), "Convex Optimization", sections 3.3.1 and
5.1.3; Ndiaye, Fercoq, Gramfort and Salmon (2017), "Gap safe screening rules for sparsity enforcing penalties", JMLR 18.
"""

import math
from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.solver.backtracking_newton import backtracking_length
from polylogit.solver.duality_gap import balancing_mixture, relative_gap
from polylogit.solver.intercepts import balance_intercepts
from polylogit.solver.lasso_quadratic import MatrixCurvature, OperatorCurvature, minimize_lasso_quadratic
from polylogit.solver.objective import Objective

__all__ = ["ElasticNetNewton"]

_LEAST_VARIABLES = 256
_MARGIN = 0.1
_MOST_IN_A_MATRIX = 2048
_MOST_MULTIPLICATIONS = 4_000_000_000
_NUMBERS_A_BLOCK = 1 << 22
_DAMPING = 1e-9
_STEPS_BETWEEN_FRESH_LOGITS = 8
_MOST_STUCK = 2
_ROUNDING = 16 * torch.finfo(torch.float64).eps
_MOST_REDUCTION = 0.3
_LEAST_REDUCTION = 0.02


class ElasticNetNewton:
    """The current point of proximal Newton steps, and its certified gap.

    Args:
        problem: f; its penalty is lambda_2 for each column, which may be 0.
        l1: lambda_1 > 0.
        exact: Precision of logits and gradients.
        tolerance: Relative gap wanted.
    """

    def __init__(self, problem: Objective, *, l1: float, exact: torch.dtype, tolerance: float) -> None:
        self.problem, self.l1, self.exact, self.tolerance = problem, l1, exact, tolerance
        self.iteration, self.objective, self._lower = 0, math.inf, -math.inf
        self.has_point = False
        self._slopes = problem.design.columns - problem.design.intercept
        self._stuck = 0
        self._chosen: Tensor | None = None
        self._narrow = problem
        sums, self.shares = problem.sums_of_targets(exact)
        self._sums_by_class = sums[:, : self._slopes]

    @property
    def gap(self) -> float:
        """The certified bound relative to the optimum."""
        return relative_gap(self.objective, self.objective - self._lower)

    def set_point(self, weight: Float[Tensor, "K D1"], logits: Float[Tensor, "K N"] | None = None) -> None:
        """Set the point to W with optimal intercepts, and compute its logits, unless given, and its objective."""
        self.weight = weight if self.problem.ridge > 0 else self._with_least_norm(weight)
        self._logits = self.problem.design.logits(self.weight, self.exact) if logits is None else logits
        softmax = self.problem.softmax(self.weight, self._logits)
        if self.problem.design.intercept:
            self.weight, softmax = balance_intercepts(
                self.problem, self.weight, self._logits, softmax, shares=self.shares, tolerance=1e-3 * self.tolerance
            )
        self._probabilities = softmax.probabilities
        self.objective = softmax.objective + self._l1_norm(self.weight)
        self.has_point = True

    def _with_least_norm(self, weight: Float[Tensor, "K D1"]) -> Float[Tensor, "K D1"]:
        """W with each column less a median of it over the classes, 0 where that is one."""
        ordered = weight[:, : self._slopes].sort(0).values
        low, high = ordered[(len(weight) - 1) // 2], ordered[len(weight) // 2]
        shift = torch.zeros_like(weight[0])
        shift[: self._slopes] = torch.minimum(torch.maximum(low, torch.zeros_like(low)), high)
        return weight - shift

    def _objective(self, weight: Float[Tensor, "K D1"], logits: Float[Tensor, "K N"]) -> float:
        return self.problem.objective(weight, logits) + self._l1_norm(weight)

    def _l1_norm(self, weight: Float[Tensor, "K D1"]) -> float:
        """lambda_1 ||W||_1."""
        return self.l1 * float(weight[:, : self._slopes].abs().sum())

    def evaluate(self) -> None:
        """The gradient of f at the point, and the gap."""
        adjoint = self.problem.residual_sums(self._probabilities)
        self._gradient = adjoint + self.problem.penalty * self.weight
        self._lower = max(self._lower, self._dual_value(adjoint))

    def _dual_value(self, adjoint: Float[Tensor, "K D1"]) -> float:
        """The best lower bound on min F from distributions between the model's and the targets."""
        sums = adjoint[:, : self._slopes]
        mixture = None
        if self.problem.design.intercept:
            mixture = balancing_mixture(self.shares, adjoint[:, -1])
        if mixture is not None:
            theta, mixed_in = mixture
            to_mixed = mixed_in[:, None] * self._sums_by_class.sum(0) - self._sums_by_class
            sums = (1 - theta) * sums + theta * to_mixed
        largest = float(sums.abs().max()) if sums.numel() else 0.0
        feasible = min(1.0, self.l1 / largest) if largest > 0 else 1.0
        scales = [feasible] if feasible == 1 or self.problem.ridge == 0 else [feasible, 0.5 * (1 + feasible), 1.0]
        best = -math.inf
        for scale in scales:
            value = self._entropy(scale, mixture)
            if self.problem.ridge > 0:
                excess = (scale * sums.abs() - self.l1).clamp_min(0)
                value -= float(excess.square().sum()) / (2 * self.problem.ridge)
            best = max(best, value)
        return best

    def _entropy(self, scale: float, mixture: tuple[float, Float[Tensor, " K"]] | None) -> float:
        """sum_n omega_n entropy(q_n)."""
        total = torch.zeros((), dtype=torch.float64, device=self.shares.device)
        for block in self.problem.blocks():
            some = self._probabilities[:, block].double()
            if mixture is not None:
                some = (1 - mixture[0]) * some + mixture[0] * mixture[1][:, None]
            if scale < 1:
                targets = self.problem.targets[None, block]
                some = (scale * some).scatter_add_(0, targets, some.new_full(targets.shape, 1 - scale))
            total += self.problem.omega[block] @ torch.special.entr(some).sum(0)
        return float(total)

    def stop_reason(self) -> Literal["tolerance", "rounding"] | None:
        """Why to stop here; None where there is no reason."""
        if self.gap <= self.tolerance:
            return "tolerance"
        return "rounding" if self._stuck >= _MOST_STUCK or not math.isfinite(self.objective) else None

    def is_separated(self) -> bool:
        """Whether every row with a weight has its largest logit at its class."""
        return self.problem.is_separated(self._logits)

    def step(self) -> None:
        """One proximal Newton step with backtracking, or a change to float64 where float32 has given what it can."""
        classes, columns = self._variables()
        used, places = torch.unique(columns, return_inverse=True)
        narrow = self._problem_of(used)
        start, gradient = self.weight[classes, columns], self._gradient[classes, columns]
        thresholds = torch.where(columns < self._slopes, self.l1, 0.0).double()
        curvature = self._curvature(narrow, classes, places)
        end = minimize_lasso_quadratic(
            curvature, gradient, start, thresholds, reduction=min(_MOST_REDUCTION, max(_LEAST_REDUCTION, self.gap))
        )
        change = self.weight.new_zeros(len(self.weight), len(used))
        change[classes, places] = end - start
        logit_change = narrow.design.logits(change, self.exact)
        slope = float(gradient @ (end - start) + thresholds @ (end.abs() - start.abs()))
        before, objective, logits = self.weight, self.objective, self._logits
        whole = torch.zeros_like(before)
        whole[:, used] = change

        def objective_at(length: float) -> float:
            return self._objective(before + length * whole, torch.add(logits, logit_change, alpha=length))

        length = 0.0
        if self.exact == torch.float64 and abs(slope) <= _ROUNDING * abs(objective):
            length = 1.0  # the objective cannot show so small a decrease, but the gradient and the gap still profit
        elif slope < 0:
            length, _ = backtracking_length(objective_at, objective, slope)
        self.iteration += 1
        if length > 0:
            fresh = self.iteration % _STEPS_BETWEEN_FRESH_LOGITS == 0
            weight = before + length * whole
            if length == 1:
                weight[classes, columns] = end
            self.set_point(weight, None if fresh else logits.add_(logit_change, alpha=length))
        lost = length == 0 or not self.objective < objective
        if lost and self.exact == torch.float32:
            self.exact = torch.float64
            self.set_point(self.weight)
        elif lost:
            self._stuck += 1

    def _variables(self) -> tuple[Int[Tensor, " P"], Int[Tensor, " P"]]:
        """Class and column of each weight that the step may change, intercepts included.

        These are the weights that are not zero and, of the zeros, those with the largest gradients: at most twice as
        many again.
        """
        slopes = self._gradient[:, : self._slopes].abs()
        free = self.weight[:, : self._slopes] != 0
        excess = torch.where(free, -math.inf, slopes - self.l1)
        room = min(max(_LEAST_VARIABLES, 2 * int(free.sum())), excess.numel())
        least = float(excess.flatten().topk(room).values[-1])
        chosen = free | (excess > max(least, -_MARGIN * self.l1))
        if self.problem.design.intercept:
            chosen = torch.cat([chosen, chosen.new_ones(len(chosen), 1)], 1)
        classes, columns = torch.nonzero(chosen, as_tuple=True)
        return classes, columns

    def _curvature(
        self, narrow: Objective, classes: Int[Tensor, " P"], places: Int[Tensor, " P"]
    ) -> MatrixCurvature | OperatorCurvature:
        """The Hessian of f by the variables: a matrix where that is small, else its products."""
        if len(classes) <= _MOST_IN_A_MATRIX and len(classes) ** 2 * narrow.design.rows <= _MOST_MULTIPLICATIONS:
            return MatrixCurvature(_hessian_matrix(narrow, self._probabilities, classes, places))
        shares = self._probabilities
        curvature = shares * (1 - shares) * narrow.omega.to(shares.dtype)
        diagonal = (narrow.design.squared_adjoint_product(curvature).double() + narrow.penalty)[classes, places]
        damping = _DAMPING * diagonal + 1e-12 * diagonal.max()

        def product(direction: Tensor) -> Tensor:
            whole = direction.new_zeros(narrow.classes, narrow.design.columns)
            whole[classes, places] = direction
            return narrow.hessian_product(shares, whole)[0][classes, places] + damping * direction

        return OperatorCurvature(product, diagonal + damping)

    def _problem_of(self, index: Int[Tensor, " A"]) -> Objective:
        """The smooth part over some columns; the last one where the columns are the same."""
        if self._chosen is None or not torch.equal(self._chosen, index):
            self._chosen = index
            design = self.problem.design
            if len(index) < design.columns:
                design = design.with_columns(index[index < self._slopes])
            self._narrow = replace(self.problem, design=design, penalty=self.problem.penalty[index])
        return self._narrow


def _hessian_matrix(
    narrow: Objective, probabilities: Float[Tensor, "K N"], classes: Int[Tensor, " P"], places: Int[Tensor, " P"]
) -> Float[Tensor, "P P"]:
    """The Hessian of f by some variables, given by class and column, summed in blocks of rows."""
    hessian = torch.zeros(len(classes), len(classes), dtype=torch.float64, device=probabilities.device)
    rows_a_block = max(256, _NUMBERS_A_BLOCK // len(classes))
    members = [torch.nonzero(classes == k)[:, 0] for k in range(narrow.classes)]
    for start in range(0, narrow.design.rows, rows_a_block):
        index = torch.arange(start, min(start + rows_a_block, narrow.design.rows), device=probabilities.device)
        rows = narrow.design.dense_rows(index, torch.float64)
        shares, omega = probabilities[:, index].double(), narrow.omega[index]
        tilted = rows.T[places] * shares[classes]
        weighted = tilted * omega
        hessian -= weighted @ tilted.T
        for own in members:
            hessian[own[:, None], own] += weighted[own] @ rows[:, places[own]]
    penalty = narrow.penalty[places]
    hessian.diagonal().mul_(1 + _DAMPING).add_(penalty)
    return hessian
