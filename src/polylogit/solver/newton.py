"""The point of a Newton descent, what is known of it, and one step.

This module owns which precision to work in, when to renew the preconditioner, how hard to solve Newton's equation and
how to tell rounding from progress. When to stop is its stop_reason; whom to tell, and in which columns, is `convex`'s.

Source: Nocedal and Wright (2006), "Numerical Optimization", algorithm 7.1; the length of solves: Eisenstat and Walker
(1996), "Choosing the forcing terms in an inexact Newton method", SIAM J. Sci. Comput. 17.
"""

import math
from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.solver.duality_gap import gap_by_mixture, gap_by_newton, gap_by_step, relative_gap
from polylogit.solver.intercepts import balance_intercepts
from polylogit.solver.newton_direction import Direction, newton_direction, step_length
from polylogit.solver.objective import Objective, Softmax
from polylogit.solver.preconditioner import CurvaturePreconditioner

__all__ = ["NewtonCG"]

_MOST_PRODUCTS = 400
_PATIENCE = 6
_MOST_FORCING = 0.3
_LEAST_FORCING = 0.1
_FIRST_FORCING = 0.2
_LEAST_FORCING_NEAR = 0.02
_STEPS_BETWEEN_FRESH_LOGITS = 8
_CLOSING = 5
_CLOSING_NEAR = 50
_FAR = 1e3
_FAR_TOLERANCE = 1e-3
_TRUSTED = 1e-2
"""A promised decrease relative to F, up to which a step is tried whole before its length is searched."""
_AS_PROMISED = 0.8
"""The share of the promised decrease with which such a step is taken whole."""


