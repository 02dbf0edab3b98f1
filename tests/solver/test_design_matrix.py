import math

import pytest
import torch

from polylogit.errors import DataError
from polylogit.solver import design_matrix
from polylogit.solver.design_matrix import DenseDesign, SparseDesign
from polylogit.solver.softmax_regression import fit_softmax_regression
from polylogit.system.csr_tensor import csr_tensor

ROWS = 20_000  # more than one block of rows


@pytest.fixture(params=[True, False], ids=["intercept", "no intercept"])
def intercept(request):
    return request.param


@pytest.fixture
def sparse_rows(made_rows):
    """Rows with more zeros than not, some of them and one column all zeros; whole numbers, exact in every dtype."""
    rows = (3 * made_rows(ROWS, 4)).round().clamp(-5, 5)
    rows[made_rows(ROWS, 4, seed=1) < 0.5] = 0
    rows[:, 2] = 0
    rows[17] = 0
    return rows


def _plain(rows, intercept, *, centred):
    """The whole matrix that a design stands for."""
    if not intercept:
        return rows
    return torch.cat([rows - rows.mean(0) if centred else rows, rows.new_ones(len(rows), 1)], 1)


@pytest.fixture
def designs(made_csr, intercept):
    """Both designs of the same rows, each with the whole matrix that it stands for."""

    def made(rows):
        dense = DenseDesign(rows, intercept=intercept, working=torch.float64)
        csr = SparseDesign(made_csr(rows), intercept=intercept, working=torch.float64)
        return [(dense, _plain(rows, intercept, centred=True)), (csr, _plain(rows, intercept, centred=False))]

    return made


def test_products_are_those_of_the_whole_matrix(sparse_rows, made_rows, designs):
    for design, matrix in designs(sparse_rows):
        assert (design.rows, design.columns) == matrix.shape
        weight, rows = made_rows(3, design.columns, seed=2), made_rows(3, ROWS, seed=3)
        torch.testing.assert_close(design.logits(weight, torch.float64), weight @ matrix.T, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(design.adjoint_product(rows), rows @ matrix, rtol=1e-11, atol=1e-9)
        torch.testing.assert_close(design.squared_adjoint_product(rows), rows @ matrix**2, rtol=1e-11, atol=1e-9)


def test_gathered_rows_are_the_whole_matrix_s(sparse_rows, designs):
    index = torch.tensor([17, 3, ROWS - 1, 3])
    for design, matrix in designs(sparse_rows):
        torch.testing.assert_close(design.dense_rows(index, torch.float64), matrix[index], rtol=0, atol=1e-14)
        assert design.dense_rows(index[:0], torch.float64).shape == (0, design.columns)


def test_the_two_products_are_each_other_s_transpose(sparse_rows, made_rows, designs):
    for design, _ in designs(sparse_rows):
        weight, rows = made_rows(3, design.columns, seed=2), made_rows(3, ROWS, seed=3)
        forward = float((design.logits(weight, torch.float64) * rows).sum())
        assert forward == pytest.approx(float((weight * design.adjoint_product(rows)).sum()), rel=1e-10)


def test_moved_weights_give_the_uncentred_logits_and_come_back(sparse_rows, made_rows, designs, intercept):
    rows = sparse_rows + 100
    for design, _ in designs(rows):
        weight = made_rows(3, design.columns, seed=2)
        logits = design.logits(design.to_centred(weight), torch.float64)
        torch.testing.assert_close(logits, weight @ _plain(rows, intercept, centred=False).T, rtol=1e-12, atol=1e-10)
        torch.testing.assert_close(design.from_centred(design.to_centred(weight)), weight, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float16, torch.float32])
@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_every_dtype_is_read_as_the_numbers_it_holds(sparse_rows, made_rows, intercept, dtype, precision):
    counts = sparse_rows.abs()
    design = DenseDesign(counts.to(dtype), intercept=intercept, working=torch.float32)
    exact = DenseDesign(counts, intercept=intercept, working=torch.float64)
    weight, rows = made_rows(3, design.columns, seed=2), made_rows(3, ROWS, seed=3) / ROWS
    logits, adjoint = design.logits(weight, precision), design.adjoint_product(rows.to(precision))
    assert logits.dtype == adjoint.dtype == precision
    # The centre is a float32 sum; what it is off by, the intercept takes up.
    within = {"rtol": 0, "atol": 2e-5}
    torch.testing.assert_close(logits.double(), exact.logits(weight, torch.float64), **within)
    torch.testing.assert_close(adjoint.double(), exact.adjoint_product(rows), **within)


