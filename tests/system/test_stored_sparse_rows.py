"""Sparse rows in mapped files are those in memory, in every block and in their transpose."""

import pytest
import torch

from polylogit.data.tables.feature_matrix import taken_rows
from polylogit.errors import DataError
from polylogit.solver.design_matrix import SparseDesign
from polylogit.system import csr_tensor, mapped_file, sparse_rows
from polylogit.system.csr_tensor import csr_values_as, transposed_csr
from polylogit.system.mapped_file import is_mapped, mapped_numbers, mapped_zeros
from polylogit.system.sparse_rows import SparseRows, joined_sparse_rows, stored_sparse_rows

ROWS, WIDTH = 40, 23


@pytest.fixture
def rows(monkeypatch, tmp_path):
    monkeypatch.setenv("POLYLOGIT_CACHE", str(tmp_path))
    monkeypatch.setattr(csr_tensor, "_NUMBERS_A_BLOCK", 17)
    monkeypatch.setattr(sparse_rows, "_ROWS_COPIED_AT_ONCE", 3)
    generator = torch.Generator().manual_seed(0)
    filled = torch.rand(ROWS, WIDTH, generator=generator) < 0.3
    filled[5], filled[:, 7] = False, False  # an empty row and an empty column
    row, column = filled.nonzero(as_tuple=True)
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), torch.bincount(row, minlength=ROWS).cumsum(0)])
    return SparseRows(starts, column.int(), torch.randn(len(row), generator=generator), WIDTH)


@pytest.fixture
def stored(rows):
    return stored_sparse_rows(rows[start : start + 7] for start in range(0, ROWS, 7))


def assert_same(one, other):
    assert torch.equal(one.starts, other.starts)
    assert torch.equal(one.columns, other.columns)
    assert torch.equal(one.values, other.values)
    assert (one.width, one.columns.dtype) == (other.width, other.columns.dtype)


def test_blocks_become_rows_in_files(rows, stored, tmp_path):
    assert_same(stored, rows)
    assert is_mapped(stored.values)
    assert is_mapped(stored.columns)
    assert not list(tmp_path.iterdir())
    assert_same(stored_sparse_rows([rows[:0]]), rows[:0])


def test_chosen_rows_are_in_files_of_their_own(rows, stored):
    index = torch.randperm(ROWS, generator=torch.Generator().manual_seed(1))[:25]
    taken = taken_rows(stored, index)
    assert_same(taken, rows[index])
    assert is_mapped(taken.values)
    taken.values.zero_()
    assert_same(stored, rows)
    assert not is_mapped(taken_rows(rows, index).values)


def test_the_transpose_is_in_files_and_that_of_the_rows_in_memory(rows, stored):
    expected, found = transposed_csr(rows.csr()), transposed_csr(stored.csr())
    for part in ("crow_indices", "col_indices", "values"):
        assert torch.equal(getattr(found, part)(), getattr(expected, part)())
        assert getattr(found, part)().dtype == getattr(expected, part)().dtype
    assert is_mapped(found.values())
    assert is_mapped(found.col_indices())


def test_values_change_their_type_in_files(rows, stored):
    assert csr_values_as(stored.csr(), torch.float32).values().data_ptr() == stored.values.data_ptr()
    wide = csr_values_as(stored.csr(), torch.float64)
    assert torch.equal(wide.values(), rows.values.double())
    assert is_mapped(wide.values())


@pytest.mark.parametrize("working", [torch.float32, torch.float64])
def test_the_solver_gets_the_same_products(rows, stored, working):
    weight = torch.randn(3, WIDTH + 1, dtype=working)
    sums = torch.randn(3, ROWS, dtype=working)
    in_memory, in_files = (SparseDesign(some.csr(), intercept=True, working=working) for some in (rows, stored))
    assert torch.equal(in_files.logits(weight, working), in_memory.logits(weight, working))
    assert torch.equal(in_files.adjoint_product(sums), in_memory.adjoint_product(sums))
    assert torch.equal(in_files.squared_adjoint_product(sums), in_memory.squared_adjoint_product(sums))


def test_squared_products_do_not_depend_on_the_block(rows, monkeypatch):
    sums = torch.randn(3, ROWS, dtype=torch.float64)
    design = SparseDesign(rows.csr(), intercept=True, working=torch.float64)
    whole = design.squared_adjoint_product(sums)
    torch.testing.assert_close(whole[:, :-1], sums @ rows.dense().double().square())
    monkeypatch.setattr("polylogit.solver.design_matrix._NUMBERS_A_BLOCK", 20)
    assert torch.equal(design.squared_adjoint_product(sums), whole)


def test_a_disk_that_fills_up_is_one_message_and_leaves_nothing(rows, monkeypatch, tmp_path):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    blocks = [rows, rows]
    monkeypatch.setattr(mapped_file.torch, "from_file", full)
    with pytest.raises(DataError, match=r"needs more room.*POLYLOGIT_CACHE"):
        stored_sparse_rows(blocks)
    assert not list(tmp_path.iterdir())


def test_numbers_of_every_type():
    for dtype in (torch.int32, torch.int64, torch.float32, torch.float64):
        zeros = mapped_zeros(3, dtype)
        assert (zeros.dtype, zeros.tolist()) == (dtype, [0, 0, 0])
        assert mapped_zeros(0, dtype).dtype == dtype
    empty, some = mapped_numbers([(torch.zeros(0), torch.ones(2)), (torch.zeros(0), torch.zeros(1))])
    assert (len(empty), some.tolist()) == (0, [1, 1, 0])


def test_joined_blocks_are_the_rows(rows):
    assert_same(joined_sparse_rows([rows[:9], rows[9:]]), rows)
