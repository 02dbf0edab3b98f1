import pytest
import torch

from polylogit.errors import RecipeError
from polylogit.networks import CnnNetwork, ResidualNetwork
from polylogit.networks.test_time_augmentation import mean_over_views, without_test_time_augmentation

PICTURES = torch.arange(1.0, 10.0).reshape(1, 1, 3, 3)


def middle(pictures):
    return pictures[:, :, 1, 0]


@pytest.mark.parametrize(
    ("views", "seen"),
    [("one", [4]), ("mirror", [4, 6]), ("cross", [4, 1, 7, 4, 5]), ("mirror-cross", [4, 1, 7, 4, 5, 6, 3, 9, 6, 5])],
)
def test_each_view_counts_alike(views, seen):
    expected = torch.tensor([[sum(seen) / len(seen)]])
    torch.testing.assert_close(mean_over_views(middle, PICTURES, views), expected)


def test_no_view_brings_in_a_value_that_was_not_there():
    seen = []
    mean_over_views(lambda view: seen.append(view) or view.flatten(1), PICTURES, "mirror-cross")
    assert len(seen) == 10
    assert all(set(view.unique().tolist()) <= set(PICTURES.unique().tolist()) for view in seen)


@pytest.mark.parametrize("kind", [CnnNetwork, ResidualNetwork])
def test_networks_average_outside_training_alone(kind):
    torch.manual_seed(0)
    pictures = torch.rand(4, 1, 28, 28)
    network = kind(1, 28, 28, 10, views="mirror")
    plain = kind(1, 28, 28, 10)
    plain.load_state_dict(network.state_dict())
    torch.testing.assert_close(network.train()(pictures), plain.train()(pictures))
    plain.load_state_dict(network.eval().state_dict())
    plain.eval()
    torch.testing.assert_close(network(pictures), (plain(pictures) + plain(pictures.flip(3))) / 2)


def test_unknown_views_are_refused():
    with pytest.raises(RecipeError, match="Did you mean"):
        CnnNetwork(1, 28, 28, 10, views="mirrors")


def test_one_view_is_evaluated_while_that_is_asked_for_even_after_an_error():
    network = CnnNetwork(1, 28, 28, 10, views="cross")
    seen = []

    def fail():
        with without_test_time_augmentation(network):
            seen.append(network.views)
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert [*seen, network.views] == ["one", "cross"]
