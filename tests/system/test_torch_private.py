"""That polylogit computes the same with every private name of torch replaced by its public fallback."""

import re
from pathlib import Path

import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.testing import assert_close

import polylogit
from polylogit import losses
from polylogit.networks.dense import DenseLayer
from polylogit.system import torch_private
from polylogit.system.tensor_values import runs_plainly, values_can_be_read


@pytest.fixture
def fallbacks(monkeypatch):
    """A function that makes torch look as if it had none of the private names."""

    def force():
        for name, fallback in torch_private.FALLBACKS.items():
            monkeypatch.setattr(torch_private, name, fallback)

    return force


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def losses_and_gradients():
    """Losses of several kinds, forms and sizes, each with its gradient."""
    found = []
    for shape in [(40, 5), (400, 3), (3000, 40), (8193, 64), (600, 7, 5, 4)]:
        logits = drawn(*shape)
        index = torch.randint(shape[1], (shape[0], *shape[2:]), generator=torch.Generator().manual_seed(1))
        index[3] = -100
        soft = drawn(*shape, seed=2).softmax(1)
        for loss, scores in [
            (losses.cross_entropy_with_logits, logits),
            (losses.cross_entropy_with_log_probabilities, logits.log_softmax(1)),
            (losses.cross_entropy_with_probabilities, logits.softmax(1)),
        ]:
            for targets in (index, soft):
                for reduction in ("none", "sum", "mean"):
                    leaf = scores.clone().requires_grad_()
                    value = loss(leaf, targets, reduction=reduction)
                    found += [value.detach(), *torch.autograd.grad(value.square().sum(), leaf)]
    return found


def layer_and_gradients():
    layer = DenseLayer(200, 80)
    with torch.no_grad():
        layer.weight.copy_(drawn(80, 200, seed=3))
        layer.bias.copy_(drawn(80, seed=4))
    inputs = drawn(300, 200, seed=5).requires_grad_()
    outputs = layer(inputs)
    return [outputs.detach(), *torch.autograd.grad(outputs.square().sum(), (inputs, *layer.parameters()))]


def fitted_network():
    """Weights of a small network after ten steps of the kind that training takes."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(DenseLayer(20, 64), torch.nn.ReLU(), DenseLayer(64, 3))
    inputs, targets = drawn(900, 20, seed=6), torch.randint(3, (900,), generator=torch.Generator().manual_seed(7))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(10):
        optimizer.zero_grad()
        losses.cross_entropy_with_logits(network(inputs), targets).backward()
        optimizer.step()
    return [parameter.detach() for parameter in network.parameters()]


@pytest.mark.parametrize("compute", [losses_and_gradients, layer_and_gradients, fitted_network])
def test_fallbacks_agree_with_the_private_names(fallbacks, compute):
    expected = compute()
    fallbacks()
    for mine, theirs in zip(compute(), expected, strict=True):
        # Sums in another order differ by rounding, in proportion to what is added up.
        assert_close(mine, theirs, rtol=1e-4, atol=1e-6 * max(10.0, float(theirs.abs().max())))


def test_bad_targets_are_named_without_the_private_names_too(fallbacks):
    fallbacks()
    with pytest.raises(polylogit.errors.ScoreError, match=r"row 1: .*got 7"):
        losses.cross_entropy_with_logits(torch.zeros(2, 3), torch.tensor([0, 7]))


@pytest.fixture(params=["private", "fallback"])
def either(request, fallbacks):
    if request.param == "fallback":
        fallbacks()


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")  # forward_ad calls it
def test_whether_values_can_be_read(either):
    seen = {}

    def look(name):
        def function(tensor):
            seen[name] = (values_can_be_read(tensor), runs_plainly(tensor))
            return tensor * 2

        return function

    rows = torch.ones(2, 3)
    look("plain")(rows)
    look("meta")(rows.to("meta"))
    torch.func.vmap(look("vmap"))(rows)
    torch.func.grad(lambda tensor: look("grad")(tensor).sum())(rows)
    torch.func.vmap(torch.func.grad(lambda row: look("vmap of grad")(row).sum()))(rows)
    make_fx(look("make_fx"))(rows)
    with FakeTensorMode() as mode:
        look("fake")(mode.from_tensor(rows))
    look("fake outside its mode")(mode.from_tensor(rows))
    with torch.autograd.forward_ad.dual_level():
        look("forward mode")(torch.autograd.forward_ad.make_dual(rows, rows))
    assert seen == {
        "plain": (True, True),
        "meta": (False, False),
        "vmap": (False, False),
        "grad": (True, False),
        "vmap of grad": (False, False),
        "make_fx": (False, False),
        "fake": (False, False),
        "fake outside its mode": (False, False),
        "forward mode": (True, False),
    }


def test_this_version_of_torch_has_every_private_name():
    """A new version that lacks one is noticed here; with the fallback everything works, more slowly."""
    lost = [name for name, fallback in torch_private.FALLBACKS.items() if getattr(torch_private, name) is fallback]
    assert not lost
    assert set(torch_private.FALLBACKS) == set(torch_private.__all__) - {"FALLBACKS", "FUSED_ADAM", "FUSED_ADAMW"}
    assert torch_private.FUSED_ADAM is not None
    assert torch_private.FUSED_ADAMW is not None


def test_a_name_that_fails_its_trial_call_is_replaced():
    def changed(only_one_argument):
        return only_one_argument

    scores, targets = torch.zeros(1, 2), torch.zeros(1).long()
    assert torch_private._bound("nll_loss", changed, scores, targets, None, 1, -100) is torch_private._nll_loss
    assert torch_private._bound("nll_loss", None) is torch_private._nll_loss
    assert torch_private._find("ops.mkldnn.no_such_operator") is None


def test_private_names_are_in_one_file_only():
    private = re.compile(r"torch\._[A-Za-z]|torch\.ops\.|_linear_pointwise|[^.]ops\.aten")
    source = Path(polylogit.__file__).parent
    found = {
        str(path.relative_to(source))
        for path in source.rglob("*.py")
        if path.name != "torch_private.py" and private.search(path.read_text(encoding="utf-8"))
    }
    assert not found
