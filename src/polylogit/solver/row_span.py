"""Coordinates in the span of the rows, for fewer rows than columns: a square matrix replaces the rows.

With X = L Q and orthonormal rows Q, coefficients W = V Q have the logits V L' and the norm of V, so that V can be
fitted to L, which is N x N. Parts of W outside the span of Q would only cost penalty. L is the Cholesky factor of X X',
and Q = L^-1 X is never formed: W = (V L^-1) X, and V = (W X') L'^-1. Rows so nearly
dependent that X X' has lost them to rounding get a QR factorisation instead.

Source: Hastie and Tibshirani (2004), "Efficient quadratic regularization for expression arrays", Biostatistics 5,
section 3; Golub and Van Loan (2013), "Matrix Computations", sections 4.2 and 5.2.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Num
from torch import Tensor

from polylogit.solver.design_matrix import check_finite
from polylogit.system.matrix_product import matrix_product_nt

__all__ = ["RowSpan"]

_INDEPENDENT = {torch.float32: 1e-3, torch.float64: 1e-6}
"""Least pivot of X X' beside its largest at which a precision's rounding of X X' leaves the logits' tolerance alone."""

_COLUMNS_A_BLOCK = 1024


class RowSpan:
    """Rows in coordinates of their own span.

    Args:
        features: Rows of any real dtype, fewer than columns; not changed.
        precision: In which X X' is summed up, where the rows are far enough from dependent; else in float64.

    Raises:
        DataError: A value is NaN or infinite.
    """

    square: Float[Tensor, "N N"]
    """L: the rows in coordinates of their span."""

    def __init__(self, features: Num[Tensor, "N D"], *, precision: torch.dtype) -> None:
        self._features, self._precision = features, precision
        self._basis: Tensor | None = None
        for dtype in dict.fromkeys((precision, torch.float64)):
            self._precision = dtype
            squares = self._products_of_rows()
            if not bool(torch.isfinite(squares.diagonal()).all()):
                if dtype == torch.float64:
                    check_finite(features)
                continue
            self.square, failed = torch.linalg.cholesky_ex(squares)
            pivots = self.square.diagonal().square()
            if not int(failed) and float(pivots.min()) > _INDEPENDENT[dtype] * float(pivots.max()):
                return
        basis, triangle = torch.linalg.qr(features.double().T)
        self.square, self._basis = triangle.T.contiguous(), basis.T

    def coordinates(self, slopes: Float[Tensor, "K D"]) -> Float[Tensor, "K N"]:
        """W Q': what the rows' span holds of some slopes."""
        if self._basis is not None:
            return slopes @ self._basis.T
        solved: Tensor = torch.linalg.solve_triangular(self.square, self._times_transpose(slopes).T, upper=False)
        return solved.T

    def slopes(self, coordinates: Float[Tensor, "K N"]) -> Float[Tensor, "K D"]:
        """V Q."""
        if self._basis is not None:
            return coordinates @ self._basis
        shares = torch.linalg.solve_triangular(self.square, coordinates, upper=False, left=False).to(self._precision)
        parts = [matrix_product_nt(shares, some.T) for some in self._blocks(self._features)]
        return torch.cat(parts, 1).double()

    def _times_transpose(self, rows: Num[Tensor, "K D"]) -> Float[Tensor, "K N"]:
        """R X', in float64."""
        total = torch.zeros(len(rows), len(self._features), dtype=torch.float64, device=rows.device)
        for some, features in zip(self._blocks(rows), self._blocks(self._features), strict=True):
            total += matrix_product_nt(some, features)
        return total

    def _products_of_rows(self) -> Float[Tensor, "N N"]:
        """X X', in float64; of its two equal off-diagonal quarters one is computed."""
        count, half = len(self._features), len(self._features) // 2
        total = torch.zeros(count, count, dtype=torch.float64, device=self._features.device)
        for some in self._blocks(self._features):
            total[:half, :half] += matrix_product_nt(some[:half], some[:half])
            total[half:] += matrix_product_nt(some[half:], some)
        total[:half, half:] = total[half:, :half].T
        return total

    def _blocks(self, rows: Num[Tensor, "K D"]) -> Iterator[Tensor]:
        """Some columns at a time, in the precision of products: no copy of all of them is ever made."""
        for start in range(0, rows.shape[1], _COLUMNS_A_BLOCK):
            some = rows[:, start : start + _COLUMNS_A_BLOCK]
            yield some.to(self._precision).contiguous()  # else BLAS, which takes twice as long
