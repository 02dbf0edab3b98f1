"""How far above the minimum F(W, b) can be: weak duality, evaluated without cancellation.

Every cross-entropy is a maximum over distributions, logsumexp(z) = max_q q . z + entropy(q), so for any distributions
q_n the minimum of F is at least the minimum over (W, b) with the q_n held fixed:

    min F >= D(q) = sum_n omega_n entropy(q_n) - ||G_q||^2 / (2 lambda),   G_q = sum_n omega_n (q_n - y_n) x_n',

provided that sum_n omega_n (q_n - y_n) = 0 where there is a free intercept (else the minimum is -inf).

With a penalty, for any q and p_n = softmax(z_n), F - E(q) = <G_q, W> + g_q . b + lambda/2 ||W||^2 + KL(q, p), where
g_q = sum_n omega_n (q_n - y_n) and KL(q, p) = sum_n omega_n sum_k q_nk log(q_nk / p_nk). To meet the proviso, a little
of one constant distribution pi is mixed in, (1 - theta) q_n + theta pi. With s the class shares and m = s + g_q,
pi = (s - (1 - theta) m) / theta, and theta = max_k (1 - s_k / m_k) is the least that keeps pi >= 0. Entropy is concave,
so with Delta = G_pi - G_q the gap is

    F - D <= ||lambda W + G_q + theta Delta||^2 / (2 lambda) + KL(q, p)
             + g_q . b - theta <Delta, W> + theta (E(q) - E(pi)):

terms that vanish at the optimum, and none that cancel. Two choices of q:

* q = p (`gap_by_mixture`): for theta = 0 the squared gradient over 2 lambda, which is far above the true gap where
  lambda is small beside the Hessian.
* `gap_by_step`, from Newton's step V: with q_n = p_n + (diag(p_n) - p_n p_n') (V x_n + c), lambda W + G_q is
  -(r + lambda V), r being the residual of Newton's equation, and the intercepts c make g_q vanish. For r = 0 the gap is
  then, to second order in V, just what F falls by along V: the bound on F(W + V) is of third order. Where a q_n would
  have a negative part, that is cut off and the rest is scaled to 1; what this and c add to G_q is summed again.

Without a penalty (`gap_by_newton`): D(q) needs G_q = 0. Newton's step gives a q whose G_q is r. As long as every q_n is
a distribution,

    F(U) >= E(q) + <G_q, U> >= E(q) - ||r|| ||U||     for every U.

The bound then holds among weights of at most `_RADIUS` times the norm reached: the only place where a statement is not
about all weights.

Source: Boyd and Vandenberghe (2004), "Convex Optimization", sections 3.3.1 (the conjugate of logsumexp) and 5.1.3.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.solver.intercepts import InterceptHessian
from polylogit.solver.newton_direction import Direction
from polylogit.solver.objective import Objective, Softmax

__all__ = ["balancing_mixture", "gap_by_mixture", "gap_by_newton", "gap_by_step", "relative_gap"]

_RADIUS = 10.0


def relative_gap(objective: float, gap: float) -> float:
    """The gap / (objective - gap): at least the distance to the optimum relative to the optimum itself."""
    if gap <= 0:
        return 0.0
    lower = objective - gap
    return gap / lower if lower > 0 and math.isfinite(gap) else math.inf


def gap_by_mixture(
    problem: Objective,
    weight: Float[Tensor, "K D1"],
    objective: float,
    adjoint: Float[Tensor, "K D1"],
    sums_by_class: Float[Tensor, "K D1"],
) -> float:
    """An upper bound on F - min F - KL(q, p) from G_q; with q = p, on F - min F itself. Needs a penalty.

    Args:
        problem: F, with lambda > 0.
        weight: W, with the intercept as last column.
        objective: F at W.
        adjoint: sum_n omega_n (q_n - y_n) x_n', with the intercept's sums as last column.
        sums_by_class: sum_n omega_n y_n x_n', with the class shares as last column.

    Returns:
        The bound, in the units of F.
    """
    slopes = problem.design.columns - problem.design.intercept
    ridge = problem.ridge
    certain = ridge * weight[:, :slopes] + adjoint[:, :slopes]
    if not problem.design.intercept:
        return float(certain.square().sum()) / (2 * ridge)
    share, excess = sums_by_class[:, -1], adjoint[:, -1]
    intercepts = float(excess @ weight[:, -1])
    mixture = balancing_mixture(share, excess)
    if mixture is None:
        return float(certain.square().sum()) / (2 * ridge) + intercepts
    theta, mixed_in = mixture
    to_mixed = mixed_in[:, None] * sums_by_class[:, :slopes].sum(0) - sums_by_class[:, :slopes] - adjoint[:, :slopes]
    entropy = objective - float(((adjoint + 0.5 * problem.penalty * weight) * weight).sum())
    return (
        float((certain + theta * to_mixed).square().sum()) / (2 * ridge)
        - theta * float((to_mixed * weight[:, :slopes]).sum())
        + intercepts
        + theta * (entropy - float(torch.special.entr(mixed_in).sum()))
    )


def balancing_mixture(
    share: Float[Tensor, " K"], excess: Float[Tensor, " K"]
) -> tuple[float, Float[Tensor, " K"]] | None:
    """The least theta and the distribution pi that balance the classes: (1 - theta) m + theta pi is their shares.

    Args:
        share: s, the share of each class.
        excess: m - s, what the mean of the distributions has above it.

    Returns:
        Theta and pi; None where nothing has to be mixed in.
    """
    mean = share + excess
    theta = min(1.0, max(0.0, float((1 - share / mean.clamp_min(1e-300)).max())))
    if theta == 0:
        return None
    mixed_in = ((share - (1 - theta) * mean) / theta).clamp_min(0)
    return theta, mixed_in / mixed_in.sum()


def gap_by_step(
    problem: Objective,
    weight: Float[Tensor, "K D1"],
    softmax: Softmax,
    direction: Direction,
    *,
    sums_by_class: Float[Tensor, "K D1"],
) -> float:
    """An upper bound on F - min F where Newton's step starts; needs a penalty.

    Args:
        problem: F, with lambda > 0.
        weight: W.
        softmax: Of W X', with F at W.
        direction: Newton's step at W.
        sums_by_class: sum_n omega_n y_n x_n', with the class shares as last column.

    Returns:
        The bound, in the units of F.
    """
    linear = -direction.residual - problem.penalty * (weight + direction.step)
    shift = torch.zeros_like(linear[:, -1])
    if problem.design.intercept:
        shift = _balancing_intercepts(problem, softmax, direction.logit_change, linear[:, -1])
    divergence = torch.zeros((), dtype=torch.float64, device=weight.device)
    probabilities = softmax.probabilities

    def added(block: slice) -> Tensor:
        nonlocal divergence
        some, logit_change = probabilities[:, block], direction.logit_change[:, block]
        tilt = _centred(some, logit_change)
        ratio = _tilted(some, _centred(some, logit_change + shift.to(some.dtype)[:, None]))
        # q log(q / p) - q + p: no number below 0, so that rounding cannot sum to one.
        divergences = torch.special.xlogy(ratio, ratio).add_(1).sub_(ratio).mul_(some).sum(0)
        divergence += problem.omega[block] @ divergences.double()
        return ratio.sub_(1).sub_(tilt).mul_(some).mul_(problem.omega[block].to(some.dtype))

    linear += problem.design.adjoint_product_by_blocks(added, problem.classes, probabilities.dtype)
    divergence = problem.processes.total(divergence)
    return float(divergence) + gap_by_mixture(problem, weight, softmax.objective, linear, sums_by_class)


def _centred(probabilities: Float[Tensor, "K B"], logit_change: Float[Tensor, "K B"]) -> Float[Tensor, "K B"]:
    """v_n - p_n . v_n: what softmax's probabilities change by, relative to themselves, to first order."""
    return logit_change - (probabilities * logit_change).sum(0)


