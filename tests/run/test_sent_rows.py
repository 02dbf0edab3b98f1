"""Rows that the first process sends arrive as they are, in the form that they have there."""

from collections import deque
from pathlib import Path

import pytest
import torch

from polylogit.data.pictures.stored import StoredPictures
from polylogit.data.tables.feature_matrix import aligned_zeros
from polylogit.run import sent_rows
from polylogit.run.sent_rows import rows_of_first
from polylogit.system.mapped_file import is_mapped
from polylogit.system.processes import Processes
from polylogit.system.sparse_rows import SparseRows, stored_sparse_rows


class OneOfTwo(Processes):
    """One of two processes, of which the second starts once the first has sent all."""

    def __init__(self, rank, sent):
        super().__init__()
        self.rank, self.sent = rank, sent

    def agreed_object(self, item):
        if self.rank == 0:
            self.sent.append(item)
            return item
        return self.sent.popleft()

    def agreed(self, numbers):
        return self.agreed_object(numbers.clone())


def received(rows):
    """The rows as the second process has them."""
    sent = deque()
    assert rows_of_first(rows, OneOfTwo(0, sent)) is rows
    return rows_of_first(None, OneOfTwo(1, sent))


def mapped():
    rows = aligned_zeros(5, 3, mapped=True)
    return rows.copy_(torch.arange(15.0).view(5, 3))


@pytest.mark.parametrize(
    "rows",
    [mapped(), torch.arange(15.0).view(5, 3), torch.arange(40, dtype=torch.uint8).view(5, 2, 2, 2), torch.zeros(0, 3)],
    ids=["mapped", "in memory", "pictures", "no rows"],
)
def test_tensors_come_in_blocks_and_stay_in_files(rows, monkeypatch):
    monkeypatch.setattr(sent_rows, "_VALUES_AT_ONCE", 8)
    theirs = received(rows)
    torch.testing.assert_close(theirs, rows, rtol=0, atol=0)
    assert is_mapped(theirs) == is_mapped(rows)


def test_sparse_rows_come_in_blocks_and_stay_in_files(monkeypatch):
    monkeypatch.setattr(sent_rows, "_VALUES_AT_ONCE", 2)
    sparse = SparseRows(torch.tensor([0, 1, 4]), torch.tensor([2, 0, 1, 2], dtype=torch.int32), torch.arange(4.0), 3)
    for rows in (sparse, stored_sparse_rows([sparse])):
        theirs = received(rows)
        assert torch.equal(theirs.dense(), sparse.dense())
        assert is_mapped(theirs.values) == is_mapped(theirs.columns) == is_mapped(rows.values)


def test_other_rows_come_whole():
    pictures = StoredPictures([Path("a.png")], (1, 2, 2))
    assert received(pictures).files == ("a.png",)
    assert received(None) is None
