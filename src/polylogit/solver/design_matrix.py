"""The rows of a linear softmax model as two products: Z = W X' and R X, however the rows are stored.

`DenseDesign` reads any numeric dtype in place: a float32 matrix is used as it is; every other dtype is converted
block by block into the precision that a product asks for, except that float64 rows get one float32 copy when the
solver works in float32 (half the data's size). `SparseDesign` keeps a CSR matrix and its transpose.

With an intercept, dense columns are centred without touching them: (x - mu) W' = x W' - mu W', which is exact algebra
for a free intercept and keeps Hessians well conditioned. Weights here have the intercept as their last column.

Where several processes hold rows, the sums over rows, and the centre, are those of all of them; logits and rows are of
this process's.

See also: `objective.py`, which adds classes, losses and the penalty.
"""

from collections.abc import Callable, Iterator
from copy import copy

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from polylogit.errors import DataError
from polylogit.system.csr_tensor import csr_tensor, csr_values_as, transposed_csr, without_csr_warnings
from polylogit.system.matrix_product import matrix_product_nt
from polylogit.system.processes import ONE_PROCESS, Processes

__all__ = ["DenseDesign", "Design", "SparseDesign", "check_finite", "check_magnitude"]

_ROWS_A_BLOCK = 4096
_NUMBERS_A_BLOCK = 1 << 22
_LEAST_ROWS_A_BLOCK, _NUMBERS_OF_CLASSES_A_BLOCK = 1024, 1 << 18
_ROWS_LOOKED_AT = 2048
_FEW_COLUMNS = 128
_NUMBERS_TO_GATHER = 1 << 24


