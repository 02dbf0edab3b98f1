"""A small softmax problem, its descent by conjugate gradients, and the same function written plainly."""

from collections.abc import Callable

import pytest
import torch
from scipy.sparse import csr_array
from torch import Tensor

from polylogit.solver.design_matrix import DenseDesign, SparseDesign
from polylogit.solver.newton import NewtonCG
from polylogit.solver.objective import Objective
from polylogit.system.csr_tensor import csr_tensor


def _rows(rows: int = 400, columns: int = 6, *, seed: int = 0) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _csr(rows: Tensor) -> Tensor:
    stored = csr_array(rows.numpy())
    parts = (torch.from_numpy(part) for part in (stored.indptr, stored.indices, stored.data))
    return csr_tensor(*parts, shape=tuple(rows.shape))


def _made(rows=400, columns=6, classes=3, C=10.0, *, X=None, intercept=True, csr=False, weights=None):
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    X = drawn if X is None else X
    rows, columns = X.shape
    logits = X @ torch.randn(columns, classes, generator=generator, dtype=torch.float64)
    targets = (logits + torch.randn(logits.shape, generator=generator)).argmax(1)
    weights = torch.ones(rows, dtype=torch.float64) if weights is None else weights
    penalty = torch.full((columns + intercept,), 1 / (C * float(weights.sum())), dtype=torch.float64)
    if intercept:
        penalty[-1] = 0
    if csr:
        design = SparseDesign(_csr(X), intercept=intercept, working=torch.float64)
    else:
        design = DenseDesign(X, intercept=intercept, working=torch.float64)
    return Objective(design, targets, weights / weights.sum(), penalty, classes)


def _plain(problem: Objective, X: Tensor) -> Callable[[Tensor], Tensor]:
    """F by torch's cross-entropy on a whole float64 matrix, as a function that autograd can differentiate.

    A dense design with an intercept counts its columns from their means; its weights are then those of X - mean.
    """
    centred = X - X.mean(0) if problem.design.intercept and isinstance(problem.design, DenseDesign) else X
    columns = torch.cat([centred, X.new_ones(len(X), 1)], 1) if problem.design.intercept else centred

    def objective(weight: Tensor) -> Tensor:
        losses = torch.nn.functional.cross_entropy(columns @ weight.T, problem.targets, reduction="none")
        slopes = weight[:, : X.shape[1]]
        return problem.omega @ losses + problem.ridge / 2 * slopes.square().sum()

    return objective


def _minimised(problem, tolerance=1e-9):
    solver = NewtonCG(problem, coarse=torch.float64, exact=torch.float64, tolerance=tolerance, seed=0)
    solver.set_point(torch.zeros(problem.classes, problem.design.columns, dtype=torch.float64))
    objectives = []
    solver.evaluate()
    while solver.stop_reason() is None:
        objectives.append(solver.objective)
        solver.step()
        solver.evaluate()
    return solver, objectives


@pytest.fixture
def made_rows():
    return _rows


@pytest.fixture
def made_csr():
    return _csr


@pytest.fixture
def made_problem():
    return _made


@pytest.fixture
def plain_objective():
    return _plain


@pytest.fixture
def minimised():
    return _minimised
