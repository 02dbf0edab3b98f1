"""Newton's method with the full Hessian, for small problems.

With K classes and D + 1 columns the Hessian is a matrix of K (D + 1) rows,

    H = sum_n omega_n (diag(p_n) - p_n p_n') (x) x_n x_n' + lambda I.

Its Cholesky factor gives Newton's step V exactly, and with it the best bound at hand: the distributions
q_n = p_n + (diag(p_n) - p_n p_n') V x_n have G_q = -lambda (W + V), so that

    min F >= sum_n omega_n entropy(q_n) - ||G_q||^2 / (2 lambda)

(`duality_gap`) is as close to the optimum as the end of the step,
one step earlier than a bound from the gradient would be.
Adding a number to every intercept changes no probability; 1 / K on their block makes H regular along it and changes no
other step. Needs a penalty, for without one H may be singular.

Source: Bishop (2006), "Pattern Recognition and Machine Learning", equation 4.110; Nocedal and Wright (2006), algorithm
3.1 (backtracking); the bound: Boyd and Vandenberghe (2004), section 5.1.3.
"""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.solver.backtracking_newton import backtracking_length, cholesky_with_damping
from polylogit.solver.duality_gap import relative_gap
from polylogit.solver.intercepts import balance_intercepts
from polylogit.solver.objective import Objective

__all__ = ["FullHessianNewton"]

MOST_PARAMETERS = 256
MOST_MULTIPLICATIONS = 20_000_000
_FAR = 0.2


