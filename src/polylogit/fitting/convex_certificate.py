"""How far above the minimum F(W, b) can be: weak duality, evaluated without cancellation.

Every cross-entropy is a maximum over distributions, logsumexp(z) = max_q q . z + entropy(q), so for any distributions
q_n the minimum of F is at least the minimum over (W, b) with the q_n held fixed:

    min F >= D(q) = sum_n omega_n entropy(q_n) - ||G_q||^2 / (2 lambda),   G_q = sum_n omega_n (q_n - y_n) x_n',

provided that sum_n omega_n (q_n - y_n) = 0 where there is a free intercept (else the minimum is -inf).

With a penalty (`gap_by_mixture`): q_n = (1 - theta) p_n + theta pi with p_n = softmax(z_n). To meet the proviso, with
s the class shares and m = sum_n omega_n p_n, pi = (s - (1 - theta) m) / theta, and theta = max_k (1 - s_k / m_k) is the
least that keeps pi >= 0. Entropy is concave, so E(q) >= (1 - theta) E(p) + theta E(pi). As F - E(p) = <G_p, W> +
g_b . b + lambda/2 ||W||^2, the gap is

    F - D <= ||lambda W + G_p + theta Delta||^2 / (2 lambda) - theta <Delta, W> + g_b . b + theta (E(p) - E(pi))

with Delta = G_pi - G_p: terms that vanish at the optimum, and none that cancel. For theta = 0 it is the squared
gradient over 2 lambda.

Without a penalty (`gap_by_newton`): D(q) needs G_q = 0. The Newton step V gives
q_n = p_n + (diag(p_n) - p_n p_n') V x_n, whose G_q is the residual r of Newton's equation. As long as every q_n is a
distribution,

    F(U) >= E(q) + <G_q, U> >= E(q) - ||r|| ||U||     for every U.

The bound then holds among weights of at most `_RADIUS` times the norm reached: the only place where a statement is not
about all weights.

Source: Boyd and Vandenberghe (2004), "Convex Optimization", sections 3.3.1 (the conjugate of logsumexp) and 5.1.3.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.fitting.convex_direction import Direction
from polylogit.fitting.convex_problem import Problem

__all__ = ["gap_by_mixture", "gap_by_newton", "relative_gap"]

_RADIUS = 10.0


def relative_gap(objective: float, gap: float) -> float:
    """The gap / (objective - gap): at least the distance to the optimum relative to the optimum itself."""
    if gap <= 0:
        return 0.0
    lower = objective - gap
    return gap / lower if lower > 0 and math.isfinite(gap) else math.inf


def gap_by_mixture(
    problem: Problem,
    weight: Float[Tensor, "K D1"],
    probabilities: Float[Tensor, "K N"],
    pulled: Float[Tensor, "K D1"],
    sums_by_class: Float[Tensor, "K D1"],
) -> float:
    """An upper bound on F - min F; needs a penalty.

    Args:
        problem: F, with lambda > 0.
        weight: W, with the intercept as last column.
        probabilities: softmax(W X').
        pulled: sum_n omega_n (p_n - y_n) x_n', with the intercept's sums as last column.
        sums_by_class: sum_n omega_n y_n x_n', with the class shares as last column.

    Returns:
        The bound, in the units of F.
    """
    slopes = problem.design.columns - problem.design.intercept
    ridge = problem.ridge
    certain = ridge * weight[:, :slopes] + pulled[:, :slopes]
    if not problem.design.intercept:
        return float(certain.square().sum()) / (2 * ridge)
    share, excess = sums_by_class[:, -1], pulled[:, -1]
    mean = share + excess
    theta = min(1.0, max(0.0, float((1 - share / mean.clamp_min(1e-300)).max())))
    intercepts = float(excess @ weight[:, -1])
    if theta == 0:
        return float(certain.square().sum()) / (2 * ridge) + intercepts
    mixed_in = ((share - (1 - theta) * mean) / theta).clamp_min(0)
    mixed_in = mixed_in / mixed_in.sum()
    to_mixed = mixed_in[:, None] * sums_by_class[:, :slopes].sum(0) - sums_by_class[:, :slopes] - pulled[:, :slopes]
    entropy = sum(
        float(problem.omega[block] @ torch.special.entr(probabilities[:, block]).sum(0).double())
        for block in problem.blocks()
    )
    return (
        float((certain + theta * to_mixed).square().sum()) / (2 * ridge)
        - theta * float((to_mixed * weight[:, :slopes]).sum())
        + intercepts
        + theta * (entropy - float(torch.special.entr(mixed_in).sum()))
    )


def gap_by_newton(
    problem: Problem,
    weight: Float[Tensor, "K D1"],
    objective: float,
    probabilities: Float[Tensor, "K N"],
    direction: Direction,
) -> float:
    """An upper bound on F - min F among weights of bounded norm; needs no penalty; inf where q is no distribution.

    Args:
        problem: F.
        weight: W.
        objective: F at W.
        probabilities: softmax(W X').
        direction: Newton's step at W.

    Returns:
        The bound, in the units of F.
    """
    tilt = direction.moved - (probabilities * direction.moved).sum(0)
    if float(tilt.min()) < -1:
        return math.inf
    shifted = (probabilities * (1 + tilt)).double()
    entropy = float(problem.omega @ torch.special.entr(shifted).sum(0))
    radius = _RADIUS * (1 + float(weight.norm()))
    return objective - entropy + float(direction.residual.norm()) * radius
