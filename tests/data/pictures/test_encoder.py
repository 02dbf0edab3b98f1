import numpy as np
import pytest
import torch

from polylogit.data.pictures.encoder import PictureEncoder, Pictures, pictures_from_array
from polylogit.errors import DataError, ModelFileError


@pytest.fixture
def colour():
    return torch.randint(256, (50, 3, 6, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_prepared_training_pictures_have_mean_zero_and_spread_one_in_each_channel(colour):
    colour[:, 1] //= 3
    encoder = PictureEncoder.fit(colour)
    prepared = encoder.prepare(colour)
    assert prepared.dtype == torch.float32
    torch.testing.assert_close(prepared.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(prepared.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)


def test_the_fit_is_that_of_a_float_copy(colour):
    encoder = PictureEncoder.fit(colour)
    values = colour.double() / 255
    torch.testing.assert_close(encoder.mean, values.mean((0, 2, 3)))
    torch.testing.assert_close(encoder.scale, values.std((0, 2, 3), correction=0))


def test_a_constant_channel_becomes_zero():
    encoder = PictureEncoder.fit(torch.full((4, 1, 2, 2), 7, dtype=torch.uint8))
    assert bool((encoder.prepare(torch.full((1, 1, 2, 2), 7, dtype=torch.uint8)).abs() < 1e-5).all())


def test_an_encoder_comes_back_from_its_state(colour):
    encoder = PictureEncoder.fit(colour)
    again = PictureEncoder.from_state(encoder.as_json(), encoder.tensors())
    assert again.input_shape == (3, 6, 5)
    assert again.features == 90
    assert torch.equal(again.prepare(colour), encoder.prepare(colour))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "preprocessing.mean: expected torch.float64 .1., found nothing"),
        ({"mean": torch.zeros(1, dtype=torch.float64)}, "preprocessing.scale: .* found nothing"),
        ({"mean": torch.zeros(2, dtype=torch.float64)}, "found torch.float64 .2."),
        (
            {"mean": torch.zeros(1, dtype=torch.float64), "scale": torch.zeros(1, dtype=torch.float64)},
            "every scale must be positive",
        ),
    ],
)
def test_a_state_that_does_not_fit_is_refused(tensors, message):
    state = {"kind": "picture", "channels": 1, "height": 2, "width": 2}
    with pytest.raises(ModelFileError, match=message):
        PictureEncoder.from_state(state, tensors)


def test_pictures_of_another_form_are_refused(colour):
    encoder = PictureEncoder.fit(colour)
    assert encoder.encode(Pictures(colour)) is colour
    with pytest.raises(DataError, match="takes colour pictures of 6 x 5 pixels, got grey pictures of 6 x 6 pixels"):
        encoder.encode(torch.zeros(2, 1, 6, 6, dtype=torch.uint8))


@pytest.mark.parametrize(
    ("shape", "form"),
    [((2, 4, 5), (1, 4, 5)), ((2, 4, 5, 3), (3, 4, 5)), ((2, 3, 4, 5), (3, 4, 5)), ((2, 4, 5, 1), (1, 4, 5))],
)
def test_arrays_of_every_usual_shape_are_taken(shape, form):
    array = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)
    pixels = pictures_from_array(array)
    assert pixels.shape == (2, *form)
    assert sorted(pixels.flatten().tolist()) == sorted(array.flatten().tolist())


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 4, 4), dtype=np.float32), "expected uint8 values from 0 to 255, got torch.float32"),
        (np.zeros((4, 4), dtype=np.uint8), r"expected the shape .* got \(4, 4\)"),
        (np.zeros((0, 4, 4), dtype=np.uint8), r"got \(0, 4, 4\)"),
        (np.zeros((2, 4, 5, 4), dtype=np.uint8), r"got \(2, 4, 5, 4\)"),
    ],
)
def test_other_arrays_are_refused(array, message):
    with pytest.raises(DataError, match=message):
        pictures_from_array(array)