class FullHessianNewton:
    """The current point of Newton's method on a small problem, and its certified gap.

    Args:
        problem: F, with a penalty and dense rows.
        tolerance: Relative gap wanted.
    """

    def __init__(self, problem: Objective, *, tolerance: float) -> None:
        self.problem, self.tolerance = problem, tolerance
        self.iteration, self.objective, self.absolute_gap = 0, math.inf, math.inf
        self.has_point = False
        everyone = torch.arange(problem.design.rows, device=problem.design.device)
        self._rows = problem.design.dense_rows(everyone, torch.float64)
        self._columns = self._rows.T.contiguous()
        chosen = self._rows.new_zeros(problem.classes, problem.design.rows)
        chosen[problem.targets, everyone] = problem.omega
        self._sums_by_class = problem.processes.total(chosen @ self._rows)
        self._lower = -math.inf
        self._stuck = self._idle = False
        self._lower_before = -math.inf

    @staticmethod
    def is_applicable(problem: Objective) -> bool:
        """Whether the Hessian is a small matrix and soon summed up."""
        parameters = problem.classes * problem.design.columns
        few = parameters <= MOST_PARAMETERS and parameters**2 * problem.design.total_rows <= MOST_MULTIPLICATIONS
        return few and problem.ridge > 0

    @property
    def gap(self) -> float:
        """The certified bound relative to the optimum."""
        return relative_gap(self.objective, self.absolute_gap)

    def set_point(self, weight: Float[Tensor, "K D1"]) -> None:
        """Put the point at W; its logits and objective. The first point gets its optimal intercepts.

        The mean loss is sum_n omega_n logsumexp(z_n) - <W, sum_n omega_n y_n x_n'>.
        """
        weight = self.problem.processes.agreed(weight)
        logits = weight @ self._columns
        if self.problem.design.intercept and not self.has_point:
            start = self.problem.softmax(weight, logits)
            shares = self._sums_by_class[:, -1]
            weight, _ = balance_intercepts(self.problem, weight, logits, start, shares=shares, tolerance=1e-2)
        self.weight = weight
        self._penalised = self.problem.penalty * weight
        normalizers = torch.logsumexp(logits, 0)
        self._log_probabilities = logits.sub_(normalizers)
        linear = (weight * (0.5 * self._penalised - self._sums_by_class)).sum()
        processes = self.problem.processes
        losses = processes.total(self.problem.omega @ normalizers)
        self.objective = processes.agreed_number(float(losses + linear))
        self.has_point = True

    def evaluate(self) -> None:
        """Newton's step at the point, and the gap that it proves."""
        problem = self.problem
        shares = self._log_probabilities.exp()
        weighted = shares * problem.omega
        gradient = problem.processes.total(weighted @ self._rows) - self._sums_by_class + self._penalised
        self._step = self._solved(shares, weighted, gradient)
        self._slope = problem.processes.agreed_number(float((gradient * self._step).sum()))
        if -self._slope <= max(_FAR * self.objective, torch.finfo(torch.float64).eps):
            self._bound_below(shares)
        self.absolute_gap = self.objective - self._lower

    def _bound_below(self, shares: Float[Tensor, "K N"]) -> None:
        """Raise the lower bound on F by what the step proves, where every q_n is a distribution."""
        problem = self.problem
        tilt = self._step @ self._columns
        tilt -= (shares * tilt).sum(0)
        least = float(tilt.min()) if tilt.numel() else 0.0
        if problem.processes.smallest(least) >= -1:
            shares *= tilt.add_(1)
            adjoint = problem.processes.total((shares * problem.omega) @ self._rows) - self._sums_by_class
            entropy = problem.processes.total(torch.special.entr(shares).sum(0) @ problem.omega)
            slopes = adjoint[:, : problem.design.columns - problem.design.intercept]
            bound = float(entropy - slopes.square().sum() / (2 * problem.ridge))
            self._lower = max(self._lower, problem.processes.agreed_number(bound))

    def _solved(
        self, shares: Float[Tensor, "K N"], weighted: Float[Tensor, "K N"], gradient: Float[Tensor, "K D1"]
    ) -> Float[Tensor, "K D1"]:
        """The V with H V = -gradient, damped where rounding makes H indefinite; zero where H is not finite."""
        classes, columns = gradient.shape
        parameters = classes * columns
        rows = len(self._rows)
        tilted = (shares[:, None] * self._columns).view(parameters, rows)
        carried = (weighted[:, None] * self._columns).view(parameters, rows)
        hessian = torch.mm(carried, tilted.T).neg_()
        blocks = hessian.view(classes, columns, classes, columns)
        blocks.diagonal(dim1=0, dim2=2).add_((carried.view(classes, columns, rows) @ self._rows).permute(1, 2, 0))
        hessian = self.problem.processes.total(hessian)
        blocks = hessian.view(classes, columns, classes, columns)
        hessian.diagonal().view(classes, columns).add_(self.problem.penalty)
        if self.problem.design.intercept:
            blocks[:, -1, :, -1] += 1 / classes
        factor = cholesky_with_damping(hessian)
        if factor is None:
            return torch.zeros_like(gradient)
        step = torch.cholesky_solve(gradient.neg().view(-1, 1), factor).view(classes, columns)
        return step - step.mean(0)

    def stop_reason(self) -> Literal["tolerance", "rounding"] | None:
        """Why to stop here; None where there is no reason."""
        if self.gap <= self.tolerance:
            return "tolerance"
        return "rounding" if self._stuck or not math.isfinite(self.objective) else None

    def is_separated(self) -> bool:
        """Whether every row with a weight has its largest logit at its class."""
        return self.problem.is_separated(self._log_probabilities)

    def step(self) -> None:
        """Newton's step with backtracking."""
        before, objective, lower = self.weight, self.objective, self._lower

        def objective_at(length: float) -> float:
            self.set_point(before + length * self._step)
            return self.objective

        length, _ = backtracking_length(objective_at, self.objective, self._slope)
        if length == 0:
            self.set_point(before)
        idle = self.objective >= objective and lower <= self._lower_before
        self._stuck = length == 0 or (idle and self._idle)
        self._idle, self._lower_before = idle, lower
        self.absolute_gap = self.objective - self._lower
        self.iteration += 1
