"""Exact softmax regression: the minimum of a convex function, with a bound on how far from it the answer can be.

With rows x_n, targets y_n, weights w_n >= 0 and the inverse penalty C, the objective is scikit-learn's,

    C sum_n w_n (logsumexp_k z_nk - z_n,y_n) + ||W||^2 / 2,        z_n = W x_n + b,

divided here by C sum_n w_n, so that it reads as a mean: with omega_n = w_n / sum w and lambda = 1 / (C sum w),

    F(W, b) = sum_n omega_n loss_n + lambda / 2 ||W||^2.

Newton's method with a truncated conjugate gradient (CG) inside. Each step is a function below:

* Böhning's bound: the Hessian is at most (I - 11'/K)/2 (x) sum_n omega_n x_n x_n' + lambda, for every W. One Cholesky
  factor of that D x D matrix preconditions CG (`BohningPreconditioner`).
* CG on the true Hessian, H V = (P o (V X' - P . V X')) X + lambda V, until its residual is small enough for the outer
  progress and for the certificate (`newton_direction`).
* A line search on cached logits: they are linear in the step, so a trial costs N x K, not N x K x D (`step_length`).
* The certificate (`dual_value`): for any distributions q_n with sum_n omega_n (q_n - y_n) = 0, weak duality gives

    min F >= sum_n omega_n entropy(q_n) - ||sum_n omega_n (q_n - y_n) x_n'||^2 / (2 lambda).

  q_n = softmax(z_n) at any iterate serves, after a mixture that makes the intercept's constraint hold exactly.

This module owns the optimisation of a linear softmax model. It does not own class names, preprocessing, or
scikit-learn's interface (`polylogit.estimators`).

Source: Böhning (1992), "Multinomial logistic regression algorithm", Ann. Inst. Statist. Math. 44, section 2; Boyd and
Vandenberghe (2004), "Convex Optimization", section 5.1 (weak duality) and exercise 5.5 (conjugates); Nocedal and
Wright (2006), "Numerical Optimization", algorithm 7.1.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from polylogit.errors import DataError

__all__ = ["IterationRecord", "LinearFit", "fit_softmax_regression"]

_ROWS_A_BLOCK = 8192
_LARGEST_GRAM = 4096


@dataclass(frozen=True)
class IterationRecord:
    """What one outer iteration reached.

    Args:
        iteration: Count of Newton steps taken so far; 0 is the start.
        objective: F(W, b), a mean: see `LinearFit`.
        optimality_gap: Certified bound on the relative distance to the optimum so far; inf while there is none.
        seconds: Wall-clock time since the start of the fit.
    """

    iteration: int
    objective: float
    optimality_gap: float
    seconds: float


@dataclass(frozen=True)
class LinearFit:
    """A fitted linear softmax model and what is known of its optimality.

    Args:
        weight: One row of weights a class, also for two classes; columns sum to zero over the classes.
        bias: One intercept a class, summing to zero; zeros without an intercept.
        objective: Mean loss plus ||weight||^2 / (2 C sum of sample weights), in nats.
        optimality_gap: Upper bound on (objective - optimum) / optimum, from a dual feasible point.
        iterations: Newton steps taken.
        converged: Whether `optimality_gap` is at most the tolerance asked for.
        message: In words, what stopped the fit.
    """

    weight: Float[Tensor, "K D"]
    bias: Float[Tensor, " K"]
    objective: float
    optimality_gap: float
    iterations: int
    converged: bool
    message: str


@dataclass(frozen=True)
class _Problem:
    """The data of F, in float64, with the intercept as a last column of ones where there is one."""

    features: Float[Tensor, "N D1"]
    targets: Int[Tensor, " N"]
    omega: Float[Tensor, " N"]
    penalty: Float[Tensor, " D1"]
    classes: int
    intercept: bool

    def logits(self, weight: Float[Tensor, "K D1"]) -> Float[Tensor, "K N"]:
        """Z = W X'."""
        return weight @ self.features.T

    def pulled_back(self, rows: Float[Tensor, "K N"]) -> Float[Tensor, "K D1"]:
        """R X, the gradient of sum(R o Z) in W."""
        return rows @ self.features

    def losses(self, logits: Float[Tensor, "K N"]) -> Float[Tensor, " N"]:
        """Cross-entropy of each row."""
        return torch.logsumexp(logits, 0) - logits.gather(0, self.targets[None])[0]

    def objective(self, weight: Float[Tensor, "K D1"], logits: Float[Tensor, "K N"]) -> float:
        """F at weights whose logits are known."""
        return float(self.omega @ self.losses(logits) + 0.5 * (self.penalty * weight.square()).sum())

    def residuals(self, probabilities: Float[Tensor, "K N"]) -> Float[Tensor, "K N"]:
        """omega_n (p_n - y_n)."""
        residuals = probabilities * self.omega
        residuals.scatter_add_(0, self.targets[None], -self.omega[None])
        return residuals


