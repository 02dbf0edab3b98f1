import pickle

import numpy as np
import pytest

from polylogit.data.pictures.cifar import read_cifar_batch, read_cifar_names
from polylogit.errors import DataError

ROWS = np.arange(2 * 3072).astype(np.uint8).reshape(2, 3072)


class Hostile:
    """Calls what it likes when it is unpickled."""

    def __reduce__(self):
        return print, ("this must never be printed",)


def batch(folder, content, protocol=2):
    path = folder / "data_batch_1"
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_pixels_and_labels_come_out_whatever_the_protocol(tmp_path, protocol):
    pixels, targets = read_cifar_batch(batch(tmp_path, {"data": ROWS, "labels": [7, 3]}, protocol), "labels")
    assert np.array_equal(pixels.numpy().reshape(2, 3072), ROWS)
    assert targets.tolist() == [7, 3]


@pytest.mark.parametrize("place", [lambda bad: bad, lambda bad: {"data": bad, "labels": [0, 1]}])
def test_a_pickle_that_would_run_code_is_refused_before_it_does(tmp_path, capsys, place):
    with pytest.raises(DataError, match=r"data_batch_1: not a batch of CIFAR \(it names \w+\.print"):
        read_cifar_batch(batch(tmp_path, place(Hostile())), "labels")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a batch of CIFAR"),
        (b"\x80\x02nonsense", "not a batch of CIFAR"),
        (pickle.dumps({"data": ROWS, "labels": [1, 2]})[:-9], "not a batch of CIFAR"),
        ([1, 2], "expected a dictionary, got list"),
        ({"labels": [0, 1]}, 'expected "data" of bytes, N x 3072, got NoneType'),
        ({"data": ROWS.astype(np.float64), "labels": [0, 1]}, r"got float64 \(2, 3072\)"),
        ({"data": ROWS[:, :9], "labels": [0, 1]}, r"got uint8 \(2, 9\)"),
        ({"data": ROWS, "labels": [0]}, 'expected 2 whole numbers in "labels", got 1'),
        ({"data": ROWS, "labels": ["a", "b"]}, 'expected 2 whole numbers in "labels"'),
    ],
    ids=str,
)
def test_what_is_no_batch_is_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_cifar_batch(batch(tmp_path, content), "labels")


def test_names_must_be_names(tmp_path):
    path = batch(tmp_path, {"label_names": ["cat", 3]})
    with pytest.raises(DataError, match='expected the names of the classes in "label_names", got list'):
        read_cifar_names(path, "label_names")
    with pytest.raises(DataError, match=r"gone: cannot be read \(No such file"):
        read_cifar_names(tmp_path / "gone", "label_names")
