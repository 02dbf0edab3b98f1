import pytest
import torch

from polylogit.errors import RecipeError
from polylogit.networks import ResidualNetwork


@pytest.mark.parametrize("form", [(1, 28, 28), (3, 32, 32), (1, 5, 19)])
def test_every_size_of_picture_gets_its_logits(form):
    network = ResidualNetwork(*form, 4, stem=4, widths=(8, 8))
    assert network(torch.rand(2, *form)).shape == (2, 4)


def test_a_block_adds_to_what_it_is_given():
    network = ResidualNetwork(1, 8, 8, 3, stem=4, widths=(4,), blocks=1).eval()
    without = ResidualNetwork(1, 8, 8, 3, stem=4, widths=(4,), blocks=0).eval()
    state = {name: value for name, value in network.state_dict().items() if name in without.state_dict()}
    without.load_state_dict(state)
    last_norm = network.layers[2].branch[1][1]
    torch.nn.init.zeros_(last_norm.weight)
    torch.nn.init.zeros_(last_norm.bias)
    pictures = torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(network(pictures), without(pictures))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": (8, 8, 8, 8, 8)}, "too small for 5 stages"),
        ({"widths": ()}, "expected counts of at least 1"),
        ({"stem_kernel": 4}, "expected an odd number, got 4"),
        ({"dropout": 1.5}, "expected a share in"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(RecipeError, match=message):
        ResidualNetwork(1, 28, 28, 10, **options)
