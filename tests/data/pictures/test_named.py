"""Small data sets in the official formats, with checksums of their own where torchvision publishes some."""

import gzip
import hashlib
import pickle

import numpy as np
import pytest
import torch
import torchvision

from polylogit.data.pictures.named import read_named_pictures
from polylogit.data.pictures.sources import open_named_pictures
from polylogit.errors import DataError

EMNIST = {"balanced": 47, "byclass": 62, "bymerge": 47, "digits": 10, "letters": 26, "mnist": 10}
PIXELS = {"train": 6, "test": 3}


def idx(values, kind=8):
    array = np.asarray(values)
    sides = b"".join(side.to_bytes(4, "big") for side in array.shape)
    return bytes([0, 0, kind, array.ndim]) + sides + array.astype(">u1" if kind == 8 else ">i4").tobytes()


def pictures(part):
    count = PIXELS[part]
    return np.arange(count * 20, dtype=np.uint8).reshape(count, 4, 5)


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def make_kmnist(root, monkeypatch):
    resources = []
    for part, prefix in (("train", "train"), ("test", "t10k")):
        for name, values in (
            ("images-idx3", pictures(part)),
            ("labels-idx1", np.arange(PIXELS[part], dtype=np.uint8)),
        ):
            file = f"{prefix}-{name}-ubyte.gz"
            resources.append((file, put(root / "KMNIST" / "raw" / file, gzip.compress(idx(values)))))
    monkeypatch.setattr(torchvision.datasets.KMNIST, "resources", resources)


def make_qmnist(root, monkeypatch):
    resources = {}
    for part, count in PIXELS.items():
        labels = np.arange(count * 8).reshape(count, 8)
        labels[:, 0] = np.arange(count) + 2
        files = (
            (f"qmnist-{part}-images-idx3-ubyte.gz", idx(pictures(part))),
            (f"qmnist-{part}-labels-idx2-int.gz", idx(labels, kind=12)),
        )
        resources[part] = [
            (f"https://example.org/qmnist/{name}", put(root / "QMNIST" / "raw" / name, gzip.compress(content)))
            for name, content in files
        ]
    monkeypatch.setattr(torchvision.datasets.QMNIST, "resources", resources)


def make_emnist(root, split, *, packed=False):
    first = 1 if split == "letters" else 0
    for part, count in PIXELS.items():
        for name, values in (
            ("images-idx3", pictures(part)),
            ("labels-idx1", np.arange(first, first + count, dtype=np.uint8)),
        ):
            file = root / "EMNIST" / "raw" / f"emnist-{split}-{part}-{name}-ubyte"
            put(
                file.with_name(f"{file.name}.gz") if packed else file,
                gzip.compress(idx(values)) if packed else idx(values),
            )


def make_cifar(root, monkeypatch, kind, *, labels, key, protocol=2):
    """As the authors made it: dictionaries pickled by protocol 2."""

    def batch(count, start):
        data = (np.arange(count * 3072) + start).astype(np.uint8).reshape(count, 3072)
        return pickle.dumps({"data": data, labels: [(start + row) % 2 for row in range(count)]}, protocol=protocol)

    folder = root / kind.base_folder
    for name, start in (("train_list", 0), ("test_list", 1)):
        listed = [[file, put(folder / file, batch(2, start + at))] for at, (file, _) in enumerate(getattr(kind, name))]
        monkeypatch.setattr(kind, name, listed)
    names = pickle.dumps({key: ["cat", "dog"]}, protocol=protocol)
    meta = {**kind.meta, "md5": put(folder / kind.meta["filename"], names)}
    monkeypatch.setattr(kind, "meta", meta)


@pytest.fixture
def no_network(monkeypatch):
    """Torchvision finds nothing to fetch."""

    def refuse(*arguments, **options):
        raise RuntimeError("Error downloading")

    for module in (torchvision.datasets.mnist, torchvision.datasets.cifar):
        monkeypatch.setattr(module, "download_and_extract_archive", refuse)
    monkeypatch.setattr(torchvision.datasets.MNIST, "download", refuse)


def test_kmnist(tmp_path, monkeypatch):
    make_kmnist(tmp_path, monkeypatch)
    source = open_named_pictures("kmnist", tmp_path)
    assert source.pictures.pixels[:6, 0].tolist() == pictures("train").tolist()
    assert source.targets.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2]
    assert source.class_names[0] == "o"
    assert len(source.class_names) == 10
    assert source.own_split.test.tolist() == [6, 7, 8]


def test_qmnist_takes_the_digit_of_its_longer_labels(tmp_path, monkeypatch):
    make_qmnist(tmp_path, monkeypatch)
    source = open_named_pictures("qmnist", tmp_path)
    assert source.targets.tolist() == [2, 3, 4, 5, 6, 7, 2, 3, 4]
    assert source.class_names == tuple("0123456789")
    assert source.pictures.pixels.shape == (9, 1, 4, 5)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("split", "classes"), EMNIST.items())
