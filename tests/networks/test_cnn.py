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
        ({"padding": "full"}, 'expected "same" or "valid"'),
        ({"blocks": -1}, "blocks: expected numbers of at least 0"),
        ({"blocks": (0, 1)}, "blocks: expected one number or 3"),
        ({"blocks": 1, "batch_norm": False}, "residual blocks need batch_norm"),
        ({"dropout": -0.1}, "expected a share in"),
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
