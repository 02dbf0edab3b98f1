"""The hidden units of an MLP fitted as several networks side by side."""

import pytest
import torch
from torch import nn

from polylogit.errors import RecipeError
from polylogit.fitting.loop import fit_network
from polylogit.fitting.options import TrainingOptions
from polylogit.networks import MlpNetwork
from polylogit.networks.members import MlpMembers

OPTIONS = TrainingOptions(epochs=3, batch_size=16, learning_rate=0.01)


def data(rows=64):
    torch.manual_seed(1)
    inputs = torch.randn(rows, 5)
    return inputs, (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0.5)


def network(**options):
    torch.manual_seed(0)
    return MlpNetwork(features=5, classes=3, hidden=(12,), **options)


def alone(members, member):
    """One member as a network of its own, with the initial weights that it has among the others."""
    part = slice(member * 4, member * 4 + 4)
    own = MlpNetwork(features=5, classes=3, hidden=(4,))
    first, last = own.layers[0], own.layers[-1]
    with torch.no_grad():
        first.weight.copy_(members.hidden[0].weight[part])
        first.bias.copy_(members.hidden[0].bias[part])
        last.weight.copy_(members.weight[member].T)
        last.bias.copy_(members.bias.view(3, -1)[member])
    return own


def test_a_member_is_fitted_as_if_it_were_alone():
    inputs, targets = data()
    members = MlpMembers(network(), 3)
    own = alone(members, 1)
    for each in (members, own):
        fit_network(each, inputs, targets, options=OPTIONS, check_misuse=False)
    members.train()
    torch.testing.assert_close(members(inputs)[:, 1], own(inputs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"reference_class": True}, {"dropout": 0.5}])
def test_merged_members_give_their_mean(options):
    inputs, targets = data()
    members = MlpMembers(network(**options), 4)
    fit = fit_network(members, inputs, targets, options=OPTIONS, check_misuse=False)
    merged = members.merged()
    assert not merged.training
    torch.testing.assert_close(merged(inputs), members(inputs))
    members.train()
    for layer in members.modules():
        if isinstance(layer, nn.Dropout):
            layer.eval()
    torch.testing.assert_close(merged(inputs), members(inputs).mean(1))
    assert 0.3 < fit.history[-1].train_loss < 1.4  # the mean over members, not their sum


def test_weights_of_rows_and_parts_of_a_batch_change_nothing_else():
    inputs, targets = data()
    fitted = []
    for options, weight in ((OPTIONS, None), (TrainingOptions(**{**vars(OPTIONS), "accumulation": 2}), torch.ones(64))):
        members = MlpMembers(network(), 3)
        fit_network(members, inputs, targets, options=options, sample_weight=weight, check_misuse=False)
        fitted.append(members.merged()(inputs))
    torch.testing.assert_close(*fitted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("hidden", "members"), [((), 2), ((8, 8), 2), ((9,), 2)])
def test_only_one_hidden_layer_that_divides(hidden, members):
    with pytest.raises(RecipeError, match=r"a multiple of it, got model.hidden"):
        MlpMembers(MlpNetwork(features=5, classes=3, hidden=hidden), members)