class BohningPreconditioner:
    """V -> V M^-1 with M = X' diag(omega) X / 2 + penalty, a bound on the Hessian wherever it is taken.

    The same step added to every class changes no probability, so the result's columns are made to sum to zero: without
    an intercept's penalty nothing else would keep rounding from growing along that direction.

    Past `largest_gram` columns only M's diagonal is used: a D x D matrix would cost more than it saves.

    Args:
        problem: The data of F.
        largest_gram: Most columns for which M is factored whole.
    """

    def __init__(self, problem: _Problem, largest_gram: int = _LARGEST_GRAM) -> None:
        columns = problem.features.shape[1]
        diagonal = 0.5 * (problem.omega @ problem.features.square()) + problem.penalty
        diagonal = torch.where(diagonal > 0, diagonal, torch.ones_like(diagonal))
        self._scale = diagonal.rsqrt()
        self._factor: Tensor | None = None
        if columns <= largest_gram:
            weighted = problem.features * (0.5 * problem.omega).sqrt()[:, None] * self._scale
            gram = weighted.T @ weighted
            gram.diagonal().add_(problem.penalty * self._scale.square() + columns * torch.finfo(gram.dtype).eps)
            self._factor = torch.linalg.cholesky(gram)

    def __call__(self, rows: Float[Tensor, "K D1"]) -> Float[Tensor, "K D1"]:
        """M^-1 applied to each row, less the mean over the rows."""
        scaled = rows * self._scale
        if self._factor is not None:
            scaled = torch.cholesky_solve(scaled.T, self._factor).T
        return (scaled - scaled.mean(0)) * self._scale


def hessian_product(
    problem: _Problem, probabilities: Float[Tensor, "K N"], direction: Float[Tensor, "K D1"]
) -> tuple[Float[Tensor, "K D1"], Float[Tensor, "K N"]]:
    """H V = (omega P o (V X' - 1 (P . V X'))) X + penalty V, and V X' with it."""
    moved = problem.logits(direction)
    curved = (moved - (probabilities * moved).sum(0)) * probabilities * problem.omega
    return problem.pulled_back(curved) + problem.penalty * direction, moved


def newton_direction(
    problem: _Problem,
    probabilities: Float[Tensor, "K N"],
    gradient: Float[Tensor, "K D1"],
    precondition: Callable[[Tensor], Tensor],
    *,
    forcing: float,
    small_enough: float,
    most_products: int = 500,
) -> tuple[Float[Tensor, "K D1"], Float[Tensor, "K N"]]:
    """Conjugate gradients on H V = -gradient; V and V X'.

    Stops when the residual is below `forcing` times the gradient in the preconditioner's norm and its plain norm is
    below `small_enough` or below `forcing` times the gradient's.
    """
    direction = torch.zeros_like(gradient)
    moved = torch.zeros_like(probabilities)
    residual = -gradient
    search = precondition(residual)
    squared = float((residual * search).sum())
    first = squared
    plain = float(gradient.norm())
    for _ in range(most_products):
        if squared <= forcing**2 * first and float(residual.norm()) <= max(small_enough, forcing * plain):
            break
        curved, search_moved = hessian_product(problem, probabilities, search)
        curvature = float((search * curved).sum())
        if curvature <= 0:
            break
        length = squared / curvature
        direction += length * search
        moved += length * search_moved
        residual = residual - length * curved
        preconditioned = precondition(residual)
        previous, squared = squared, float((residual * preconditioned).sum())
        search = preconditioned + (squared / previous) * search
    return direction, moved


