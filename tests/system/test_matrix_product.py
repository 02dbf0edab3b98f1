import pytest
import torch

from polylogit.system import matrix_product
from polylogit.system.matrix_product import linear, matrix_product_nt

LARGE = ((128, 96), (160, 96))
"""Matrices whose product is worth a call of oneDNN."""


def _made(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shapes", [LARGE, ((3, 5), (7, 5)), ((1, 1), (1, 1)), ((0, 5), (7, 5)), ((3, 0), (7, 0))])
def test_the_product_is_left_by_right_transposed(dtype, shapes):
    left, right = (_made(*shape, seed=seed) for seed, shape in enumerate(shapes))
    product = matrix_product_nt(left.to(dtype), right.to(dtype))
    assert product.dtype == dtype
    torch.testing.assert_close(product.double(), left @ right.T, rtol=0, atol=1e-4 if dtype == torch.float32 else 1e-13)


@pytest.mark.parametrize("rows", [6, 600])
def test_the_product_takes_views_that_are_not_contiguous(rows):
    left, right = _made(rows, 400)[:, ::2].float(), _made(200, 50, seed=1).float().T
    torch.testing.assert_close(matrix_product_nt(left, right), left @ right.T, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("part", ["columns of rows", "rows of columns"])
def test_a_right_matrix_that_is_part_of_a_larger_one_is_not_onednn_s(monkeypatch, part):
    def refused(*_):
        raise AssertionError("oneDNN takes 500 times as long as BLAS here")

    whole = _made(200, 500, seed=1).float()
    left, right = _made(600, 200).float(), whole[:, :200] if part == "columns of rows" else whole.T[:300]
    assert matrix_product_nt(left, right.contiguous()).shape == (600, len(right))
    monkeypatch.setattr(matrix_product, "_ONEDNN", refused)
    torch.testing.assert_close(matrix_product_nt(left, right), left @ right.T, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("bias", [True, False])
def test_a_large_layer_has_the_outputs_and_gradients_of_torchs_in_double_precision(bias):
    inputs, weight, pull = _made(128, 96), _made(160, 96, seed=1), _made(128, 160, seed=2)
    theirs = [inputs, weight, *([_made(160, seed=3)] if bias else [])]
    ours = [tensor.float().requires_grad_() for tensor in theirs]
    theirs = [tensor.requires_grad_() for tensor in theirs]
    outputs, expected = linear(*ours, *([] if bias else [None])), torch.nn.functional.linear(*theirs)
    torch.testing.assert_close(outputs.double(), expected, rtol=0, atol=1e-4)
    (outputs * pull.float()).sum().backward()
    (expected * pull).sum().backward()
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad.double(), other.grad, rtol=0, atol=2e-4)


def test_gradients_have_gradients(monkeypatch):
    monkeypatch.setattr(matrix_product, "_WORTH_THE_CALL", 0)
    inputs, weight, bias = _made(2, 4).float(), _made(3, 4, seed=1).float(), _made(3, seed=2).float()

    def of_gradient(weight):
        (gradient,) = torch.autograd.grad(linear(inputs, weight, bias).pow(3).sum(), weight, create_graph=True)
        return gradient.square().sum()

    def expected(weight):
        by_weight = torch.func.grad(lambda weight: (inputs @ weight.T + bias).pow(3).sum())(weight)
        return by_weight.square().sum()

    (second,) = torch.autograd.grad(of_gradient(weight.requires_grad_()), weight)
    torch.testing.assert_close(second, torch.func.grad(expected)(weight.detach()), rtol=1e-4, atol=1e-2)


def test_a_layer_that_is_not_trained_asks_for_no_gradients():
    inputs, weight = (_made(*shape, seed=seed).float() for seed, shape in enumerate(LARGE))
    linear(inputs, weight.requires_grad_(), None).sum().backward()
    assert inputs.grad is None
    torch.testing.assert_close(weight.grad, inputs.sum(0).expand(160, 96), rtol=1e-4, atol=1e-4)


def test_the_same_product_twice_has_the_same_bits():
    left, right = (_made(*shape, seed=seed).float() for seed, shape in enumerate(LARGE))
    assert torch.equal(matrix_product_nt(left, right), matrix_product_nt(left, right))
