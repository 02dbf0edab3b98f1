"""Rows with their classes, weights and groups, which stay together when rows are taken."""

from pathlib import Path

import pytest
import torch

from polylogit.data.pictures.stored import StoredPictures
from polylogit.run.labelled_rows import LabelledRows


def test_all_that_goes_with_a_row_stays_with_it():
    numbers = torch.arange(6)
    rows = LabelledRows(numbers[:, None] * 1.0, numbers % 3, weights=numbers / 10, groups=numbers + 100)
    some = rows.take(torch.tensor([4, 1]))
    assert len(some) == 2
    assert some.features.tolist() == [[4.0], [1.0]]
    assert some.targets.tolist() == [1, 1]
    assert some.weights.tolist() == pytest.approx([0.4, 0.1])
    assert some.groups.tolist() == [104, 101]


def test_pictures_in_files_stay_there():
    pictures = StoredPictures([Path("a.png"), Path("b.png"), Path("c.png")], (1, 2, 2))
    some = LabelledRows(pictures, torch.tensor([0, 1, 0])).take(torch.tensor([2, 0]))
    assert some.inputs.files == ("c.png", "a.png")
    with pytest.raises(TypeError, match="stay in their files"):
        _ = some.features


def test_rows_without_a_class_are_not_known():
    assert LabelledRows(torch.zeros(4, 1), torch.tensor([0, -1, 2, -1])).known.tolist() == [0, 2]
