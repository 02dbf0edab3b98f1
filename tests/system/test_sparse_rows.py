"""Sparse rows answer as the dense rows that they stand for."""

import pytest
import torch

from polylogit.system.csr_tensor import without_csr_warnings
from polylogit.system.sparse_rows import SparseRows, joined_columns, joined_rows


@pytest.fixture
def dense():
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randn(9, 7, generator=generator)
    numbers[torch.rand(9, 7, generator=generator) < 0.6] = 0
    numbers[4] = 0
    return numbers


def sparse(dense):
    with without_csr_warnings():
        csr = dense.to_sparse_csr()
    return SparseRows(csr.crow_indices(), csr.col_indices().int(), csr.values(), dense.shape[1])


@pytest.mark.parametrize(
    "chosen", [slice(2, 6), slice(0, 0), slice(8, 20), slice(1, 9, 3), torch.tensor([5, 4, 4, 0]), [3, 1]]
)
def test_chosen_rows(dense, chosen):
    assert torch.equal(sparse(dense)[chosen].dense(), dense[chosen])
    assert len(sparse(dense)[chosen]) == len(dense[chosen])


def test_rows_chosen_by_a_mask(dense):
    mask = dense[:, 0] != 0
    assert torch.equal(sparse(dense)[mask].dense(), dense[mask])


def test_the_product_is_that_of_float64_and_the_same_for_a_row_alone(dense):
    weight, bias = torch.randn(3, 7), torch.randn(3)
    rows = sparse(dense)
    products = rows.product(weight, bias)
    assert torch.allclose(products.double(), dense.double() @ weight.double().T + bias, rtol=0, atol=1e-6)
    for row in range(9):
        assert torch.equal(rows[row : row + 1].product(weight, bias)[0], products[row])


def test_parts_are_joined(dense):
    rows = sparse(dense)
    assert torch.equal(joined_rows([rows[:4], rows[4:]]).dense(), dense)
    left, right = dense.clone(), dense.clone()
    left[:, 3:], right[:, :3] = 0, 0
    assert torch.equal(joined_columns([sparse(right), sparse(left)]).dense(), dense)
    assert torch.equal(joined_rows([dense[:2], dense[2:]]), dense)


def test_shuffled_columns(dense):
    order = torch.randperm(9)
    expected = dense.clone()
    expected[:, 2:5] = dense[order, 2:5]
    assert torch.equal(sparse(dense).shuffled_columns(slice(2, 5), order).dense(), expected)


def test_the_solver_gets_the_same_numbers(dense):
    assert torch.equal(sparse(dense).csr().to_dense(), dense)
