import gzip
import hashlib

import pytest
import torch

from polylogit.data.pictures.idx import read_idx
from polylogit.errors import DataError

PICTURES = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3]) + bytes(range(6))


@pytest.mark.parametrize("packed", [False, True])
def test_values_come_in_their_shape(tmp_path, packed):
    path = tmp_path / ("pictures.gz" if packed else "pictures")
    path.write_bytes(gzip.compress(PICTURES) if packed else PICTURES)
    assert read_idx(path, axes=3).tolist() == [[[0, 1, 2]], [[3, 4, 5]]]


def test_the_checksum_is_that_of_the_file_as_it_is(tmp_path):
    path = tmp_path / "pictures.gz"
    path.write_bytes(gzip.compress(PICTURES))
    right = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    assert read_idx(path, 3, md5=right).shape == torch.Size([2, 1, 3])
    with pytest.raises(DataError, match=f"the MD5 checksum is {right}, expected {'0' * 32}"):
        read_idx(path, 3, md5="0" * 32)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a", PICTURES[:-1], "2 x 1 x 3 has 22 bytes, this one 21"),
        ("a", PICTURES + b"\0", "has 22 bytes, this one 23"),
        ("a", b"", "got an empty file"),
        ("a", b"\x00\x00\x0d\x03" + PICTURES[4:], "expected an IDX file of uint8 with 3 axes"),
        ("a", b"\x00\x00\x08\x01" + PICTURES[4:], "which starts with 00 00 08 03, got 00 00 08 01"),
        ("a.gz", PICTURES, "not a whole gzip file"),
        ("a.gz", gzip.compress(PICTURES, mtime=0)[:-9], "not a whole gzip file"),
    ],
)
def test_files_that_are_not_whole_are_refused(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_idx(path, axes=3)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"labels: cannot be read \(No such file"):
        read_idx(tmp_path / "labels", axes=1)


def test_whole_numbers_of_four_bytes_are_read_too(tmp_path):
    path = tmp_path / "labels"
    path.write_bytes(bytes([0, 0, 12, 2, 0, 0, 0, 2, 0, 0, 0, 2]) + bytes([0, 0, 1, 2, 255, 255, 255, 255] * 2))
    assert read_idx(path, 2, values="int32").tolist() == [[258, -1], [258, -1]]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="2 x 2 has 28 bytes, this one 27"):
        read_idx(path, 2, values="int32")
