import math

import numpy as np
import pytest
import torch

from polylogit.errors import RecipeError
from polylogit.networks.oriented_gradients import OrientedGradients


def maps_by_hand(picture, orientations, cell):
    """The formula of the docstring, by angles and loops over pixels and cells, for a picture (C, H, W)."""
    channels, height, width = picture.shape

    def value(channel, row, column):
        return picture[channel, min(max(row, 0), height - 1), min(max(column, 0), width - 1)]

    shares = np.zeros((orientations, height, width))
    for row in range(height):
        for column in range(width):
            slopes = [
                complex(
                    value(channel, row, column + 1) - value(channel, row, column - 1),
                    value(channel, row + 1, column) - value(channel, row - 1, column),
                )
                for channel in range(channels)
            ]
            steepest = max(slopes, key=abs)
            for k in range(orientations):
                turned = math.cos(np.angle(steepest) - 2 * math.pi * k / orientations)
                shares[k, row, column] = abs(steepest) * max(0.0, turned) ** 3
    weights = []
    for side in (height, width):
        centres = [(i + 0.5) * side / math.ceil(side / cell) - 0.5 for i in range(math.ceil(side / cell))]
        near = np.array([[max(0.0, 1 - abs(place - centre) / cell) for place in range(side)] for centre in centres])
        weights.append(near / near.sum(1, keepdims=True))
    cells = np.einsum("khw,ah,bw->kab", shares, *weights)
    energy = np.pad((cells**2).sum(0), 1, mode="edge")
    rows, columns = cells.shape[1:]
    for row in range(rows):
        for column in range(columns):
            around = energy[row : row + 3, column : column + 3].mean()
            cells[:, row, column] = np.sqrt(cells[:, row, column] / math.sqrt(around + 0.05**2))
    return cells


@pytest.mark.parametrize(
    ("form", "orientations", "cell"), [((1, 9, 7), 3, 2), ((3, 8, 8), 8, 4), ((2, 5, 12), 5, 3), ((1, 2, 3), 4, 6)]
)
def test_the_maps_are_those_of_the_formula(form, orientations, cell):
    picture = np.random.default_rng(0).normal(size=form)
    gradients = OrientedGradients(*form[1:], orientations=orientations, cell=cell)
    maps = gradients(torch.from_numpy(picture)[None])[0]
    expected = maps_by_hand(picture, orientations, cell)
    assert maps.shape == gradients.form == expected.shape
    # The root makes 1e-3 of the rounding error 1e-6 where no gradient points a direction's way.
    np.testing.assert_allclose(maps.numpy(), expected, atol=2e-3)
    np.testing.assert_allclose(maps.numpy() ** 2, expected**2, atol=1e-5)


def test_light_changes_nothing_and_a_quarter_turn_moves_the_orientations():
    torch.manual_seed(0)
    pictures, gradients = 100 * torch.randn(3, 1, 12, 12), OrientedGradients(12, 12, orientations=8, cell=3)
    maps = gradients(pictures)
    torch.testing.assert_close(gradients(3 * pictures + 50), maps, atol=1e-3, rtol=0)
    # Rows count downwards: turning the picture from its columns to its rows turns each direction by two of eight.
    turned = gradients(pictures.rot90(1, (3, 2)))
    torch.testing.assert_close(turned, maps.rot90(1, (3, 2)).roll(2, dims=1), atol=1e-3, rtol=0)


def test_every_picture_is_described_by_itself():
    torch.manual_seed(0)
    pictures, gradients = torch.randn(150, 1, 28, 28), OrientedGradients(28, 28)  # more than one block
    torch.testing.assert_close(gradients(pictures)[[0, 99, 149]], gradients(pictures[[0, 99, 149]]))


def test_flat_pictures_are_black_and_half_precision_is_not_taken():
    gradients = OrientedGradients(8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        maps = gradients(torch.full((2, 3, 8, 8), 5.0))
    assert maps.dtype == torch.float32
    assert torch.equal(maps, torch.zeros(2, 8, 2, 2))


def test_nothing_is_learned():
    assert not list(OrientedGradients(8, 8).parameters())


@pytest.mark.parametrize(
    ("options", "message"), [({"orientations": 2}, "at least 3 directions"), ({"cell": 0}, "at least 1 pixel")]
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(RecipeError, match=message):
        OrientedGradients(8, 8, **options)