class DenseDesign:
    """Rows in a dense matrix, centred implicitly where there is an intercept.

    Args:
        features: Rows of any real dtype; never changed.
        intercept: Whether a column of ones stands after the last one.
        working: The precision in which most products will be asked for.
        rows: The numbers of the rows that count, where these are not all: gathered block by block, not copied.
        processes: Those that share the rows.

    Raises:
        DataError: A value is NaN or infinite.
    """

    def __init__(
        self,
        features: Num[Tensor, "M D"],
        *,
        intercept: bool,
        working: torch.dtype,
        rows: Int[Tensor, " N"] | None = None,
        processes: Processes = ONE_PROCESS,
    ) -> None:
        self.processes = processes
        self.rows, self.intercept, self.device = len(features if rows is None else rows), intercept, features.device
        self.total_rows = int(processes.total_number(float(self.rows)))
        self._index = rows
        self.columns = features.shape[1] + intercept
        self._features = features
        self._coarse = features
        if features.dtype == torch.float64 and working == torch.float32:
            self._coarse = features.to(torch.float32)
        self._centre = torch.zeros(features.shape[1], dtype=torch.float64, device=self.device)
        mean = self._centre.clone()
        for _, some in self._blocks(working):
            ones = some.new_full((1, len(some)), 1 / self.total_rows)
            mean += matrix_product_nt(ones, some.T)[0]
        finite = bool(torch.isfinite(mean).all())
        if not processes.all_true(finite):
            processes.together(
                lambda: None if finite else check_finite(features if rows is None else features.index_select(0, rows))
            )
        mean = processes.total(mean)
        if intercept:
            self._centre = mean

    def with_columns(self, index: Int[Tensor, " A"]) -> "DenseDesign":
        """The rows with some of their columns, centred as before."""
        narrow = copy(self)
        narrow.columns = len(index) + self.intercept
        narrow._features = self._features[:, index]
        narrow._coarse = narrow._features if self._coarse is self._features else self._coarse[:, index]
        narrow._centre = self._centre[index]
        return narrow

    def with_rows(self, index: Int[Tensor, " A"], working: torch.dtype, *, everywhere: bool = False) -> "DenseDesign":
        """A copy of some of the rows, centred by their own mean; of the rows of all processes where `everywhere`."""
        rows = self._features[index if self._index is None else self._index[index]]
        processes = self.processes
        if everywhere:
            rows, processes = processes.concatenated(rows), ONE_PROCESS
        return DenseDesign(rows, intercept=self.intercept, working=working, processes=processes)

    @staticmethod
    def gathers(features: Num[Tensor, "N D"], rows: Int[Tensor, " M"]) -> bool:
        """Whether rows are worth gathering again for each product, which is slower, to save a copy of them."""
        fits = features.ndim == 2 and features.dtype == torch.float32 and features.layout == torch.strided
        return fits and len(rows) > features.shape[1] and len(rows) * features.shape[1] >= _NUMBERS_TO_GATHER

    @staticmethod
    def float32_suffices(features: Num[Tensor, "N D"], rows: Int[Tensor, " M"] | None = None) -> bool:
        """Whether no column's offset or scale would drown its spread in float32's rounding, checked on some rows."""
        if features.dtype in {torch.uint8, torch.bool, torch.int8, torch.float16, torch.bfloat16}:
            return True
        count = len(features if rows is None else rows)
        if not count:
            return True
        step = max(1, count // _ROWS_LOOKED_AT)
        sample = (features[::step] if rows is None else features[rows[::step]]).double()
        spread = sample.std(0, correction=0)
        largest = sample.abs().amax(0)
        varied = spread > 0
        within = (largest[varied] < 1e4 * spread[varied]) & (largest[varied] < 1e12) & (spread[varied] > 1e-12)
        return bool(within.all()) and bool((largest < 1e12).all())

    def _blocks(self, precision: torch.dtype, classes: int = 1) -> Iterator[tuple[slice, Tensor]]:
        """The matrix in a precision, by blocks of rows that a cache can hold from one product to the next.

        Many short rows a block, for a product of few numbers is mostly its call; but not so many that arrays with a
        number a row and class leave the cache.
        """
        stored = self._coarse if self._coarse.dtype == precision else self._features
        rows = max(_ROWS_A_BLOCK, _NUMBERS_A_BLOCK // self.columns)
        rows = max(_LEAST_ROWS_A_BLOCK, min(rows, _NUMBERS_OF_CLASSES_A_BLOCK // classes))
        for start in range(0, self.rows, rows):
            block = slice(start, min(start + rows, self.rows))
            some = stored[block] if self._index is None else stored.index_select(0, self._index[block])
            yield block, some.to(precision)

    def logits(self, weight: Float[Tensor, "K D1"], precision: torch.dtype) -> Float[Tensor, "K N"]:
        """Z = W (X - mu)' + b."""
        logits = torch.empty(len(weight), self.rows, dtype=precision, device=self.device)
        narrow, shift = self._narrowed(weight, precision)
        for block, features in self._blocks(precision, len(weight)):
            _logits_of(features, narrow, shift, out=logits[:, block])
        return logits

    def _narrowed(self, weight: Float[Tensor, "K D1"], precision: torch.dtype) -> tuple[Tensor, Tensor]:
        """Slopes, and the intercepts less what centring takes off."""
        slopes = weight[:, : self.columns - self.intercept]
        shift = weight.new_zeros(len(weight))
        if self.intercept:
            shift = weight[:, -1].double() - slopes.double() @ self._centre
        return slopes.to(precision).contiguous(), shift.to(precision)[:, None]

    def adjoint_product(self, rows: Float[Tensor, "K N"]) -> Float[Tensor, "K D1"]:
        """R (X - mu), and R 1."""
        return self.adjoint_product_by_blocks(lambda block: rows[:, block], len(rows), rows.dtype).to(rows.dtype)

    def adjoint_product_by_blocks(
        self, rows_of: Callable[[slice], Float[Tensor, "K B"]], classes: int, precision: torch.dtype
    ) -> Float[Tensor, "K D1"]:
        """R (X - mu), and R 1, in float64, for an R that is made block by block in a precision."""
        return self._summed(
            ((rows_of(block), features) for block, features in self._blocks(precision, classes)), classes
        )

    def _summed(self, blocks: Iterator[tuple[Tensor, Tensor]], classes: int) -> Float[Tensor, "K D1"]:
        """R (X - mu), and R 1, from pairs of blocks of R and X; the sum over blocks is float64."""
        products = torch.zeros(classes, self.columns, dtype=torch.float64, device=self.device)
        slopes = products[:, : self.columns - self.intercept]
        for rows, features in blocks:
            slopes += matrix_product_nt(rows, features.T)
            if self.intercept:
                products[:, -1] += rows.sum(1)
        products = self.processes.total(products)
        if self.intercept:
            products[:, :-1] -= products[:, -1:] * self._centre
        return products

    def gram_product(
        self,
        weight: Float[Tensor, "K D1"],
        precision: torch.dtype,
        change: Callable[[slice, Float[Tensor, "K B"]], Float[Tensor, "K B"]],
    ) -> tuple[Float[Tensor, "K D1"], Float[Tensor, "K N"]]:
        """R (X - mu) and R 1 for R = change(Z), and Z = W (X - mu)' + b, reading each block of rows once from afar."""
        logits = torch.empty(len(weight), self.rows, dtype=precision, device=self.device)
        narrow, shift = self._narrowed(weight, precision)

        def changed() -> Iterator[tuple[Tensor, Tensor]]:
            for block, features in self._blocks(precision, len(weight)):
                some = _logits_of(features, narrow, shift, out=logits[:, block])
                yield change(block, some), features

        return self._summed(changed(), len(weight)), logits

    def squared_adjoint_product(self, rows: Float[Tensor, "K N"]) -> Float[Tensor, "K D1"]:
        """R (X - mu)^2, and R 1."""
        total = rows.new_zeros(len(rows), self.columns)
        for start in range(0, self.rows, _ROWS_A_BLOCK):
            index = torch.arange(start, min(start + _ROWS_A_BLOCK, self.rows), device=self.device)
            total += rows[:, index] @ self.dense_rows(index, rows.dtype).square()
        return self.processes.total(total)

    def dense_rows(self, index: Int[Tensor, " M"], precision: torch.dtype) -> Float[Tensor, "M D1"]:
        """Some rows, centred, with the intercept's ones."""
        rows = self._features[index if self._index is None else self._index[index]].to(precision)
        if not self.intercept:
            return rows
        gathered = rows.new_ones(len(index), self.columns)
        torch.sub(rows, self._centre.to(precision), out=gathered[:, :-1])
        return gathered

    def from_centred(self, weight: Float[Tensor, "K D1"]) -> Float[Tensor, "K D1"]:
        """W and b - W mu."""
        if not self.intercept:
            return weight
        return torch.cat([weight[:, :-1], (weight[:, -1] - weight[:, :-1] @ self._centre)[:, None]], 1)

    def to_centred(self, weight: Float[Tensor, "K D1"]) -> Float[Tensor, "K D1"]:
        """W and b + W mu."""
        if not self.intercept:
            return weight
        return torch.cat([weight[:, :-1], (weight[:, -1] + weight[:, :-1] @ self._centre)[:, None]], 1)


def _logits_of(
    features: Float[Tensor, "B D"], weight: Float[Tensor, "K D"], shift: Float[Tensor, "K 1"], *, out: Tensor
) -> Float[Tensor, "K B"]:
    """W X' + b; with few columns by a product whose result needs no transposition, which would take longer."""
    if features.shape[1] <= _FEW_COLUMNS:
        return torch.addmm(shift, weight, features.T, out=out)
    return torch.add(matrix_product_nt(features, weight).T, shift, out=out)


class SparseDesign:
    """Rows in a CSR matrix, kept with its transpose so that both products run along stored rows.

    Args:
        features: A two-dimensional sparse CSR tensor.
        intercept: Whether a column of ones stands after the last one.
        working: The precision of the stored values and so of every product.
        processes: Those that share the rows.

    Raises:
        DataError: A value is NaN or infinite.
    """

    def __init__(
        self, features: Tensor, *, intercept: bool, working: torch.dtype, processes: Processes = ONE_PROCESS
    ) -> None:
        self.processes = processes
        self.total_rows = int(processes.total_number(float(features.shape[0])))
        self.rows, self.intercept, self.device = features.shape[0], intercept, features.device
        self.columns = features.shape[1] + intercept
        self._features = processes.together(lambda: csr_values_as(features, working))
        processes.together(self._check_finite)
        self._transposed = processes.together(lambda: transposed_csr(self._features))

    def _check_finite(self) -> None:
        blocks = torch.split(self._features.values(), _NUMBERS_A_BLOCK)
        if not all(bool(torch.isfinite(some).all()) for some in blocks):
            raise DataError("features: expected finite numbers, got NaN or infinity among the stored values.")

    def with_columns(self, index: Int[Tensor, " A"]) -> "SparseDesign":
        """The rows with some of their columns."""
        narrow = copy(self)
        narrow.columns = len(index) + self.intercept
        starts = self._transposed.crow_indices()
        counts = (starts[1:] - starts[:-1])[index]
        ends = torch.cat([starts.new_zeros(1), counts.cumsum(0)])
        places = torch.arange(int(ends[-1]), device=self.device)
        places += (starts[:-1][index] - ends[:-1]).repeat_interleave(counts)
        narrow._transposed = csr_tensor(
            ends, self._transposed.col_indices()[places], self._transposed.values()[places], (len(index), self.rows)
        )
        with without_csr_warnings():
            by_row = narrow._transposed.to_sparse_csc()
        narrow._features = csr_tensor(
            by_row.ccol_indices(), by_row.row_indices(), by_row.values(), (self.rows, len(index))
        )
        return narrow

    def logits(self, weight: Float[Tensor, "K D1"], precision: torch.dtype) -> Float[Tensor, "K N"]:
        """Z = W X' + b."""
        narrow = weight.to(self._features.dtype)
        logits = (self._features @ narrow[:, : self.columns - self.intercept].T.contiguous()).T
        if self.intercept:
            logits = logits + narrow[:, -1:]
        return logits.to(precision)

    def adjoint_product(self, rows: Float[Tensor, "K N"]) -> Float[Tensor, "K D1"]:
        """R X, and R 1."""
        return self._with_intercept(self._transposed @ rows.T.to(self._transposed.dtype).contiguous(), rows)

    def adjoint_product_by_blocks(
        self, rows_of: Callable[[slice], Float[Tensor, "K B"]], classes: int, precision: torch.dtype
    ) -> Float[Tensor, "K D1"]:
        """R X, and R 1, in float64: here all rows are one block."""
        return self.adjoint_product(rows_of(slice(0, self.rows)).to(precision)).double()

    def gram_product(
        self,
        weight: Float[Tensor, "K D1"],
        precision: torch.dtype,
        change: Callable[[slice, Float[Tensor, "K B"]], Float[Tensor, "K B"]],
    ) -> tuple[Float[Tensor, "K D1"], Float[Tensor, "K N"]]:
        """R X and R 1 for R = change(Z), and Z = W X' + b."""
        logits = self.logits(weight, precision)
        return self.adjoint_product(change(slice(0, self.rows), logits)).double(), logits

    def squared_adjoint_product(self, rows: Float[Tensor, "K N"]) -> Float[Tensor, "K D1"]:
        """R (X o X), and R 1."""
        stored, right = self._transposed, rows.T.to(self._transposed.dtype).contiguous()
        at_once = max(1, _NUMBERS_A_BLOCK * stored.shape[0] // max(len(stored.values()), 1))
        products = []
        for first in range(0, max(stored.shape[0], 1), at_once):
            starts = stored.crow_indices()[first : first + at_once + 1]
            some = slice(int(starts[0]), int(starts[-1]))
            shape = (len(starts) - 1, self.rows)
            squares = csr_tensor(starts - starts[0], stored.col_indices()[some], stored.values()[some].square(), shape)
            products.append(squares @ right)
        return self._with_intercept(torch.cat(products), rows)

    def _with_intercept(self, products: Float[Tensor, "D K"], rows: Float[Tensor, "K N"]) -> Float[Tensor, "K D1"]:
        products = products.T.to(rows.dtype)
        if self.intercept:
            products = torch.cat([products, rows.sum(1, keepdim=True)], 1)
        if self.processes.size > 1:
            return self.processes.total(products.double()).to(rows.dtype)
        return products.contiguous()

    def dense_rows(self, index: Int[Tensor, " M"], precision: torch.dtype) -> Float[Tensor, "M D1"]:
        """Some rows as a dense matrix, with the intercept's ones."""
        starts = self._features.crow_indices()
        counts = (starts[1:] - starts[:-1])[index]
        ends = counts.cumsum(0)
        places = torch.arange(int(ends[-1]) if len(ends) else 0, device=self.device)
        places += (starts[:-1][index] - (ends - counts)).repeat_interleave(counts)
        gathered = torch.zeros(len(index), self.columns, dtype=precision, device=self.device)
        line = torch.arange(len(index), device=self.device).repeat_interleave(counts)
        gathered[line, self._features.col_indices()[places]] = self._features.values()[places].to(precision)
        if self.intercept:
            gathered[:, -1] = 1
        return gathered

    def from_centred(self, weight: Float[Tensor, "K D1"]) -> Float[Tensor, "K D1"]:
        """The same weights: sparse columns are not centred."""
        return weight

    def to_centred(self, weight: Float[Tensor, "K D1"]) -> Float[Tensor, "K D1"]:
        """The same weights."""
        return weight


Design = DenseDesign | SparseDesign
"""What the solver asks of the rows: two products, either way of storing them."""


LARGEST_MAGNITUDE = 1e100
"""Sums of products of three such values are finite in float64."""


def check_magnitude(features: Num[Tensor, "N D"]) -> None:
    """Check that no finite value is so large that the solver's sums of squares would overflow.

    Args:
        features: Rows, dense or CSR. NaN and infinity are left to `check_finite`.

    Raises:
        DataError: A value exceeds 1e100 in magnitude; the message names its row and column.

    Example:
        >>> check_magnitude(torch.tensor([[1.0, 2e200]], dtype=torch.float64))
        Traceback (most recent call last):
            ...
        polylogit.errors.DataError: features, row 0, column 1: expected numbers up to 1e+100 in magnitude, got 2e+200 \
(1 such values in all). Correct the value, or scale the column down.
    """
    if features.dtype != torch.float64:
        return
    sparse = features.layout == torch.sparse_csr
    values = features.values() if sparse else features
    if not values.numel() or max(-float(values.min()), float(values.max())) <= LARGEST_MAGNITUDE:
        return
    huge = (values.abs() > LARGEST_MAGNITUDE) & torch.isfinite(values)
    places = torch.nonzero(huge)
    if not len(places):
        return
    place = places[0]
    value = float(values[tuple(place)])
    if sparse:
        column = int(features.col_indices()[place])
        row = int(torch.searchsorted(features.crow_indices(), place, right=True)) - 1
    else:
        row, column = (int(index) for index in place)
    raise DataError(
        f"features, row {row}, column {column}: expected numbers up to {LARGEST_MAGNITUDE:g} in magnitude, got "
        f"{value:g} ({len(places)} such values in all). Correct the value, or scale the column down."
    )


def check_finite(features: Tensor) -> None:
    """Name the first NaN or infinity."""
    places = torch.nonzero(~torch.isfinite(features))
    if len(places):
        row, column = (int(place) for place in places[0])
        raise DataError(
            f"features, row {row}, column {column}: expected a finite number, got {features[row, column].item()} "
            f"({len(places)} such values in all). Fill in or drop them first."
        )
    raise DataError("features: the values are too large for their sum to be a number. Scale the columns down first.")
