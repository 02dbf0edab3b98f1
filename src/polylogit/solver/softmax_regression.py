"""Exact softmax regression: the minimum of a convex function, with a bound on the distance of the result from it.

With rows x_n, targets y_n, weights w_n >= 0 and the inverse penalty C, the objective is scikit-learn's,

    C sum_n w_n (logsumexp_k z_nk - z_n,y_n) + ||W||^2 / 2,        z_n = W x_n + b,

divided here by C sum_n w_n, which makes it a mean: with omega_n = w_n / sum w and lambda = 1 / (C sum w),

    F(W, b) = sum_n omega_n loss_n + lambda / 2 ||W||^2,

plus, where it is asked for, an L1 norm of W.

This file checks the input, chooses the method, the precision and the start, and runs the iterations. Products are in
float32 where that suffices for the tolerance and the columns; sums that decide are in float64; and where float32 makes
no more progress before the tolerance is certified, the fit continues in float64. With very many rows, the fit starts
from the optimum of a sample of them. The same input gives the same bits.

Several processes can hold the rows: each passes its own, every sum over rows is all-reduced, and all return the same
result. See `polylogit.system.processes` for what that guarantees.

See also, in this package:

* `design_matrix`: products with the rows, dense or sparse;
* `objective`: F, its gradient, products with its Hessian;
* `newton`, `newton_direction`, `preconditioner`: Newton's method with conjugate gradients;
* `full_hessian`: Newton's method with a Cholesky factor, for small problems;
* `elastic_net`, `lasso_quadratic`: proximal Newton steps, where there is an L1 norm;
* `duality_gap`: the upper bound on F - min F;
* `row_span`: coordinates for fewer rows than columns;
* `linear_fit`: the result.

Source: Nocedal and Wright (2006), "Numerical Optimization", algorithm 7.1; the other modules name theirs.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor
from torch.distributed import ProcessGroup

from polylogit.fitting.history import IterationRecord
from polylogit.solver.design_matrix import DenseDesign, Design, SparseDesign
from polylogit.solver.elastic_net import ElasticNetNewton
from polylogit.solver.full_hessian import FullHessianNewton
from polylogit.solver.input_checks import check_input
from polylogit.solver.linear_fit import LinearFit, StopReason, explain_stop
from polylogit.solver.newton import NewtonCG
from polylogit.solver.objective import Objective
from polylogit.solver.row_span import RowSpan
from polylogit.system.processes import ONE_PROCESS, Processes

__all__ = ["IterationRecord", "LinearFit", "StopReason", "fit_softmax_regression"]

_FLOAT32_TOLERANCE = 1e-5
_SMALL = 2_000_000
_SAMPLED_ROWS = 200
_ROWS_TO_A_SAMPLED = 8
_SAMPLE_TOLERANCE = 1e-3
_MAX_SAMPLE_ITERATIONS = 50


def fit_softmax_regression(
    features: Num[Tensor, "N D"],
    targets: Int[Tensor, " rows"],
    *,
    classes: int,
    C: float = 1.0,
    l1: float = 0.0,
    fit_intercept: bool = True,
    sample_weight: Num[Tensor, " weights"] | None = None,
    tolerance: float = 1e-4,
    max_iterations: int = 200,
    initial: tuple[Float[Tensor, "start_K start_D"], Float[Tensor, " start_intercepts"]] | None = None,
    on_iteration: Callable[[IterationRecord], None] | None = None,
    seed: int = 0,
    rows: Int[Tensor, " index"] | None = None,
    process_group: ProcessGroup | None = None,
) -> LinearFit:
    """Weights and intercepts that minimise the penalised softmax cross-entropy, with a certificate.

    F(W, b) = sum_n (w_n / sum w) loss_n + ||W||^2 / (2 C sum w) + l1 ||W||_1 / sum w

    Args:
        features: Rows, any real dtype, dense or sparse CSR; read in place.
        targets: Class indices from 0 to `classes` - 1 of the rows fitted to; a class may be absent.
        classes: Number of classes, K >= 2. With an intercept, a class without any weight of rows has its best
            intercept at -inf: it gets weights of 0 and an intercept 30 below the lowest other.
        C: Inverse strength of the L2 penalty, scikit-learn's; inf is none.
        l1: Strength of the L1 penalty, 0 or more. With it weights of exactly 0 are found; without an L2 penalty beside
            it the optimal weights need not be unique.
        fit_intercept: Whether each class has a free, unpenalised intercept.
        sample_weight: Weight of each row fitted to, 0 or more; all ones when left out.
        tolerance: Largest certified relative gap at which to stop.
        max_iterations: Most Newton steps.
        initial: Weights and intercepts to start from; zeros when left out.
        on_iteration: Called at the start and after each step, as `TrainingCallback.iteration_done`.
        seed: Of the rows that the preconditioner is drawn from: it changes the path, not the optimum.
        rows: The numbers of the rows of `features` to fit to, in any order; all when left out. A large dense float32
            matrix is not copied for it: each product gathers its rows block by block.
        process_group: The processes of `torch.distributed` that fit together: each calls this function with rows of its
            own, which may be none, and with the same options. None: this process has all rows.

    Returns:
        The best point found and how far from the optimum it can be. KeyboardInterrupt ends the fit early and returns
        the best point so far; with several processes it ends the fit of all with an error.

    Raises:
        DataError: Shapes, values, class indices, weights or options are out of range, or differ between processes where
            they must not; on all processes.

    Example:
        >>> import torch
        >>> rows = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
        >>> fit = fit_softmax_regression(rows, torch.tensor([0, 0, 1, 1]), classes=2)
        >>> fit.converged, fit.optimality_gap <= 1e-4
        (True, True)

    Source: Nocedal and Wright (2006), algorithm 7.1; Boyd and Vandenberghe (2004), section 5.1.3.
    """
    started = time.perf_counter()
    processes = ONE_PROCESS if process_group is None else Processes(process_group)
    if rows is not None and (l1 or not DenseDesign.gathers(features, rows)):
        features, rows = features.index_select(0, rows), None
    check_input(
        processes,
        features,
        targets,
        rows=rows,
        sample_weight=sample_weight,
        initial=initial,
        options={
            "number of classes": classes,
            "C": C,
            "l1": l1,
            "tolerance": tolerance,
            "max_iterations": max_iterations,
            "fit_intercept": bool(fit_intercept),
        },
    )
    targets = targets.long()
    present = _present(processes, targets, sample_weight, classes)
    if fit_intercept and not bool(present.all()):
        return _fit_among_present(
            features,
            targets,
            present,
            C=C,
            l1=l1,
            sample_weight=sample_weight,
            tolerance=tolerance,
            max_iterations=max_iterations,
            initial=initial,
            on_iteration=on_iteration,
            seed=seed,
            rows=rows,
            process_group=process_group,
        )
    span = None
    if (
        processes.size == 1
        and not l1
        and features.layout == torch.strided
        and 2 * features.shape[0] <= features.shape[1]
    ):
        narrow = tolerance >= _FLOAT32_TOLERANCE and features.dtype != torch.float64
        span = RowSpan(features, precision=torch.float32 if narrow else torch.float64)
        features = span.square
    coarse, exact = _precisions(
        features, rows, processes, classes=classes, tolerance=tolerance, penalised=l1 > 0 or math.isfinite(C)
    )
    problem = _problem(
        features,
        rows,
        targets,
        classes=classes,
        C=C,
        fit_intercept=fit_intercept,
        weights=sample_weight,
        working=exact if l1 else coarse,
        processes=processes,
    )
    stopped_by: StopReason | None = None

    def report() -> None:
        if on_iteration is not None:
            seconds = time.perf_counter() - started
            on_iteration(IterationRecord(solver.iteration, solver.objective, solver.gap, seconds))

    # Of several processes none may go on alone: the others wait for its next sum.
    kept_back = (KeyboardInterrupt,) if processes.size == 1 else ()
    with _suitable_threads(features, classes):
        solver: NewtonCG | FullHessianNewton | ElasticNetNewton
        if l1:
            solver = ElasticNetNewton(problem, l1=l1 / _total(targets, sample_weight), exact=exact, tolerance=tolerance)
        elif FullHessianNewton.is_applicable(problem):
            solver = FullHessianNewton(problem, tolerance=tolerance)
        else:
            solver = NewtonCG(problem, coarse=coarse, exact=exact, tolerance=tolerance, seed=seed)
        start = _start(problem, initial, span, centred=not l1)
        try:
            if initial is None and isinstance(solver, NewtonCG):
                start = _from_some_rows(problem, solver, start, seed)
            solver.set_point(start)
            while stopped_by is None:
                solver.evaluate()
                report()
                stopped_by = solver.stop_reason()
                if stopped_by is None and solver.iteration >= max_iterations:
                    stopped_by = "iterations"
                if stopped_by is None:
                    solver.step()
        except kept_back:
            stopped_by = "interrupted"
            if not solver.has_point:
                solver.set_point(start)
        return _fit(solver, span, stopped_by)


@contextmanager
def _suitable_threads(features: Tensor, classes: int) -> Iterator[None]:
    """One thread while products are so small that starting the others would take longer than the product."""
    before = torch.get_num_threads()
    if _products_of(features, classes) > _SMALL or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _products_of(features: Tensor, classes: int) -> int:
    """Multiplications in one product of the rows with a row of weights a class."""
    values = features.values() if features.layout == torch.sparse_csr else features
    return values.numel() * classes


def _fit_among_present(
    features: Tensor,
    targets: Tensor,
    present: Tensor,
    *,
    sample_weight: Tensor | None,
    initial: tuple[Tensor, Tensor] | None,
    **options: Any,  # noqa: ANN401 - passed on
) -> LinearFit:
    """The fit among the classes that have rows, with the others' intercepts far below.

    Rows of weight 0 may name an absent class; they are given another class, as such a row has no effect.
    """
    places = (present.long().cumsum(0) - 1).clamp_min(0)
    fit = fit_softmax_regression(
        features,
        places[targets],
        classes=int(present.sum()),
        sample_weight=sample_weight,
        initial=None if initial is None else (initial[0][present], initial[1][present]),
        **options,
    )
    weight = fit.weight.new_zeros(len(present), fit.weight.shape[1])
    bias = fit.bias.new_full((len(present),), float(fit.bias.min()) - 30)
    weight[present], bias[present] = fit.weight, fit.bias
    return replace(fit, weight=weight, bias=bias - bias.mean())


def _total(targets: Tensor, weights: Tensor | None) -> float:
    """The sum of the rows' weights."""
    return float(len(targets)) if weights is None else float(weights.double().sum())