def test_rows_are_never_changed(sparse_rows, made_rows, designs):
    before = sparse_rows.clone()
    for design, _ in designs(sparse_rows):
        design.dense_rows(torch.arange(9), torch.float64).zero_()
        design.logits(made_rows(3, design.columns), torch.float64).zero_()
        design.squared_adjoint_product(made_rows(3, ROWS))
    assert torch.equal(sparse_rows, before)


def test_centring_keeps_the_digits_of_a_column_far_from_zero(made_rows):
    spread = made_rows(1000, 1)
    design = DenseDesign(spread + 1e6, intercept=True, working=torch.float64)
    squares = design.squared_adjoint_product(torch.full((1, 1000), 1e-3, dtype=torch.float64))
    assert float(squares[0, 0]) == pytest.approx(float(spread.var(correction=0)), rel=1e-8)


@pytest.mark.parametrize(
    ("column", "suffices"),
    [
        (torch.linspace(-1, 1, 100), True),
        (torch.full((100,), 3.0), True),
        (torch.linspace(-1, 1, 100) + 1e5, False),
        (torch.linspace(-1, 1, 100) * 1e13, False),
        (torch.linspace(-1, 1, 100, dtype=torch.float64) * 1e-13, False),
        (torch.arange(100, dtype=torch.uint8), True),
    ],
    ids=["plain", "constant", "far from zero", "huge", "tiny", "bytes"],
)
def test_float32_suffices_unless_its_rounding_drowns_a_column(column, suffices):
    assert DenseDesign.float32_suffices(column[:, None]) is suffices


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused_and_placed(made_csr, value):
    rows = torch.ones(6, 3, dtype=torch.float64)
    rows[4, 1] = value
    with pytest.raises(DataError, match=rf"row 4, column 1: expected a finite number, got {value} \(1 such"):
        DenseDesign(rows, intercept=False, working=torch.float64)
    with pytest.raises(DataError, match="stored values"):
        SparseDesign(made_csr(rows), intercept=False, working=torch.float64)


def test_finite_numbers_whose_sum_is_none_are_refused():
    with pytest.raises(DataError, match="too large for their sum"):
        DenseDesign(torch.full((8, 2), 1e308, dtype=torch.float64) * 1.7, intercept=True, working=torch.float32)


def test_a_csr_tensor_shares_its_parts():
    starts, columns, values = torch.tensor([0, 1, 3]), torch.tensor([2, 0, 1]), torch.tensor([5.0, 6.0, 7.0])
    matrix = csr_tensor(starts, columns, values, (2, 3))
    assert torch.equal(matrix.to_dense(), torch.tensor([[0.0, 0.0, 5.0], [6.0, 7.0, 0.0]]))
    assert matrix.values().data_ptr() == values.data_ptr()


def test_rows_read_in_place_give_the_fit_of_their_copy(monkeypatch):
    draw = torch.Generator().manual_seed(3)
    features = torch.randn(900, 5, generator=draw)
    rows = torch.randperm(900, generator=draw)[:600]
    targets = (features[rows] @ torch.randn(5, 3, generator=draw)).argmax(1)
    copied = fit_softmax_regression(features[rows], targets, classes=3, tolerance=1e-9)
    monkeypatch.setattr(design_matrix, "_NUMBERS_TO_GATHER", 0)
    features[torch.ones(900, dtype=torch.bool).index_fill(0, rows, value=False)] = torch.nan  # nothing reads the others
    gathered = fit_softmax_regression(features, targets, classes=3, tolerance=1e-9, rows=rows)
    torch.testing.assert_close(gathered.weight, copied.weight, rtol=0, atol=1e-9)
    assert DenseDesign.gathers(features, rows)


def test_many_rows_read_in_place_start_from_a_sample_of_their_own(monkeypatch):
    draw = torch.Generator().manual_seed(4)
    features = torch.randn(80_000, 10, generator=draw)
    rows = torch.arange(1, 80_000, 2)
    targets = (features[rows, 0] + torch.randn(len(rows), generator=draw) > 0).long()
    copied = fit_softmax_regression(features[rows], targets, classes=2)
    monkeypatch.setattr(design_matrix, "_NUMBERS_TO_GATHER", 0)
    gathered = fit_softmax_regression(features, targets, classes=2, rows=rows)
    assert gathered.iterations == copied.iterations
    torch.testing.assert_close(gathered.weight, copied.weight)
    with pytest.raises(DataError, match="for each of 40,000 rows"):
        fit_softmax_regression(features, targets[1:], classes=2, rows=rows)
