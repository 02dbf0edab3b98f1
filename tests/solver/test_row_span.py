import math

import pytest
import torch

from polylogit.errors import DataError
from polylogit.solver.row_span import RowSpan


def _dependent(rows):
    """The last row is the sum of the first two: X X' has no Cholesky factor."""
    return torch.cat([rows[:-1], rows[:1] + rows[1:2]])


CASES = {
    "independent": lambda rows: rows,
    "nearly dependent": lambda rows: _dependent(rows) + 1e-5 * rows,
    "dependent": _dependent,
    "one row twice": lambda rows: torch.cat([rows[:-1], rows[:1]]),
    "far from zero": lambda rows: rows + 1e4,
}


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def precision(request):
    return request.param


@pytest.mark.parametrize("name", CASES)
def test_coefficients_in_the_span_have_the_same_logits_and_norm(made_rows, name, precision):
    X = CASES[name](made_rows(20, 1500))
    span = RowSpan(X, precision=precision)
    V = made_rows(3, 20, seed=1)
    W = span.slopes(V)
    within = {"rtol": 1e-5, "atol": 1e-5 * float(X.norm()) if precision == torch.float32 else 1e-9 * float(X.norm())}
    torch.testing.assert_close(W @ X.T, V @ span.square.T, **within)
    if name in {"independent", "far from zero"}:
        assert float(W.norm()) == pytest.approx(float(V.norm()), rel=1e-4)


def test_the_basis_is_orthonormal_also_where_rows_depend_on_one_another(made_rows):
    span = RowSpan(_dependent(made_rows(20, 90)), precision=torch.float64)
    basis = span.slopes(torch.eye(20, dtype=torch.float64))
    torch.testing.assert_close(basis @ basis.T, torch.eye(20, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["independent", "dependent"])
def test_coordinates_undo_slopes_and_drop_what_the_span_lacks(made_rows, name):
    X = CASES[name](made_rows(20, 1500))
    span = RowSpan(X, precision=torch.float64)
    V = made_rows(3, 20, seed=1)
    torch.testing.assert_close(span.coordinates(span.slopes(V)), V, rtol=1e-8, atol=1e-8)
    W = made_rows(3, 1500, seed=2)
    kept = span.slopes(span.coordinates(W))
    torch.testing.assert_close(kept @ X.T, W @ X.T, rtol=1e-8, atol=1e-8)
    assert float(kept.norm()) < 0.5 * float(W.norm())


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.int64])
def test_rows_of_any_dtype_are_read_and_never_changed(made_rows, dtype):
    X = (made_rows(20, 90) * 20 + 100).to(dtype)
    before = X.clone()
    span = RowSpan(X, precision=torch.float64)
    V = made_rows(3, 20, seed=1)
    torch.testing.assert_close(span.slopes(V) @ X.double().T, V @ span.square.T, rtol=1e-9, atol=1e-6)
    assert torch.equal(X, before)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_value_that_is_no_number_is_named(made_rows, bad, precision):
    X = made_rows(20, 90)
    X[3, 7] = bad
    with pytest.raises(DataError, match="row 3, column 7"):
        RowSpan(X, precision=precision)


def test_squares_too_large_for_float32_are_summed_in_float64(made_rows):
    X = (made_rows(20, 90) * 1e25).float()
    span = RowSpan(X, precision=torch.float32)
    V = made_rows(3, 20, seed=1)
    torch.testing.assert_close(span.slopes(V) @ X.double().T, V @ span.square.T, rtol=1e-9, atol=1e16)
