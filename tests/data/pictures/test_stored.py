import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from polylogit.data.pictures import sources as picture_sources
from polylogit.data.pictures import unlabelled
from polylogit.data.pictures.augmentation import Augmentation
from polylogit.data.pictures.encoder import PictureEncoder, Pictures
from polylogit.data.pictures.files import read_pictures
from polylogit.data.pictures.sources import PictureFiles, open_pictures
from polylogit.data.pictures.stored import StoredPictures, blocks_of_rows
from polylogit.data.pictures.unlabelled import read_unlabelled
from polylogit.errors import DataError
from polylogit.fitting.loop import fit_network
from polylogit.fitting.options import TrainingOptions

FORM = (3, 8, 8)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    draw = np.random.default_rng(0)
    paths = [folder / ("dark" if number % 2 else "light") / f"{number:02}.png" for number in range(40)]
    for number, path in enumerate(paths):
        path.parent.mkdir(exist_ok=True)
        values = draw.integers(0, 120, size=(9, 8 + number % 2, 3), dtype=np.uint8) + (number % 2) * 120
        Image.fromarray(values.astype(np.uint8)).save(path)
    return paths


@pytest.fixture
def kept(files):
    return read_pictures(files, FORM).pixels


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_the_rows_asked_for(files, kept, workers):
    stored = StoredPictures(files, FORM, workers=workers)
    wanted = [torch.tensor([3, 39, 0]), slice(5, 9), torch.tensor([7])]
    for rows, batch in zip(wanted, stored.batches(wanted), strict=True):
        assert torch.equal(batch, kept[rows])
    assert torch.equal(torch.cat(list(blocks_of_rows(stored, 7))), kept)
    assert torch.equal(stored[torch.tensor([5, 1])].read(), kept[[5, 1]])
    assert torch.equal(stored[2:4][1], kept[3])
    assert (stored.shape, stored.ndim, stored.dtype, len(stored)) == (tuple(kept.shape), 4, torch.uint8, 40)


def test_reading_draws_nothing_from_the_generator_of_the_fit(files):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    for _ in StoredPictures(files, FORM, workers=1).blocks(20):
        pass
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_fit_goes_as_if_all_lay_in_memory(files, kept, workers):
    def fit(inputs):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.2), nn.Flatten(), nn.Linear(144, 2))
        result = fit_network(
            network,
            inputs[torch.arange(30)],
            torch.arange(30) % 2,
            options=TrainingOptions(epochs=2, batch_size=8),
            validation=(inputs[torch.arange(30, 40)], torch.arange(10) % 2),
            prepare=PictureEncoder.fit(kept).prepare,
            augment=Augmentation(flip=True, shift=2),
        )
        return network.state_dict(), [record.validation_loss for record in result.history]

    in_memory, losses = fit(kept)
    stored, stored_losses = fit(StoredPictures(files, FORM, workers=workers))
    assert all(torch.equal(value, stored[name]) for name, value in in_memory.items())
    assert stored_losses == losses


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_picture_is_named_also_by_another_process(files, tmp_path, workers):
    broken = tmp_path / "broken.png"
    broken.write_bytes(files[0].read_bytes()[:60])
    stored = StoredPictures([*files[:5], broken], FORM, workers=workers)
    with pytest.raises(DataError, match=r"^\S*broken\.png: no picture can be read from it \(.*\)\. Replace the file"):
        stored.check()


def test_a_folder_too_big_for_memory_stays_in_its_files(files, monkeypatch):
    folder = files[0].parents[1]
    assert isinstance(open_pictures(str(folder)).pictures, Pictures)
    assert isinstance(open_pictures(str(folder), reading=PictureFiles(in_memory="never")).pictures, StoredPictures)
    needed = 2 * 40 * 3 * 64 * 64
    monkeypatch.setattr(picture_sources, "available_memory", lambda device: needed)
    assert isinstance(open_pictures(str(folder)).pictures, Pictures)
    monkeypatch.setattr(picture_sources, "available_memory", lambda device: needed - 1)
    assert isinstance(open_pictures(str(folder)).pictures, StoredPictures)
    assert isinstance(read_unlabelled(str(folder), (3, 64, 64)).pictures, StoredPictures)
    with pytest.raises(DataError, match=r"40 pictures need 960\.0 KiB in memory .* and 960\.0 KiB are free"):
        open_pictures(str(folder), reading=PictureFiles(in_memory="always"))


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_pictures_of_all_batches_are_named_at_once(files, tmp_path, workers):
    broken = [tmp_path / f"{place}.png" for place in range(2)]
    for file in broken:
        file.write_bytes(files[0].read_bytes()[:60])
    stored = StoredPictures([broken[0], *files[:5], broken[1]], FORM, workers=workers)
    with pytest.raises(DataError, match=r"(?s)2 pictures cannot be read.*0\.png.*1\.png"):
        next(stored.batches([slice(0, 1), slice(1, 7)]))


def test_more_pictures_than_need_be_kept_are_predicted_from_their_files(files, monkeypatch):
    folder = str(files[0].parents[1])
    assert isinstance(read_unlabelled(folder, (3, 64, 64)).pictures, Pictures)
    monkeypatch.setattr(unlabelled, "_MOST_KEPT", 40 * 3 * 64 * 64 - 1)
    assert isinstance(read_unlabelled(folder, (3, 64, 64)).pictures, StoredPictures)
