"""Occlusion maps of models that look at a known place."""

import pytest
import torch
from PIL import Image

from polylogit.errors import DataError
from polylogit.recipes import recipe_from_entries
from polylogit.run import train
from polylogit.run.occlusion import occlusion_maps


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Which corner of a wide picture is lit; the other light, in the middle, says nothing."""
    folder = tmp_path_factory.mktemp("corners")
    for name, place in (("left", (1, 1)), ("right", (10, 1))):
        (folder / name).mkdir()
        for light in range(60, 120):
            picture = Image.new("L", (12, 8))
            picture.putpixel(place, light)
            picture.putpixel((6, 6), 255 - light)
            picture.save(folder / name / f"{light}.png")
    return train(str(folder), recipe_from_entries({}), out=folder / "model.safetensors")


def test_the_class_loses_most_where_the_light_of_its_corner_is(run):
    picture = torch.zeros(1, 1, 8, 12, dtype=torch.uint8)
    picture[..., 1, 10] = 100
    (fall,) = occlusion_maps(run.classifier, picture, places=4)
    assert fall.shape == (4, 6)
    assert divmod(int(fall.argmax()), 6) in {(0, 5), (1, 5), (0, 4), (1, 4)}
    assert fall[:, :3].abs().max() < 0.1 * fall.max()


def test_a_picture_has_the_same_map_alone_and_among_others(run):
    pictures = torch.randint(256, (3, 1, 8, 12), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    maps = occlusion_maps(run.classifier, pictures)
    assert torch.equal(maps[1], occlusion_maps(run.classifier, pictures[1:2])[0])


def test_a_plain_picture_has_nothing_to_cover(run):
    assert occlusion_maps(run.classifier, torch.full((1, 1, 8, 12), 7, dtype=torch.uint8)).abs().max() == 0


def test_a_table_has_no_maps(zoo_run):
    with pytest.raises(DataError, match="takes a table"):
        occlusion_maps(zoo_run.classifier, torch.zeros(1, 1, 8, 8, dtype=torch.uint8))
