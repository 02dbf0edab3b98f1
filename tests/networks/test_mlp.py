import pytest
import torch
from torch import nn

from polylogit.errors import RecipeError
from polylogit.networks import MlpNetwork


def test_a_seed_gives_the_weights_of_the_plain_sequence_of_layers():
    torch.manual_seed(43052)
    ours = MlpNetwork(784, 10, hidden=(256, 256))
    torch.manual_seed(43052)
    plain = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
    pictures = torch.rand(3, 1, 28, 28)
    assert torch.equal(ours(pictures), plain(pictures.flatten(1)))


def test_dropout_acts_in_training_only():
    network = MlpNetwork(20, 3, hidden=(50,), dropout=0.5)
    rows = torch.rand(4, 20)
    network.train()
    assert not torch.equal(network(rows), network(rows))
    network.eval()
    assert torch.equal(network(rows), network(rows))


@pytest.mark.parametrize("activation", ["gelu", "silu", "tanh"])
def test_each_activation_gives_another_function(activation):
    networks = []
    for name in ("relu", activation):
        torch.manual_seed(0)
        networks.append(MlpNetwork(5, 2, hidden=(7,), activation=name))
    rows = torch.randn(4, 5)
    assert not torch.allclose(networks[0](rows), networks[1](rows))


def test_without_hidden_layers_it_is_linear():
    network = MlpNetwork(5, 2, hidden=())
    assert sum(parameter.numel() for parameter in network.parameters()) == 12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": (0,)}, "hidden widths: expected counts of at least 1"),
        ({"activation": "rleu"}, 'Did you mean "relu"'),
        ({"dropout": 1.0}, "expected a share in"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(RecipeError, match=message):
        MlpNetwork(5, 2, **options)


def test_with_a_reference_class_two_classes_are_logistic_regression():
    network = MlpNetwork(5, 2, hidden=(), reference_class=True)
    rows = torch.randn(4, 5)
    (layer,) = network.layers
    assert layer.weight.shape == (1, 5)
    assert torch.allclose(network(rows).softmax(1)[:, 1], torch.sigmoid(layer(rows))[:, 0])


def test_without_bias_zeros_give_zeros():
    network = MlpNetwork(5, 3, hidden=(4,), bias=False)
    assert network(torch.zeros(1, 5)).tolist() == [[0, 0, 0]]
    assert sum(parameter.numel() for parameter in network.parameters()) == 32
