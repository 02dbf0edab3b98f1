import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, JpegImagePlugin

from polylogit.data.pictures.files import common_form, read_pictures
from polylogit.data.pictures.listing import list_picture_folder
from polylogit.data.pictures.sources import open_pictures
from polylogit.errors import DataError


def save(path, size=(8, 8), mode="L", colour=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


@pytest.fixture
def folder(tmp_path):
    for name, shade in (("dark", 10), ("light", 240)):
        for number in range(3):
            save(tmp_path / name / f"{number}.png", colour=shade)
    return tmp_path


def test_a_folder_per_class_gives_pictures_and_labels(folder):
    (folder / "dark" / "notes.txt").write_text("not a picture")
    (folder / ".cache").mkdir()
    source = open_pictures(str(folder))
    assert source.class_names == ("dark", "light")
    assert source.targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert source.pictures.pixels.shape == (6, 1, 8, 8)
    assert source.pictures.pixels[:, 0, 0, 0].tolist() == [10] * 3 + [240] * 3
    assert source.pictures.files[0].endswith("0.png")


def test_the_fingerprint_follows_names_and_bytes(folder):
    before = open_pictures(str(folder)).fingerprint
    assert open_pictures(str(folder)).fingerprint == before
    (folder / "dark" / "0.png").rename(folder / "dark" / "9.png")
    renamed = open_pictures(str(folder)).fingerprint
    save(folder / "dark" / "9.png", colour=11)
    assert len({before, renamed, open_pictures(str(folder)).fingerprint}) == 3


@pytest.mark.parametrize("ending", ["png", "jpg", "jpeg", "webp", "bmp"])
def test_every_kind_of_file_is_read(tmp_path, ending):
    file = save(tmp_path / f"a.{ending}", mode="RGB", colour=(200, 100, 50))
    pixels = read_pictures([file], (3, 8, 8)).pixels
    assert np.abs(pixels[0, :, 4, 4].numpy().astype(int) - (200, 100, 50)).max() <= 6


def test_one_size_is_kept_and_mixed_sizes_are_brought_to_64(tmp_path):
    same = [save(tmp_path / f"{number}.png", size=(30, 20)) for number in range(2)]
    assert common_form(same) == (1, 20, 30)
    other = save(tmp_path / "other.png", size=(20, 30))
    assert common_form([*same, other]) == (1, 64, 64)
    assert common_form([save(tmp_path / "large.png", size=(97, 20))]) == (1, 64, 64)
    assert common_form(same, side=16) == (1, 16, 16)


def test_one_picture_in_colour_makes_all_colour(tmp_path):
    grey, colour = save(tmp_path / "grey.png"), save(tmp_path / "colour.png", mode="RGB", colour=(1, 2, 3))
    assert common_form([grey, colour]) == (3, 8, 8)


def test_what_stands_out_is_cut_off_evenly(tmp_path):
    values = np.zeros((10, 30), dtype=np.uint8)
    values[:, 10:20] = 255
    Image.fromarray(values).save(tmp_path / "wide.png")
    pixels = read_pictures([tmp_path / "wide.png"], (1, 10, 10)).pixels
    assert pixels.unique().tolist() == [255]


def test_a_photograph_is_turned_as_its_camera_was(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    picture = Image.new("L", (8, 4))
    picture.putpixel((0, 0), 255)
    picture.save(tmp_path / "turned.png", exif=exif)
    pixels = read_pictures([tmp_path / "turned.png"], (1, 8, 4)).pixels
    assert (pixels[0, 0] == 255).nonzero().tolist() == [[0, 3]]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "the file is empty"), (b"GIF89a nonsense", "no picture can be read"), (None, "no picture can be read")],
)
def test_a_broken_picture_is_named(folder, content, message):
    file = folder / "light" / "1.png"
    noise = np.random.default_rng(0).integers(256, size=(64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(file)
    file.write_bytes(file.read_bytes()[:2000] if content is None else content)
    with pytest.raises(DataError, match=rf"light/1\.png: {message}"):
        open_pictures(str(folder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: save(folder / "stray.png"), "1 picture is beside the class folders, the first is stray.png"),
        (lambda folder: (folder / "empty").mkdir(), "empty: no picture in this class folder"),
        (lambda folder: (folder / "dark").rename(folder / ".dark"), "found only light"),
    ],
)
def test_a_folder_that_is_not_class_by_class_is_refused(folder, change, message):
    change(folder)
    with pytest.raises(DataError, match=message):
        list_picture_folder(folder)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"expected at least two folders, .* found no folder"):
        list_picture_folder(tmp_path)


def test_a_small_file_that_claims_billions_of_pixels_is_refused_unread(folder):
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    (folder / "dark" / "9.png").write_bytes(content)
    with pytest.raises(DataError, match=r"9\.png"):
        open_pictures(str(folder))


def test_a_large_jpeg_is_decoded_small_and_looks_the_same(tmp_path, monkeypatch):
    """Whatever its orientation: the pixels are within two of 255 of those of a full decode, on average."""
    ramp = np.add.outer(np.linspace(0, 200, 1200), np.linspace(0, 55, 1600))
    for orientation in (1, 6):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(ramp.astype(np.uint8)).convert("RGB").save(tmp_path / "large.jpg", exif=exif)
        small = read_pictures([tmp_path / "large.jpg"], (3, 64, 48)).pixels.float()
        with monkeypatch.context() as patch:
            patch.setattr(JpegImagePlugin.JpegImageFile, "draft", lambda *_: None)
            full = read_pictures([tmp_path / "large.jpg"], (3, 64, 48)).pixels.float()
        assert (small - full).abs().mean() < 2
        assert full.std() > 20
    with Image.open(tmp_path / "large.jpg") as image:
        image.draft(None, (128, 128))
        assert image.size == (200, 150)  # an eighth of each side


def test_threads_change_nothing_and_report_their_progress(folder):
    draw, files = np.random.default_rng(0), []
    for number in range(70):
        files.append(folder / f"{number}.png")
        Image.fromarray(draw.integers(0, 256, (9, 11, 3), dtype=np.uint8)).save(files[-1])
    seen = []
    together = read_pictures(files, (3, 8, 8), threads=4, on_progress=lambda *counts: seen.append(counts))
    assert seen == [(64, 70), (70, 70)]
    assert torch.equal(together.pixels, read_pictures(files, (3, 8, 8), threads=1).pixels)


def test_broken_files_are_named_in_their_order_by_several_threads(folder):
    files = [folder / f"{number}.png" for number in range(8)]
    for file in files:
        file.write_bytes(b"no picture")
    with pytest.raises(DataError, match="8 pictures cannot be read") as fault:
        read_pictures(files, (1, 8, 8), threads=4)
    named = [str(fault.value).index(str(file)) for file in files]
    assert named == sorted(named)
