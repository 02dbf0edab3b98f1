"""The result of an exact softmax regression, and why it stopped.

See also: `softmax_regression.py`, which computes it.
"""

import math
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from polylogit.plural import counted
from polylogit.solver.elastic_net import ElasticNetNewton
from polylogit.solver.full_hessian import FullHessianNewton
from polylogit.solver.newton import NewtonCG

__all__ = ["LinearFit", "StopReason", "explain_stop"]

StopReason = Literal["tolerance", "iterations", "interrupted", "separable", "weak_penalty", "rounding"]
"""Why a fit stopped.

* "tolerance": the certified gap is within the tolerance; the only reason with which a fit has converged.
* "iterations": the limit of iterations.
* "interrupted": KeyboardInterrupt.
* "separable": the tolerance was not reached, and the coefficients classify every row correctly. Without a penalty there
  is no finite optimum; with a weak one its coefficients are very large.
* "weak_penalty": the tolerance was not reached, and the penalty is below the rounding of the loss's curvature, because
  C or the columns' values are very large.
* "rounding": no step decreases the objective any more.
"""

_NEGLIGIBLE = 1e-14


@dataclass(frozen=True)
class LinearFit:
    """A fitted linear softmax model and what is known of its optimality.

    Attributes:
        weight: One row of weights per class, also for two classes; without an L1 penalty columns sum to zero over the
            classes.
        bias: One intercept per class, summing to zero; zeros without an intercept.
        objective: Mean loss plus ||weight||^2 / (2 C sum of sample weights), and the L1 penalty, in nats.
        optimality_gap: Upper bound on (objective - optimum) / optimum, from a dual feasible point; without a penalty
            it holds among weights of at most ten times the norm reached.
        iterations: Newton steps taken.
        stop_reason: Why the fit stopped.
        message: The same as a sentence, with the gap reached.
        interrupted: Whether KeyboardInterrupt ended the fit, also where the tolerance was reached by then.
    """

    weight: Float[Tensor, "K D"]
    bias: Float[Tensor, " K"]
    objective: float
    optimality_gap: float
    iterations: int
    stop_reason: StopReason
    message: str
    interrupted: bool = False

    @property
    def converged(self) -> bool:
        """Whether `optimality_gap` is at most the tolerance asked for."""
        return self.stop_reason == "tolerance"


def explain_stop(
    solver: NewtonCG | FullHessianNewton | ElasticNetNewton, stopped_by: StopReason
) -> tuple[StopReason, str]:
    """The stop reason, with the cause in place of the symptom where it is known, and a message.

    Args:
        solver: At the point where it stopped.
        stopped_by: What ended the iterations.

    Returns:
        The reason and the message.
    """
    if solver.gap <= solver.tolerance:
        return "tolerance", f"the certified relative gap {solver.gap:.1e} is within {solver.tolerance:.1e}"
    after = f"at a certified relative gap of {solver.gap:.1e}"
    symptom = {
        "iterations": f"the limit of {counted(solver.iteration, 'iteration')}",
        "interrupted": "an interrupt",
        "separable": "separable classes",
    }.get(stopped_by, "rounding")
    if stopped_by not in {"iterations", "rounding"}:
        return stopped_by, f"stopped by {symptom}, {after}"
    if solver.is_separated():
        return "separable", f"stopped by {symptom}, {after}: the classes are separable and the penalty is weak"
    scale, column = _largest_column(solver)
    if 0 < solver.problem.ridge < _NEGLIGIBLE * scale:
        return "weak_penalty", (
            f"stopped by {symptom}, {after}: the penalty is negligible beside the curvature of the loss, for column "
            f"{column} has a root mean square of {math.sqrt(scale):.1e}"
        )
    return stopped_by, f"stopped by {symptom}, {after}"


def _largest_column(solver: NewtonCG | FullHessianNewton | ElasticNetNewton) -> tuple[float, int]:
    """Largest mean square of a column, and its index."""
    design = solver.problem.design
    squares = design.squared_adjoint_product(solver.problem.omega[None])[0, : design.columns - design.intercept]
    scale, column = squares.max(0)
    return float(scale), int(column)