def step_length(
    problem: _Problem,
    weight: Float[Tensor, "K D1"],
    logits: Float[Tensor, "K N"],
    direction: Float[Tensor, "K D1"],
    moved: Float[Tensor, "K N"],
) -> float:
    """A t near the root of the slope of t -> F(W + t V), by safeguarded Newton steps on the logits alone.

    slope(t) = sum_n omega_n (p_n(t) - y_n) . V x_n + <penalty (W + t V), V>

    F is convex, so the slope only grows, and its sign is exact where differences of F drown in rounding. 0 means that
    the direction does not descend.
    """
    quadratic = float((problem.penalty * direction.square()).sum())
    linear = float((problem.penalty * weight * direction).sum())
    observed = moved.gather(0, problem.targets[None])[0]

    def slope_and_curvature(length: float) -> tuple[float, float]:
        probabilities = torch.softmax(logits + length * moved, 0)
        mean = (probabilities * moved).sum(0)
        variance = (probabilities * (moved - mean).square()).sum(0)
        slope = float(problem.omega @ (mean - observed)) + linear + length * quadratic
        return slope, float(problem.omega @ variance) + quadratic

    at_start, _ = slope_and_curvature(0.0)
    if not at_start < 0:
        return 0.0
    low, high, length = 0.0, math.inf, 1.0
    for _ in range(50):
        slope, curvature = slope_and_curvature(length)
        if abs(slope) <= 0.1 * abs(at_start):
            return length
        low, high = (length, high) if slope < 0 else (low, length)
        newton = length - slope / curvature if curvature > 0 else math.inf
        ceiling = 10.0 * length if math.isinf(high) else low + 0.9 * (high - low)
        floor = low + 0.1 * (high - low) if math.isfinite(high) else low
        length = min(max(newton, floor), ceiling)
    return low


def dual_value(
    problem: _Problem, probabilities: Float[Tensor, "K N"], gradient_of_loss: Float[Tensor, "K D1"]
) -> float:
    """A lower bound on the minimum of F, from softmax probabilities and sum_n omega_n (p_n - y_n) x_n'.

    The dual point is q_n = (1 - theta) p_n + theta pi. With the intercept, sum_n omega_n q_n must equal the share s of
    each class, so pi = (s - (1 - theta) mean p) / theta, and theta = max_k(1 - s_k / mean p_k) is the least that keeps
    pi >= 0. Entropy is concave, so the mixture's is at least the mixed entropies.
    """
    entropy = float(problem.omega @ torch.special.entr(probabilities).sum(0))
    pulled = gradient_of_loss
    if problem.intercept:
        share = torch.zeros_like(pulled[:, -1]).index_add_(0, problem.targets, problem.omega)
        mean = share + pulled[:, -1]
        theta = min(1.0, max(0.0, float((1 - share / mean.clamp_min(1e-300)).max())))
        if theta > 0:
            mixed_in = ((share - (1 - theta) * mean) / theta).clamp_min(0)
            mixed_in = mixed_in / mixed_in.sum()
            sums_by_class = torch.zeros_like(pulled).index_add_(
                0, problem.targets, problem.features * problem.omega[:, None]
            )
            pulled = (1 - theta) * pulled + theta * (mixed_in[:, None] * sums_by_class.sum(0) - sums_by_class)
            entropy = (1 - theta) * entropy + theta * float(torch.special.entr(mixed_in).sum())
    penalised = problem.penalty > 0
    return entropy - float((pulled[:, penalised].square() / problem.penalty[penalised]).sum()) / 2


