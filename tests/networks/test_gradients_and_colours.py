import pytest
import torch

from polylogit.networks.gradients_and_colours import GradientsAndColours
from polylogit.networks.oriented_gradients import OrientedGradients


def test_mean_and_deviation_of_each_channel_stand_behind_the_gradients():
    torch.manual_seed(0)
    pictures = torch.randn(5, 3, 12, 8)
    layer = GradientsAndColours(3, 12, 8, orientations=5, cell=4)
    maps = layer(pictures)
    assert maps.shape == (5, *layer.form) == (5, 11, 3, 2)
    torch.testing.assert_close(maps[:, :5], OrientedGradients(12, 8, orientations=5, cell=4)(pictures))
    rows = (1 - (torch.arange(12) - 5.5).abs() / 4).clamp_min(0)  # distances from the centre of the second cell
    columns = (1 - (torch.arange(8) - 1.5).abs() / 4).clamp_min(0)
    weights = rows[:, None] * columns / (rows.sum() * columns.sum())
    torch.testing.assert_close(maps[:, 5:8, 1, 0], (pictures * weights).sum((2, 3)))
    means = maps[:, 5:8]
    between = torch.nn.functional.interpolate(means, size=(12, 8), mode="bilinear", align_corners=False)
    expected = ((pictures - between).square() * weights).sum((2, 3)).sqrt()
    torch.testing.assert_close(maps[:, 8:, 1, 0], expected)


@pytest.mark.parametrize("value", [1.001, -3.3])
def test_flat_pictures_have_no_deviation_and_half_precision_is_not_taken(value):
    layer = GradientsAndColours(3, 9, 11, cell=4)
    with torch.autocast("cpu", torch.bfloat16):
        maps = layer(torch.full((2, 3, 9, 11), value))
    assert maps.dtype == torch.float32
    torch.testing.assert_close(maps[:, 8:11], torch.full((2, 3, 3, 3), value))
    assert maps[:, 11:].abs().max() < 2e-6


def test_every_picture_is_described_by_itself():
    torch.manual_seed(0)
    pictures, layer = torch.randn(150, 3, 28, 28), GradientsAndColours(3, 28, 28)  # more than one block
    torch.testing.assert_close(layer(pictures)[[0, 99, 149]], layer(pictures[[0, 99, 149]]))
    assert not list(layer.parameters())
