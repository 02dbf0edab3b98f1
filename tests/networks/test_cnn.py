import pytest
import torch
from torch import nn

from polylogit.errors import RecipeError
from polylogit.networks import CnnNetwork

LECTURE = {"widths": (64, 64), "kernel_sizes": 5, "strides": 1, "pools": 2, "padding": "valid", "batch_norm": False}


def test_the_documents_network_is_one_of_its_parameters():
    torch.manual_seed(43052)
    ours = CnnNetwork(1, 28, 28, 10, **LECTURE)
    torch.manual_seed(43052)
    theirs = nn.Sequential(
        nn.Conv2d(1, 64, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(1024, 10),
    )
    pictures = torch.rand(2, 1, 28, 28)
    torch.testing.assert_close(ours(pictures), theirs(pictures))
    assert sum(parameter.numel() for parameter in ours.parameters()) == 114_378


@pytest.mark.parametrize("form", [(1, 28, 28), (3, 32, 32), (3, 17, 40)])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_every_size_of_picture_that_fits_gets_its_logits(form, padding):
    network = CnnNetwork(*form, 4, widths=(8, 8), kernel_sizes=(5, 3), strides=(2, 1), pools=(1, 2), padding=padding)
    assert network(torch.rand(2, *form)).shape == (2, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": ()}, "widths: expected one or more counts"),
        ({"widths": (8, 8)}, "kernel_sizes: expected one number or 2"),
        ({"kernel_sizes": 4}, "needs odd sizes, got 4"),
        ({"pools": 4}, "too small for 3 stages"),
        ({"strides": 0}, "strides: expected numbers of at least 1"),
        ({"hidden": (8, 0)}, "hidden: expected counts of at least 1"),
        ({"padding": "full"}, 'expected "same" or "valid"'),
        ({"blocks": -1}, "blocks: expected numbers of at least 0"),
        ({"blocks": (0, 1)}, "blocks: expected one number or 3"),
        ({"blocks": 1, "batch_norm": False}, "residual blocks need batch_norm"),
        ({"dropout": -0.1}, "expected a share in"),
        ({"colours": True}, "they stand beside oriented gradients. Set orientations"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(RecipeError, match=message):
        CnnNetwork(1, 28, 28, 10, **options)


def test_residual_blocks_stand_after_the_stages_that_ask_for_them():
    plain = CnnNetwork(1, 28, 28, 10, widths=(4, 8, 6))
    network = CnnNetwork(1, 28, 28, 10, widths=(4, 8, 6), blocks=(0, 2, 1))
    more = sum(parameter.numel() for parameter in network.parameters())
    more -= sum(parameter.numel() for parameter in plain.parameters())
    assert more == 2 * (18 * 8**2 + 4 * 8) + (18 * 6**2 + 4 * 6)
    assert network(torch.rand(2, 1, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize(("form", "rows", "columns"), [((1, 28, 28), 7, 7), ((3, 33, 40), 9, 10)])
def test_stages_may_start_from_gradients(form, rows, columns):
    network = CnnNetwork(*form, 4, widths=(6,), kernel_sizes=3, strides=1, pools=1, orientations=5)
    assert network(torch.rand(3, *form)).shape == (3, 4)
    assert network.linear.in_features == 6 * rows * columns
    bare = CnnNetwork(*form, 4, widths=(6,), kernel_sizes=3, strides=1, pools=1, orientations=5, batch_norm=False)
    torch.testing.assert_close(bare(torch.ones(2, *form)), bare(torch.zeros(2, *form)))


def test_colours_stand_beside_the_gradients_where_asked():
    options = {"widths": (6,), "kernel_sizes": 3, "strides": 1, "pools": 1, "orientations": 5, "cell": 4}
    network = CnnNetwork(3, 16, 20, 4, **options, colours=True)
    assert network.stages[0](torch.rand(2, 3, 16, 20)).shape == (2, 11, 4, 5)
    assert network(torch.rand(2, 3, 16, 20)).shape == (2, 4)
    red, blue = (torch.zeros(1, 3, 16, 20) for _ in range(2))
    red[:, 0], blue[:, 2] = 1.0, 1.0
    alone = CnnNetwork(3, 16, 20, 4, **options).eval()
    torch.testing.assert_close(alone(red), alone(blue))  # plain pictures without an edge
    assert (network.eval()(red) - network(blue)).abs().max() > 1e-3


def test_the_network_of_the_fast_recipe_is_one_of_its_parameters():
    options = {"widths": (64, 128), "kernel_sizes": 3, "strides": 1, "pools": 1, "padding": "valid", "hidden": (128,)}
    options |= {"orientations": 8}
    network = CnnNetwork(1, 28, 28, 10, **options)
    assert sum(parameter.numel() for parameter in network.parameters()) == 227_722
    again = CnnNetwork(1, 28, 28, 10, **options)
    again.load_state_dict(network.state_dict())
    pictures = torch.rand(4, 1, 28, 28)
    torch.testing.assert_close(again.eval()(pictures), network.eval()(pictures))


def test_pictures_too_small_for_stages_on_gradients_are_refused():
    with pytest.raises(RecipeError, match="8 x 8 pixels are too small for 3 stages"):
        CnnNetwork(1, 8, 8, 10, orientations=8)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_hidden_layers_stand_between_the_stages_and_the_last(batch_norm):
    torch.manual_seed(0)
    network = CnnNetwork(1, 28, 28, 10, hidden=(7, 5), batch_norm=batch_norm).eval()
    pictures = torch.rand(3, 1, 28, 28)
    values = network.stages(pictures).flatten(1)
    for layer in network.hidden:
        values = layer(values)
    assert values.shape == (3, 5)
    assert float(values.detach().min()) == 0
    torch.testing.assert_close(network(pictures), network.linear(values))
    plain = CnnNetwork(1, 28, 28, 10, batch_norm=batch_norm)
    layers = 1152 * 7 + 7 * 5 + (2 * 12 if batch_norm else 12)
    more = layers + 10 * 5 - 10 * 1152
    count, without = (sum(parameter.numel() for parameter in net.parameters()) for net in (network, plain))
    assert count - without == more