def _relative_gap(objective: float, lower_bound: float) -> float:
    """(objective - lower bound) / lower bound: at least the same with the optimum in the bound's place."""
    if lower_bound <= 0:
        return 0.0 if objective <= 0 else math.inf
    return max(0.0, (objective - lower_bound) / lower_bound)


def _check(
    features: Tensor, targets: Tensor, classes: int, C: float, sample_weight: Tensor | None
) -> None:  # one clear message a fault
    if features.ndim != 2:
        raise DataError(f"features: expected a matrix (rows, columns), got shape {tuple(features.shape)}.")
    if targets.shape != (features.shape[0],):
        raise DataError(
            f"targets: expected one class index for each of {features.shape[0]} rows, got shape {tuple(targets.shape)}."
        )
    if features.shape[0] == 0:
        raise DataError("features: expected at least one row, got none.")
    if int(targets.min()) < 0 or int(targets.max()) >= classes:
        raise DataError(
            f"targets: expected class indices 0 to {classes - 1}, got {int(targets.min())} to {int(targets.max())}."
        )
    if not C > 0:
        raise DataError(f"C: expected a positive number (inf is no penalty), got {C}.")
    if sample_weight is not None and (
        sample_weight.shape != targets.shape
        or not bool((sample_weight >= 0).all())
        or not bool(torch.isfinite(sample_weight).all())
        or not bool((sample_weight > 0).any())
    ):
        raise DataError("sample_weight: expected one finite weight >= 0 for each row, and not all of them 0.")


def fit_softmax_regression(
    features: Num[Tensor, "N D"],
    targets: Int[Tensor, " rows"],
    *,
    classes: int,
    C: float = 1.0,
    fit_intercept: bool = True,
    sample_weight: Num[Tensor, " weights"] | None = None,
    tolerance: float = 1e-4,
    max_iterations: int = 200,
    initial: tuple[Float[Tensor, "K D"], Float[Tensor, " K"]] | None = None,
    on_iteration: Callable[[IterationRecord], None] | None = None,
) -> LinearFit:
    """Weights and intercepts that minimise the penalised softmax cross-entropy, with a certificate.

    F(W, b) = sum_n (w_n / sum w) loss_n + ||W||^2 / (2 C sum w)

    Args:
        features: Rows, any numeric dtype.
        targets: Class indices from 0 to `classes` - 1; a class may be absent.
        classes: Number of classes, K >= 2.
        C: Inverse strength of the penalty, scikit-learn's; inf is no penalty.
        fit_intercept: Whether each class has a free, unpenalised intercept.
        sample_weight: Weight of each row, 0 or more; all ones when left out.
        tolerance: Largest certified relative gap at which to stop.
        max_iterations: Most Newton steps.
        initial: Weights and intercepts to start from; zeros when left out.
        on_iteration: Called after each step.

    Returns:
        The best point found and how far from the optimum it can be. KeyboardInterrupt ends the fit early and returns
        the best point so far.

    Raises:
        DataError: Shapes, class indices, weights or options are out of range.

    Example:
        >>> import torch
        >>> rows = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
        >>> fit = fit_softmax_regression(rows, torch.tensor([0, 0, 1, 1]), classes=2)
        >>> fit.converged, fit.optimality_gap <= 1e-4
        (True, True)

    Source: Böhning (1992), section 2; Boyd and Vandenberghe (2004), section 5.1.
    """
    started = time.perf_counter()
    _check(features, targets, classes, C, sample_weight)
    problem = _problem(
        features, targets, classes=classes, C=C, fit_intercept=fit_intercept, sample_weight=sample_weight
    )
    weight = _start(problem, initial)
    precondition = BohningPreconditioner(problem)

    best_bound = -math.inf
    iteration, message, converged = 0, f"stopped after {max_iterations} iterations", False
    first_gradient = 0.0
    logits = problem.logits(weight)
    objective = problem.objective(weight, logits)
    try:
        for iteration in range(max_iterations + 1):
            probabilities = torch.softmax(logits, 0)
            pulled = problem.pulled_back(problem.residuals(probabilities))
            gradient = pulled + problem.penalty * weight
            if math.isfinite(C):
                best_bound = max(best_bound, dual_value(problem, probabilities, pulled))
            gap = _relative_gap(objective, best_bound)
            if on_iteration is not None:
                on_iteration(IterationRecord(iteration, objective, gap, time.perf_counter() - started))
            if gap <= tolerance:
                converged, message = True, f"the certified relative gap {gap:.1e} is within {tolerance:.1e}"
                break
            norm = float((gradient * precondition(gradient)).sum()) ** 0.5
            first_gradient = first_gradient or norm
            if not math.isfinite(C) and norm**2 <= tolerance * objective:
                message = f"no penalty: no certificate; the scaled gradient is {norm:.1e}"
                converged = True
                break
            if iteration == max_iterations:
                break
            direction, moved = newton_direction(
                problem,
                probabilities,
                gradient,
                precondition,
                forcing=min(0.3, (norm / first_gradient) ** 0.5) if norm else 0.3,
                small_enough=(tolerance * objective / (C * float(_total_weight(sample_weight, targets)))) ** 0.5,
            )
            length = step_length(problem, weight, logits, direction, moved)
            if length == 0.0:
                message = f"no further progress in this precision; the certified relative gap is {gap:.1e}"
                break
            weight = weight + length * direction
            logits = problem.logits(weight)
            objective = problem.objective(weight, logits)
    except KeyboardInterrupt:
        message = f"interrupted after {iteration} iterations"
    return _fit(problem, weight, best_bound, iterations=iteration, converged=converged, message=message)


