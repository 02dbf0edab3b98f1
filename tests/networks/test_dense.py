import pytest
import torch
from torch import nn

from polylogit.networks.dense import DenseLayer, DropoutLayer


def _twins():
    ours, theirs = DenseLayer(96, 160), nn.Linear(96, 160)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs, torch.randn(128, 96)


def test_in_training_a_layer_is_torchs_but_for_rounding():
    ours, theirs, rows = _twins()
    torch.testing.assert_close(ours(rows), theirs(rows), rtol=1e-4, atol=1e-5)


def test_in_evaluation_mode_a_layer_has_the_bits_of_torchs():
    ours, theirs, rows = _twins()
    assert torch.equal(ours.eval()(rows), theirs(rows))


def test_under_autocast_a_layer_is_torchs():
    ours, theirs, rows = _twins()
    with torch.autocast("cpu", torch.bfloat16):
        assert ours(rows).dtype == torch.bfloat16
        assert torch.equal(ours(rows), theirs(rows))


@pytest.mark.parametrize("share", [0.5, 0.25, 0.1, 0.003])
def test_so_many_values_are_dropped_and_the_mean_stays(share):
    torch.manual_seed(0)
    outputs = DropoutLayer(share)(torch.ones(1000, 1003))
    deviation = (share * (1 - share) / outputs.numel()) ** 0.5
    assert abs(float((outputs == 0).double().mean()) - share) < 5 * deviation + 1 / 65_536
    kept = outputs[outputs != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - share)), rtol=1e-3, atol=0)


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_each_value_is_dropped_apart_from_its_neighbours(share):
    torch.manual_seed(0)
    dropped = (DropoutLayer(share)(torch.ones(1000, 1000)) == 0).double() - share
    for step in (1, 2, 4, 1000):
        together = float((dropped.flatten()[:-step] * dropped.flatten()[step:]).mean())
        assert abs(together) < 5 * share * (1 - share) / 1000


def test_a_dropped_value_has_no_gradient():
    torch.manual_seed(0)
    rows = torch.ones(7, 9, requires_grad=True)
    outputs = DropoutLayer(0.5)(rows)
    outputs.sum().backward()
    assert torch.equal(rows.grad, outputs)


def test_a_seed_gives_the_same_draw_and_the_next_is_another():
    layer, rows = DropoutLayer(0.5), torch.ones(20, 20)
    torch.manual_seed(1)
    first, second = layer(rows), layer(rows)
    torch.manual_seed(1)
    assert torch.equal(layer(rows), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("share", "left"), [(0.0, 1.0), (1.0, 0.0), (1e-9, 1.0)])
def test_nothing_and_everything_may_be_dropped(share, left):
    assert torch.equal(DropoutLayer(share)(torch.ones(3, 5)), torch.full((3, 5), left))


def test_half_precision_stays_what_it_is():
    outputs = DropoutLayer(0.5)(torch.ones(64, 64, dtype=torch.bfloat16))
    assert outputs.dtype == torch.bfloat16
    assert outputs.unique().tolist() == [0.0, 2.0]


def test_in_evaluation_mode_nothing_is_dropped():
    assert torch.equal(DropoutLayer(0.5).eval()(torch.ones(3, 5)), torch.ones(3, 5))
