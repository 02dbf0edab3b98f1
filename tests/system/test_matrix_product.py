"""Products by oneDNN and by BLAS: the same numbers and gradients, and the choice between them."""

import pytest
import torch

from polylogit.losses import cross_entropy_with_logits
from polylogit.networks.dense import DenseLayer
from polylogit.system import matrix_product, torch_private
from polylogit.system.matrix_product import linear, matrix_product_nt

LARGE = ((128, 96), (160, 96))
"""Matrices whose product is worth a call of oneDNN where MKL is slow."""


@pytest.fixture(autouse=True, params=["oneDNN", "BLAS"])
def library(request, monkeypatch):
    """Both libraries on every machine."""
    if request.param == "oneDNN" and not torch.backends.mkldnn.is_available():
        pytest.skip("this torch is built without oneDNN")
    monkeypatch.setattr(matrix_product, "_BLAS_IS_MKL", request.param == "oneDNN")
    monkeypatch.setattr(matrix_product, "_INTEL", False)
    return request.param


@pytest.fixture
def calls(monkeypatch):
    """The calls of oneDNN, which are passed on."""
    seen, real = [], torch_private.onednn_linear
    monkeypatch.setattr(torch_private, "onednn_linear", lambda *matrices: seen.append(1) or real(*matrices))
    return seen


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
    monkeypatch.setattr(torch_private, "onednn_linear", refused)
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


@pytest.mark.filterwarnings("ignore:TF32 acceleration:UserWarning")  # torch.backends.mkldnn.flags sets every flag
def test_onednn_is_called_where_it_is_faster(library, calls, monkeypatch):
    left, right = (_made(*shape, seed=seed).float() for seed, shape in enumerate(LARGE))
    many, few = _made(20_000, 50).float(), _made(10, 50).float()

    def called(*matrices):
        calls.clear()
        matrix_product_nt(*matrices)
        return bool(calls)

    assert called(left, right) == (library == "oneDNN")
    assert not called(left[:4], right)
    assert not called(left.double(), right.double())
    with torch.backends.mkldnn.flags(enabled=False):
        assert not called(left, right)
    monkeypatch.setattr(matrix_product, "_INTEL", True)
    assert not called(left, right)
    assert called(many, few) == (library == "oneDNN")


@pytest.mark.parametrize(
    ("identifier", "expected"), [("Intel64 Family 6, GenuineIntel", True), ("AMD64 Family 25, AuthenticAMD", False)]
)
def test_the_maker_of_the_processor(monkeypatch, tmp_path, identifier, expected):
    monkeypatch.setenv("PROCESSOR_IDENTIFIER", identifier)
    for cpuinfo in ("no such file", "cpuinfo"):
        monkeypatch.setattr(matrix_product, "Path", lambda _, name=cpuinfo: tmp_path / name)
        assert matrix_product._processor_is_intel() is expected
        (tmp_path / "cpuinfo").write_text(f"processor : 0\nvendor_id : {identifier.split()[-1]}\n", encoding="utf-8")


def _network():
    torch.manual_seed(0)
    return torch.nn.Sequential(DenseLayer(96, 160), torch.nn.Tanh(), DenseLayer(160, 3))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")  # torch.func.jvp calls it
def test_transforms_of_torch_func_over_a_network():
    network, inputs, targets = _network(), _made(128, 96).float(), torch.arange(128) % 3
    parameters = dict(network.named_parameters())

    def loss(parameters, inputs, targets):
        return cross_entropy_with_logits(torch.func.functional_call(network, parameters, (inputs,)), targets)

    loss(parameters, inputs, targets).backward()
    gradients = torch.func.grad(loss)({name: value.detach() for name, value in parameters.items()}, inputs, targets)
    for name, value in parameters.items():
        torch.testing.assert_close(gradients[name], value.grad, rtol=1e-4, atol=1e-6)
    per_row = torch.func.vmap(torch.func.grad(loss), (None, 0, 0))(
        {name: value.detach() for name, value in parameters.items()}, inputs.unsqueeze(1), targets.unsqueeze(1)
    )
    for name, value in parameters.items():
        torch.testing.assert_close(per_row[name].mean(0), value.grad, rtol=1e-3, atol=1e-6)
    outputs, derivative = torch.func.jvp(network, (inputs,), (torch.ones_like(inputs),))
    jacobian = torch.func.vmap(torch.func.jacrev(lambda row: network(row.unsqueeze(0))[0]))(inputs[:2])
    torch.testing.assert_close(derivative[:2], jacobian.sum(2), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(outputs, network(inputs), rtol=1e-5, atol=1e-6)


def test_many_gradients_of_a_layer_at_once():
    inputs, weight = (_made(*shape, seed=seed).float() for seed, shape in enumerate(LARGE))
    outputs = linear(inputs.requires_grad_(), weight, None)
    slopes = torch.stack([torch.ones_like(outputs), torch.full_like(outputs, 2.0)])
    (together,) = torch.autograd.grad(outputs, inputs, slopes, is_grads_batched=True, retain_graph=True)
    (alone,) = torch.autograd.grad(outputs, inputs, slopes[0])
    torch.testing.assert_close(together, torch.stack([alone, 2 * alone]), rtol=1e-5, atol=1e-5)