def _total_weight(sample_weight: Tensor | None, targets: Tensor) -> float:
    """Sum of the sample weights."""
    return float(len(targets)) if sample_weight is None else float(sample_weight.double().sum())


def _problem(
    features: Tensor, targets: Tensor, *, classes: int, C: float, fit_intercept: bool, sample_weight: Tensor | None
) -> _Problem:
    rows = features.to(torch.float64)
    if fit_intercept:
        rows = torch.cat([rows, rows.new_ones(len(rows), 1)], 1)
    omega = torch.ones_like(targets, dtype=torch.float64) if sample_weight is None else sample_weight.double()
    total = float(omega.sum())
    penalty = torch.full((rows.shape[1],), 1 / (C * total), dtype=torch.float64, device=rows.device)
    if fit_intercept:
        penalty[-1] = 0
    return _Problem(rows, targets.long(), omega / total, penalty, classes, fit_intercept)


def _start(problem: _Problem, initial: tuple[Tensor, Tensor] | None) -> Float[Tensor, "K D1"]:
    """The caller's start, or zeros; both with columns that sum to zero over the classes."""
    weight = problem.features.new_zeros(problem.classes, problem.features.shape[1])
    if initial is not None:
        columns = initial[0].shape[1]
        weight[:, :columns] = initial[0].double()
        if problem.intercept:
            weight[:, columns] = initial[1].double()
    return weight - weight.mean(0)


def _fit(
    problem: _Problem, weight: Tensor, bound: float, *, iterations: int, converged: bool, message: str
) -> LinearFit:
    objective = problem.objective(weight, problem.logits(weight))
    if problem.intercept:
        weight, bias = weight[:, :-1], weight[:, -1]
    else:
        bias = weight.new_zeros(problem.classes)
    return LinearFit(
        weight.clone(), bias.clone(), objective, _relative_gap(objective, bound), iterations, converged, message
    )