def _tilted(probabilities: Float[Tensor, "K B"], centred: Float[Tensor, "K B"]) -> Float[Tensor, "K B"]:
    """q_nk / p_nk for distributions q_n = p_n + (diag(p_n) - p_n p_n') v_n, less what of them would be negative."""
    ratio = centred.add(1).clamp_min_(0)
    return ratio.div_((ratio * probabilities).sum(0))


def _balancing_intercepts(
    problem: Objective,
    softmax: Softmax,
    logit_change: Float[Tensor, "K N"],
    excess: Float[Tensor, " K"],
) -> Float[Tensor, " K"]:
    """The c that, added to every v_n = V x_n, makes g_q vanish but for cut-off parts that it changes."""
    added = torch.zeros_like(excess)
    for block in problem.blocks():
        some = softmax.probabilities[:, block].contiguous()
        weighted = some * problem.omega[block].to(some.dtype)
        centred = _centred(some, logit_change[:, block])
        cut = _tilted(some, centred).sub_(1).sub_(centred)
        added += cut.mul_(weighted).sum(1)
    excess = excess + problem.processes.total(added)
    return InterceptHessian(problem, softmax).solve(-excess)


def gap_by_newton(
    problem: Objective,
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
    tilt = _centred(probabilities, direction.logit_change)
    least = float(tilt.min()) if tilt.numel() else 0.0
    if problem.processes.smallest(least) < -1:
        return math.inf
    shifted = (probabilities * (1 + tilt)).double()
    entropy = problem.processes.total_number(float(problem.omega @ torch.special.entr(shifted).sum(0)))
    radius = _RADIUS * (1 + float(weight.norm()))
    return objective - entropy + float(direction.residual.norm()) * radius
