"""An approximate inverse of the Hessian, so that conjugate gradients need a handful of products.

The Hessian's diagonal blocks, one a class, are B_k = sum_n h_kn x_n x_n' + lambda with h_kn = omega_n p_nk (1 - p_nk).
Near the optimum most rows are sure and hardly count, so each B_k is estimated from M rows drawn with probability
pi_n = min(1, h_kn / tau), each divided by its pi_n: the rows that matter are all there, the others stand for their
like, and the estimate is unbiased. One Cholesky factor a class follows. Where all classes are about
as sure as each other, they share one block. Where all rows are alike, as at W = 0, H is but for a small lambda the
Kronecker product of diag(p) - p p' and sum_n omega_n x_n x_n', whose inverse is, but for a step that all classes share,
one block divided by each p_k.

Where K blocks of D x D are too much, or their factors take longer than the products that they save, one block of the
classes' mean curvature serves all; where even that is too much (sparse rows with very many columns), the exact
diagonals do.

A preconditioner changes how fast the optimum is reached, never the optimum itself.

Source: importance sampling of Hessians: Xu, Yang, Roosta-Khorasani, Ré, Mahoney (2016), "Sub-sampled Newton methods
with non-uniform sampling", NeurIPS 29, section 3; the block-diagonal part of H: Böhning (1992), section 2.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from polylogit.solver.backtracking_newton import cholesky_with_damping
from polylogit.solver.design_matrix import SparseDesign
from polylogit.solver.objective import Objective, Softmax
from polylogit.system.matrix_product import matrix_product_nt
from polylogit.system.processes import Processes

__all__ = ["CurvaturePreconditioner"]

_LEAST_ROWS = 1024
_ROWS_A_COLUMN = 4.5
_LEAST_BUDGET = 4_000_000
_MOST_PRODUCTS_A_FACTOR = 10
_MOST_SPARSE_COLUMNS_FACTORED = 512
_MANY_BLOCKS = 16
_MORE_ROWS_SHARED = 4
_NUMBERS_A_CHUNK = 1 << 24
_SMALL_PENALTY = 0.1


class CurvaturePreconditioner:
    """R -> B^-1 R by class, made to sum to zero over the classes.

    The same step added to every class changes no probability; without an intercept's penalty nothing but that sum
    would keep rounding from growing along it.

    Args:
        problem: F.
        softmax: At the point whose Hessian is wanted; the probabilities' dtype is the precision of the blocks.
        generator: Draws the rows; a fixed seed makes a fit repeatable to the bit.
    """

    def __init__(self, problem: Objective, softmax: Softmax, generator: torch.Generator) -> None:
        probabilities = softmax.probabilities
        columns = problem.design.columns
        total_rows = problem.design.total_rows
        budget = max(_LEAST_BUDGET, total_rows * columns)
        # Sparse columns of thousands of categories hardly overlap, so the diagonal is close to the whole block, and a
        # dense factor of their block would cost far more than all products of the fit.
        mostly_apart = isinstance(problem.design, SparseDesign) and columns > _MOST_SPARSE_COLUMNS_FACTORED
        sparse_columns = mostly_apart or (columns > total_rows + 1 and columns > _LEAST_ROWS)
        self._factors: list[Tensor] | Tensor = []
        self._scales: Tensor
        if sparse_columns or columns**2 > budget:
            self._scales = _diagonals(problem, probabilities).rsqrt()
            return
        curvature = probabilities * (1 - probabilities)
        alike = problem.processes.all_true(_alike(curvature, 0))
        factor_in_products = columns**2 / (12 * total_rows)
        class_scales: Tensor | float = 1.0
        if alike or problem.classes * columns**2 > budget or factor_in_products > _MOST_PRODUCTS_A_FACTOR:
            curvature = curvature.mean(0, keepdim=True)
        elif problem.processes.all_true(_alike(curvature, 1) and _is_penalty_small(problem, softmax)):
            mean = softmax.class_means.mean()
            class_scales = (mean / softmax.class_means).sqrt()[:, None]
            curvature = torch.full_like(curvature[:1], float(mean))
        if len(curvature) > _MANY_BLOCKS:
            curvature *= problem.omega.to(curvature.dtype)
            self._factors, self._scales = _blocks_of_many_classes(problem, curvature, generator)
            return
        curvature = problem.omega * curvature.double()
        scales, shared = [], len(curvature) == 1
        for by_class in curvature:
            factor, scale = _factored_block(problem, by_class, probabilities.dtype, generator, shared=shared)
            self._factors.append(factor)
            scales.append(scale)
        self._scales = torch.stack(scales) * class_scales

    def __call__(self, rows: Float[Tensor, "K D1"]) -> Float[Tensor, "K D1"]:
        """B_k^-1 applied to row k, less the mean over the rows."""
        scaled = (rows - rows.mean(0)) * self._scales
        if isinstance(self._factors, Tensor):
            solved = torch.cholesky_solve(scaled[:, :, None].to(self._factors.dtype), self._factors)[:, :, 0]
        elif len(self._factors) == 1:
            solved = torch.cholesky_solve(scaled.T.to(self._factors[0].dtype), self._factors[0]).T
        elif self._factors:
            solved = torch.stack(
                [
                    torch.cholesky_solve(row[:, None].to(factor.dtype), factor)[:, 0]
                    for row, factor in zip(scaled, self._factors, strict=True)
                ]
            )
        else:
            solved = scaled
        stepped = solved.double() * self._scales
        return stepped - stepped.mean(0)


def _alike(curvature: Float[Tensor, "K N"], axis: int) -> bool:
    """Whether numbers along an axis are within a factor of 2 of each other."""
    return not curvature.numel() or bool((curvature.amax(axis) <= 2 * curvature.amin(axis)).all())


def _is_penalty_small(problem: Objective, softmax: Softmax) -> bool:
    """Whether lambda is small beside the blocks' diagonals in most columns, judged by some of the rows."""
    rows = problem.design.rows
    some = torch.arange(0, rows, max(1, rows // _LEAST_ROWS), device=problem.design.device)
    squares = problem.design.dense_rows(some, softmax.probabilities.dtype).square().mean(0)
    return not rows or problem.ridge <= _SMALL_PENALTY * float(softmax.class_means.mean() * squares.median())


def _wanted_rows(columns: int, *, shared: bool) -> int:
    """How many rows to draw for a block, or for all classes where they share a sample."""
    return (_MORE_ROWS_SHARED if shared else 1) * max(_LEAST_ROWS, int(_ROWS_A_COLUMN * columns))


def _sampled(
    curvature: Float[Tensor, " N"], wanted: int, generator: torch.Generator, processes: Processes
) -> tuple[Tensor, Tensor]:
    """Rows drawn with probability min(1, h / tau), about `wanted` of all, and h divided by that probability."""
    many = wanted < processes.total_number(float(len(curvature)))
    counted = torch.nonzero(curvature)[:, 0] if many else torch.arange(len(curvature))
    counted = counted.to(curvature.device)
    if processes.total_number(float(len(counted))) <= wanted:
        return counted, curvature[counted]
    heights = curvature[counted]
    threshold = processes.total(heights.sum()) / wanted
    for _ in range(4):
        threshold = threshold * processes.total((heights / threshold).clamp(max=1).sum()) / wanted
    chance = (heights / threshold).clamp(max=1)
    kept = torch.rand(len(chance), generator=generator, dtype=torch.float64).to(chance.device) < chance
    return counted[kept], (heights / chance)[kept]


def _factored_block(
    problem: Objective,
    curvature: Float[Tensor, " N"],
    precision: torch.dtype,
    generator: torch.Generator,
    *,
    shared: bool,
) -> tuple[Tensor, Tensor]:
    """Cholesky factor of S B S and the diagonal S that makes S B S's diagonal 1."""
    columns = problem.design.columns
    wanted = _wanted_rows(columns, shared=shared)
    index, heights = _sampled(curvature, wanted, generator, problem.processes)
    rows = problem.design.dense_rows(index, precision)
    rows *= heights.sqrt().to(precision)[:, None]
    block = problem.processes.total(matrix_product_nt(rows.T, rows.T))
    diagonal = block.diagonal().double() + problem.penalty
    diagonal = diagonal.clamp_min(max(1e-12 * float(diagonal.max()), 1e-300))
    scale = diagonal.rsqrt()
    narrow = scale.to(block.dtype)
    block = block * narrow[:, None] * narrow
    block.diagonal().add_((problem.penalty * scale.square()).to(block.dtype))
    block.diagonal().add_(max(1e-10, columns * torch.finfo(block.dtype).eps))
    factor = cholesky_with_damping(block)
    return torch.eye(columns, dtype=block.dtype, device=block.device) if factor is None else factor, scale


def _blocks_of_many_classes(
    problem: Objective, curvature: Float[Tensor, "K N"], generator: torch.Generator
) -> tuple[Float[Tensor, "K D1 D1"], Float[Tensor, "K D1"]]:
    """As `_factored_block` for all classes at once, from one sample of rows drawn by their largest curvature."""
    columns = problem.design.columns
    wanted = _wanted_rows(columns, shared=True)
    largest = curvature.amax(0).double()
    index, heights = _sampled(largest, wanted, generator, problem.processes)
    rows = problem.design.dense_rows(index, curvature.dtype)
    by_class = curvature[:, index] * (heights / largest[index].clamp_min(1e-300)).to(curvature.dtype)
    blocks = problem.processes.total(_weighted_gram_matrices(rows, by_class))
    diagonal = blocks.diagonal(dim1=1, dim2=2).double() + problem.penalty
    diagonal = diagonal.clamp_min((1e-12 * diagonal.amax(1, keepdim=True)).clamp_min(1e-300))
    scale = diagonal.rsqrt()
    narrow = scale.to(blocks.dtype)
    blocks *= narrow[:, :, None]
    blocks *= narrow[:, None, :]
    jitter = max(1e-10, columns * torch.finfo(blocks.dtype).eps)
    blocks.diagonal(dim1=1, dim2=2).add_((problem.penalty * scale.square()).to(blocks.dtype) + jitter)
    factors, failed = torch.linalg.cholesky_ex(blocks)
    for place in torch.nonzero(failed)[:, 0].tolist():
        factor = cholesky_with_damping(blocks[place])
        factors[place] = torch.eye(columns, dtype=blocks.dtype, device=blocks.device) if factor is None else factor
    return factors, scale


def _weighted_gram_matrices(rows: Float[Tensor, "M D1"], by_class: Float[Tensor, "K M"]) -> Float[Tensor, "K D1 D1"]:
    """X' diag(h_k) X for each class k: one product with all outer products of rows, where there are few columns."""
    count, columns = rows.shape
    if columns**2 * count <= _NUMBERS_A_CHUNK:
        outer = (rows[:, :, None] * rows[:, None, :]).view(count, -1)
        return matrix_product_nt(by_class, outer.T).view(-1, columns, columns)
    blocks = rows.new_empty(len(by_class), columns, columns)
    for block, heights in zip(blocks, by_class, strict=True):
        weighted = rows * heights[:, None]
        torch.mm(weighted.T, rows, out=block)
    return blocks


def _diagonals(problem: Objective, probabilities: Float[Tensor, "K N"]) -> Float[Tensor, "K D1"]:
    """The Hessian's diagonal, sum_n h_kn x_n^2 + lambda."""
    curvature = probabilities * (1 - probabilities) * problem.omega.to(probabilities.dtype)
    diagonals = problem.design.squared_adjoint_product(curvature).double() + problem.penalty
    return diagonals.clamp_min(max(1e-12 * float(diagonals.max()), 1e-300))