def _present(processes: Processes, targets: Tensor, weights: Tensor | None, classes: int) -> Tensor:
    """Whether each class has a row with a weight, on any process."""
    counts = torch.zeros(classes, dtype=torch.float64, device=targets.device)
    counts[targets if weights is None else targets[weights > 0]] = 1
    return processes.total(counts) > 0


def _precisions(
    features: Tensor,
    rows: Tensor | None,
    processes: Processes,
    *,
    classes: int,
    tolerance: float,
    penalised: bool,
) -> tuple[torch.dtype, torch.dtype]:
    """Precision of Hessian products, and of logits and gradients."""
    sparse = features.layout == torch.sparse_csr
    if processes.total_number(float(_products_of(features, classes))) <= _SMALL or not penalised:
        return torch.float64, torch.float64
    if not processes.all_true(sparse or DenseDesign.float32_suffices(features, rows)):
        return torch.float64, torch.float64
    exact = torch.float32 if tolerance >= _FLOAT32_TOLERANCE else torch.float64
    return (exact if sparse else torch.float32), exact


def _problem(
    features: Tensor,
    rows: Tensor | None,
    targets: Tensor,
    *,
    classes: int,
    C: float,
    fit_intercept: bool,
    weights: Tensor | None,
    working: torch.dtype,
    processes: Processes,
) -> Objective:
    """F as the solvers use it."""
    design: Design
    if features.layout == torch.sparse_csr:
        design = SparseDesign(features, intercept=fit_intercept, working=working, processes=processes)
    else:
        design = DenseDesign(features, intercept=fit_intercept, working=working, rows=rows, processes=processes)
    raw = torch.ones(design.rows, dtype=torch.float64, device=features.device) if weights is None else weights.double()
    largest = processes.largest(float(raw.max()) if len(raw) else 0.0)
    omega = raw / largest
    total = processes.total_number(float(omega.sum()))
    penalty = omega.new_full((design.columns,), 1 / C / total / largest)
    if fit_intercept:
        penalty[-1] = 0
    return Objective(design, targets, omega / total, penalty, classes)


