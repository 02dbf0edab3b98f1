"""An approximate inverse of the Hessian, so that conjugate gradients need a handful of products.

The Hessian's diagonal blocks, one a class, are B_k = sum_n h_kn x_n x_n' + lambda with h_kn = omega_n p_nk (1 - p_nk).
Near the optimum most rows are sure and hardly count, so each B_k is estimated from M rows drawn with probability
pi_n = min(1, h_kn / tau), each divided by its pi_n: the rows that matter are all there, the others stand for their
like, and the estimate is unbiased. One Cholesky factor a class follows. Where all classes are about
as sure as each other, as at W = 0, they share one block.

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
from polylogit.solver.objective import Objective
from polylogit.system.matrix_product import matrix_product_nt
from polylogit.system.processes import Processes

__all__ = ["CurvaturePreconditioner"]

_LEAST_ROWS = 1024
_ROWS_A_COLUMN = 3
_LEAST_BUDGET = 4_000_000
_MOST_PRODUCTS_A_FACTOR = 10
_MOST_SPARSE_COLUMNS_FACTORED = 512
_MANY_BLOCKS = 16
_MORE_ROWS_FOR_MANY = 4
_NUMBERS_A_CHUNK = 1 << 24


class CurvaturePreconditioner:
    """R -> B^-1 R by class, made to sum to zero over the classes.

    The same step added to every class changes no probability; without an intercept's penalty nothing but that sum
    would keep rounding from growing along it.

    Args:
        problem: F.
        probabilities: softmax of the logits at the point whose Hessian is wanted.
        generator: Draws the rows; a fixed seed makes a fit repeatable to the bit.
    """

    def __init__(self, problem: Objective, probabilities: Float[Tensor, "K N"], generator: torch.Generator) -> None:
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
        alike = problem.processes.all_true(bool((curvature.amax(0) <= 2 * curvature.amin(0)).all()))
        factor_in_products = columns**2 / (12 * total_rows)
        if alike or problem.classes * columns**2 > budget or factor_in_products > _MOST_PRODUCTS_A_FACTOR:
            curvature = curvature.mean(0, keepdim=True)
        if len(curvature) > _MANY_BLOCKS:
            curvature *= problem.omega.to(curvature.dtype)
            self._factors, self._scales = _blocks_of_many_classes(problem, curvature, generator)
            return
        curvature = problem.omega * curvature.double()
        scales = []
        for by_class in curvature:
            factor, scale = _factored_block(problem, by_class, probabilities.dtype, generator)
            self._factors.append(factor)
            scales.append(scale)
        self._scales = torch.stack(scales)

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
    problem: Objective, curvature: Float[Tensor, " N"], precision: torch.dtype, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Cholesky factor of S B S and the diagonal S that makes S B S's diagonal 1."""
    columns = problem.design.columns
    wanted = max(_LEAST_ROWS, int(_ROWS_A_COLUMN * columns))
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
    wanted = _MORE_ROWS_FOR_MANY * max(_LEAST_ROWS, int(_ROWS_A_COLUMN * columns))
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