class NewtonCG:
    """The current point, its certified gap, and the current preconditioner.

    Args:
        problem: F.
        coarse: Precision of Hessian products.
        exact: Precision of logits and gradients.
        tolerance: Relative gap wanted.
        seed: Of the preconditioner's rows.
    """

    def __init__(
        self, problem: Objective, *, coarse: torch.dtype, exact: torch.dtype, tolerance: float, seed: int
    ) -> None:
        self.problem, self.coarse, self.exact, self.tolerance = problem, coarse, exact, tolerance
        self.iteration, self.objective, self._lower = 0, math.inf, -math.inf
        self._generator = torch.Generator().manual_seed(seed + problem.processes.rank)
        self._precondition: CurvaturePreconditioner | None = None
        self._near = False
        self._products = 0
        self._decrement = math.inf
        self._stuck = False
        self._sums_by_class, self.shares = problem.sums_of_targets(exact)
        self.has_point = False
        self._softmax: Softmax

    def continue_from(self, some: "NewtonCG") -> None:
        """Take over the preconditioner of a descent on some of the rows, which has come near the optimum."""
        self._precondition, self._near = self.problem.processes.agreed_object(some._precondition), True

    @property
    def gap(self) -> float:
        """The certified bound relative to the optimum."""
        return relative_gap(self.objective, self.objective - self._lower)

    def set_point(self, weight: Float[Tensor, "K D1"], logits: Float[Tensor, "K N"] | None = None) -> None:
        """Set the point to W with optimal intercepts: its logits, unless given, its probabilities and its objective.

        Where the point as it comes is near enough to the optimum, it stays.
        """
        problem = self.problem
        far = not self.gap <= _FAR * self.tolerance
        self.weight = problem.processes.agreed(weight)
        self._logits = problem.design.logits(self.weight, self.exact) if logits is None else logits
        same = self.has_point and self._softmax.probabilities.dtype == self._logits.dtype
        used = self._softmax.probabilities if same else None
        self._softmax = problem.softmax(self.weight, self._logits, out=used)
        self.objective, self.has_point = self._softmax.objective, True
        if not problem.design.intercept or (math.isfinite(self._lower) and self.gap <= self.tolerance):
            return
        # What an excess e adds to the gap is about e times the logits' size.
        wanted = 1e-3 * self.tolerance * min(1.0, self.objective) / (1 + float(self.weight.norm()))
        wanted = problem.processes.agreed_number(wanted)
        tolerance = min(1e-6, max(0.1 * torch.finfo(self.exact).eps, wanted))
        if far:
            tolerance = max(tolerance, _FAR_TOLERANCE)
        self.weight, self._softmax = balance_intercepts(
            problem, self.weight, self._logits, self._softmax, shares=self.shares, tolerance=tolerance
        )
        self.objective = self._softmax.objective

    def evaluate(self) -> None:
        """Gradient and gap at the point, unless its gap is known to be small enough."""
        problem = self.problem
        if self.gap <= self.tolerance:
            return
        adjoint = problem.residual_sums(self._softmax.probabilities)
        self._gradient = adjoint + problem.penalty * self.weight
        if problem.ridge > 0:
            gap = gap_by_mixture(problem, self.weight, self.objective, adjoint, self._sums_by_class)
            self._lower = max(self._lower, self.objective - problem.processes.agreed_number(gap))

    def stop_reason(self) -> Literal["tolerance", "separable", "rounding"] | None:
        """Why to stop here; None where there is no reason."""
        if self.gap <= self.tolerance:
            return "tolerance"
        if self.problem.ridge == 0 and self.objective < 1e-3 and self.is_separated():
            return "separable"
        return "rounding" if self._stuck or not math.isfinite(self.objective) else None

    def is_separated(self) -> bool:
        """Whether every row with a weight has its largest logit at its class."""
        return self.problem.is_separated(self._logits)

    def step(self) -> None:
        """One Newton step, or a change to float64 where float32 has given what it can."""
        problem = self.problem
        direction, decrement = self._direction()
        before, objective = self.weight, self.objective
        self.iteration += 1
        if 0 < direction.decrease <= self._closing():
            gap = gap_by_step(problem, before, self._softmax, direction, sums_by_class=self._sums_by_class)
            self._lower = max(self._lower, objective - problem.processes.agreed_number(gap))
        length = 1.0
        trusted = 0 < direction.decrease <= _TRUSTED * objective
        moved = trusted and self._move(direction, length, least=_AS_PROMISED * direction.decrease)
        if not moved:
            length = step_length(problem, before, self._logits, self._gradient, direction)
            moved = self._move(direction, length)
        idle = decrement > 0.5 * self._decrement and decrement**2 < self._rounding(self.coarse)
        lost = length == 0 or idle or not moved
        self._decrement = decrement
        if lost and torch.float32 in {self.coarse, self.exact}:
            self.coarse = self.exact = torch.float64
            self._decrement, self._precondition = math.inf, None
            self.set_point(self.weight)
        elif lost:
            self._stuck = True

    def _move(self, direction: Direction, length: float, *, least: float = 0.0) -> bool:
        """Go along a direction if F falls by at least so much, but for rounding; else stay."""
        before, objective = self.weight, self.objective
        logits = None
        if self.coarse == self.exact and self.iteration % _STEPS_BETWEEN_FRESH_LOGITS:
            logits = self._logits.add_(direction.logit_change, alpha=length)
        self.set_point(before + length * direction.step, logits)
        if self.objective <= objective - least + self._rounding(self.exact):
            return True
        self.set_point(before)
        return False

    def _direction(self) -> tuple[Direction, float]:
        """Newton's direction, and the root of the decrease that it promises."""
        problem = self.problem
        probabilities = self._softmax.probabilities.to(self.coarse)
        softmax = replace(self._softmax, probabilities=probabilities)
        early = self.iteration == 1 and not self._near
        if self._precondition is None or early or self._products > _PATIENCE:
            self._precondition = CurvaturePreconditioner(problem, softmax, self._generator)
        descent = -self._gradient
        decrement = math.sqrt(max(0.0, float((descent * self._precondition(descent)).sum())))
        decrement = problem.processes.agreed_number(decrement)
        direction = newton_direction(
            problem,
            probabilities,
            self._gradient,
            self._precondition,
            forcing=self._forcing(decrement),
            small_enough=self._small_enough(),
            most_products=_MOST_PRODUCTS,
            closing=self._closing(),
        )
        self._products = direction.products
        if problem.ridge == 0:
            gap = gap_by_newton(problem, self.weight, self.objective, probabilities, direction)
            self._lower = max(self._lower, self.objective - problem.processes.agreed_number(gap))
        return direction, decrement

    def _closing(self) -> float:
        """A promised decrease so small that the step could be the last: solved well, it proves what it reaches.

        With products in another precision than the gradient's, what a step proves is less sure than the tolerance.
        """
        if self.problem.ridge == 0 or self.coarse != self.exact:
            return 0.0
        return (_CLOSING_NEAR if self._near else _CLOSING) * self.tolerance * self.objective

    def _rounding(self, precision: torch.dtype) -> float:
        """A change of F below which a precision's rounding may rule."""
        return 1e2 * torch.finfo(precision).eps * self.objective

    def _forcing(self, decrement: float) -> float:
        """How far to solve Newton's equation: tighter as the steps begin to converge (Eisenstat and Walker, 1996)."""
        if self.problem.ridge == 0 and decrement**2 < 10 * self.tolerance * self.objective:
            return 0.0
        if math.isinf(self._decrement) and not self._near:
            return _FIRST_FORCING
        return max(
            _LEAST_FORCING_NEAR if self._near else _LEAST_FORCING, min(_MOST_FORCING, decrement / self._decrement)
        )

    def _small_enough(self) -> float:
        """The norm of a residual that the certificate would accept, with room for the Hessian's change."""
        if self.problem.ridge == 0:
            norm = self.problem.processes.agreed_number(float(self.weight.norm()))
            return max(1e-14, self.tolerance * self.objective / (40 * (1 + norm)))
        return 0.7 * math.sqrt(2 * self.problem.ridge * self.tolerance * self.objective)