def _start(
    problem: Objective, initial: tuple[Tensor, Tensor] | None, span: RowSpan | None, *, centred: bool
) -> Float[Tensor, "K D1"]:
    """The given start or zeros, where wanted with columns that sum to zero over the classes."""
    design = problem.design
    if initial is None:
        return torch.zeros(problem.classes, design.columns, dtype=torch.float64, device=design.device)
    slopes = initial[0].double() if span is None else span.coordinates(initial[0].double())
    weight = torch.cat([slopes, initial[1].double()[:, None]], 1) if design.intercept else slopes
    return design.to_centred(weight - weight.mean(0) if centred else weight)


def _from_some_rows(problem: Objective, solver: NewtonCG, start: Tensor, seed: int) -> Tensor:
    """The optimum of some rows drawn at random where there are very many, else the start as it is.

    With M rows the excess over the optimum of all is about (K - 1) D / 2M nats, so that 200 rows a parameter leave a
    quarter of 1%, from where Newton's method needs two or three steps.

    Where the sample is also small beside the rows of each of several processes, all of them get the whole of it, and
    its optimum takes no further sums over processes.
    """
    design = problem.design
    wanted = _SAMPLED_ROWS * problem.classes * design.columns
    processes = problem.processes
    few = design.total_rows < _ROWS_TO_A_SAMPLED * wanted
    if few or problem.ridge == 0 or not isinstance(design, DenseDesign):
        return start
    generator = torch.Generator().manual_seed(seed + processes.rank)
    own = round(wanted * design.rows / design.total_rows)
    index = torch.randint(max(1, design.rows), (own,), generator=generator).sort().values
    index = index.to(design.device)
    targets, omega = problem.targets[index], problem.omega[index]
    sampled_shares = torch.zeros_like(solver.shares).index_add_(0, targets, omega)
    if not bool((processes.total(sampled_shares) > 0).all()):
        return start
    everywhere = design.total_rows >= _ROWS_TO_A_SAMPLED * wanted * processes.size
    if everywhere:
        targets, omega = processes.concatenated(targets), processes.concatenated(omega)
    rows = design.with_rows(index, solver.coarse, everywhere=everywhere)
    omega = omega / rows.processes.total(omega.sum())
    some = NewtonCG(
        replace(problem, design=rows, targets=targets, omega=omega),
        coarse=solver.coarse,
        exact=solver.exact,
        tolerance=max(solver.tolerance, _SAMPLE_TOLERANCE),
        seed=seed,
    )
    some.set_point(torch.zeros_like(start))
    some.evaluate()
    while some.stop_reason() is None and some.iteration < _MAX_SAMPLE_ITERATIONS:
        some.step()
        some.evaluate()
    solver.continue_from(some)
    return design.to_centred(rows.from_centred(some.weight))


def _fit(
    solver: NewtonCG | FullHessianNewton | ElasticNetNewton, span: RowSpan | None, stopped_by: StopReason
) -> LinearFit:
    """The result in the caller's columns."""
    design = solver.problem.design
    weight = design.from_centred(solver.weight)
    if design.intercept:
        slopes, bias = weight[:, :-1], weight[:, -1]
    else:
        slopes, bias = weight, weight.new_zeros(len(weight))
    if span is not None:
        slopes = span.slopes(slopes)
    stop_reason, message = explain_stop(solver, stopped_by)
    return LinearFit(
        weight=slopes.contiguous(),
        bias=bias.contiguous(),
        objective=solver.objective,
        optimality_gap=solver.gap,
        iterations=solver.iteration,
        stop_reason=stop_reason,
        message=message,
        interrupted=stopped_by == "interrupted",
    )