def test_emnist_stands_upright_and_counts_from_its_first_class(tmp_path, split, classes, packed):
    make_emnist(tmp_path, split, packed=packed)
    source = open_named_pictures(f"emnist-{split}", tmp_path)
    assert source.pictures.pixels.shape == (9, 1, 5, 4)
    assert torch.equal(source.pictures.pixels[0, 0], torch.from_numpy(pictures("train")[0]).T)
    assert source.targets.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2]
    assert len(source.class_names) == classes
    assert source.class_names[0] == ("a" if split == "letters" else "0")


@pytest.mark.parametrize(
    ("called", "labels", "key"),
    [("CIFAR10", "labels", "label_names"), ("CIFAR100", "fine_labels", "fine_label_names")],
)
def test_cifar_comes_channels_first(tmp_path, monkeypatch, called, labels, key):
    kind = getattr(torchvision.datasets, called)
    make_cifar(tmp_path, monkeypatch, kind, labels=labels, key=key)
    source = open_named_pictures(called.lower(), tmp_path)
    assert source.pictures.pixels.shape[1:] == (3, 32, 32)
    assert source.pictures.pixels[0].flatten()[:3].tolist() == [0, 1, 2]
    assert source.pictures.pixels[0, 1, 0, 0] == 1024 % 256
    assert source.class_names == ("cat", "dog")
    assert len(source.own_split.train) == 2 * len(kind.train_list)
    assert source.targets[:2].tolist() == [0, 1]
    expected = kind(tmp_path, train=True)
    assert np.array_equal(source.pictures.pixels[source.own_split.train].permute(0, 2, 3, 1).numpy(), expected.data)
    assert source.targets[source.own_split.train].tolist() == expected.targets


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("kmnist", ["KMNIST/raw/train-images-idx3-ubyte.gz", "KMNIST/raw/t10k-labels-idx1-ubyte.gz"]),
        ("qmnist", ["QMNIST/raw/qmnist-train-images-idx3-ubyte.gz", "QMNIST/raw/qmnist-test-labels-idx2-int.gz"]),
        ("emnist-letters", ["EMNIST/raw/emnist-letters-test-images-idx3-ubyte.gz", "EMNIST/raw/gzip.zip"]),
        ("cifar10", ["cifar-10-batches-py/data_batch_5", "cifar-10-python.tar.gz"]),
        ("cifar100", ["cifar-100-python/train", "cifar-100-python/meta", "cifar-100-python.tar.gz"]),
    ],
)
@pytest.mark.usefixtures("no_network")
def test_without_files_and_network_every_file_and_its_place_is_named(tmp_path, name, files):
    with pytest.raises(DataError) as fault:
        read_named_pictures(name, tmp_path)
    for words in (*files, "cannot be fetched", "--data-root", "POLYLOGIT_DATA"):
        assert words in str(fault.value)


@pytest.mark.usefixtures("no_network")
def test_only_what_is_missing_is_asked_for(tmp_path, monkeypatch):
    make_kmnist(tmp_path, monkeypatch)
    (tmp_path / "KMNIST" / "raw" / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"published: \S*train-labels-idx1-ubyte\.gz\. Another"):
        read_named_pictures("kmnist", tmp_path)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("kmnist", "KMNIST/raw/t10k-images-idx3-ubyte.gz"),
        ("qmnist", "QMNIST/raw/qmnist-train-labels-idx2-int.gz"),
        ("cifar10", "cifar-10-batches-py/data_batch_3"),
        ("cifar10", "cifar-10-batches-py/batches.meta"),
    ],
)
def test_a_file_with_another_checksum_is_named(tmp_path, monkeypatch, name, file):
    make_kmnist(tmp_path, monkeypatch)
    make_qmnist(tmp_path, monkeypatch)
    make_cifar(tmp_path, monkeypatch, torchvision.datasets.CIFAR10, labels="labels", key="label_names")
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=rf"{path.name}: the MD5 checksum is \w+, expected \w+: the file is cut short"):
        read_named_pictures(name, tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got an empty file"),
        (idx(np.zeros((3, 4, 5)))[:-1], "an IDX file of 3 x 4 x 5 has 76 bytes, this one 75"),
        (idx(np.zeros(3)), "which starts with 00 00 08 03, got 00 00 08 01"),
        (b"\x1f\x8b\x08 not a picture", "which starts with 00 00 08 03, got 1f 8b 08 20"),
    ],
)
def test_a_file_that_is_cut_short_or_another_is_named_where_no_checksum_is_published(tmp_path, content, message):
    make_emnist(tmp_path, "digits")
    put(tmp_path / "EMNIST" / "raw" / "emnist-digits-test-images-idx3-ubyte", content)
    with pytest.raises(DataError, match=rf"emnist-digits-test-images-idx3-ubyte: .*{message}"):
        read_named_pictures("emnist-digits", tmp_path)
