import gzip
import hashlib
import os
from pathlib import Path

import pytest
import torch
import torchvision

from polylogit.data.pictures.sources import default_data_root, open_named_pictures
from polylogit.errors import DataError

DATA = os.environ.get("POLYLOGIT_DATA")
needs_data = pytest.mark.skipif(
    DATA is None or not (Path(DATA) / "FashionMNIST").exists(),
    reason="needs the FashionMNIST files; set POLYLOGIT_DATA to the folder that holds FashionMNIST/raw",
)


def idx(values):
    sides = b"".join(side.to_bytes(4, "big") for side in values.shape)
    return bytes([0, 0, 8, values.ndim]) + sides + values.numpy().tobytes()


@pytest.fixture
def small_mnist(tmp_path, monkeypatch):
    """An MNIST of six training and three test pictures, with checksums of its own."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    resources = []
    for prefix, count in (("train", 6), ("t10k", 3)):
        pixels = torch.arange(count * 16, dtype=torch.uint8).reshape(count, 4, 4)
        labels = torch.arange(count, dtype=torch.uint8)
        for name, values in ((f"{prefix}-images-idx3-ubyte.gz", pixels), (f"{prefix}-labels-idx1-ubyte.gz", labels)):
            content = gzip.compress(idx(values), mtime=0)
            (raw / name).write_bytes(content)
            resources.append((name, hashlib.md5(content, usedforsecurity=False).hexdigest()))
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)
    return tmp_path


def test_the_data_sets_own_split_is_kept(small_mnist):
    source = open_named_pictures("mnist", small_mnist)
    assert source.pictures.pixels.shape == (9, 1, 4, 4)
    assert source.targets.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2]
    assert source.own_split.train.tolist() == [0, 1, 2, 3, 4, 5]
    assert source.own_split.test.tolist() == [6, 7, 8]
    assert source.class_names == tuple("0123456789")


def test_unpacked_files_do_as_well(small_mnist):
    packed = open_named_pictures("mnist", small_mnist)
    for file in list((small_mnist / "MNIST" / "raw").iterdir()):
        file.with_suffix("").write_bytes(gzip.decompress(file.read_bytes()))
        file.unlink()
    assert open_named_pictures("mnist", small_mnist).fingerprint == packed.fingerprint


def test_a_file_with_another_checksum_is_named(small_mnist):
    file = small_mnist / "MNIST" / "raw" / "t10k-labels-idx1-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz: the MD5 checksum is"):
        open_named_pictures("mnist", small_mnist)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 2, 3, 4], "6 training pictures, but 5 labels"),
        ([0, 1, 2, 3, 4, 17], r"labels\[5\]: expected a class index from 0 to 9, got 17"),
    ],
)
def test_labels_that_do_not_belong_are_refused(small_mnist, labels, message):
    raw = small_mnist / "MNIST" / "raw"
    (raw / "train-labels-idx1-ubyte.gz").unlink()
    (raw / "train-labels-idx1-ubyte").write_bytes(idx(torch.tensor(labels, dtype=torch.uint8)))
    with pytest.raises(DataError, match=message):
        open_named_pictures("mnist", small_mnist)


def test_without_files_and_without_a_network_the_files_are_named(tmp_path, monkeypatch):
    def no_network(*arguments, **options):
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz")

    monkeypatch.setattr(torchvision.datasets.MNIST, "download", no_network)
    with pytest.raises(DataError) as fault:
        open_named_pictures("mnist", tmp_path / "nowhere")
    for word in ("cannot be fetched", "MNIST/raw/t10k-labels-idx1-ubyte.gz", "--data-root", "POLYLOGIT_DATA"):
        assert word in str(fault.value)


def test_the_root_is_the_environments_or_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("POLYLOGIT_DATA", str(tmp_path))
    assert default_data_root() == tmp_path
    monkeypatch.delenv("POLYLOGIT_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_data_root() == tmp_path / "polylogit"


@needs_data
def test_the_real_fashion_mnist_is_read_from_a_folder_that_cannot_be_written():
    source = open_named_pictures("fashion-mnist", Path(DATA))
    assert source.pictures.pixels.shape == (70000, 1, 28, 28)
    assert source.class_names[int(source.targets[301])] == "Shirt"
    assert source.targets.bincount().tolist() == [7000] * 10
