import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polylogit.data.split import stratified_split
from polylogit.errors import DataError


@given(
    counts=st.lists(st.integers(1, 40), min_size=2, max_size=8),
    fraction=st.floats(0.05, 0.95),
    seed=st.integers(0, 2**32),
)
def test_the_parts_cover_all_rows_once_and_every_class_can_be_learnt(counts, fraction, seed):
    targets = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    wanted = round(fraction * sum(counts))
    possible = sum(count - 1 for count in counts)
    if not min(wanted, possible):
        with pytest.raises(DataError, match="too few to hold any out"):
            stratified_split(targets, fraction, seed)
        return
    split = stratified_split(targets, fraction, seed)
    assert sorted(split.train.tolist() + split.test.tolist()) == list(range(sum(counts)))
    assert set(targets[split.train].tolist()) == set(range(len(counts)))
    held_out = torch.bincount(targets[split.test], minlength=len(counts))
    assert len(split.test) == min(wanted, possible)
    for count, share in zip(counts, held_out.tolist(), strict=True):
        assert share >= min(int(wanted * count / sum(counts)), count - 1)


def test_the_seed_decides():
    targets = torch.arange(100) % 3
    assert torch.equal(stratified_split(targets, 0.2, 1).test, stratified_split(targets, 0.2, 1).test)
    assert not torch.equal(stratified_split(targets, 0.2, 1).test, stratified_split(targets, 0.2, 2).test)


def test_the_draw_stays_as_it_was():
    # A changed draw would let `evaluate` judge older models on rows that they were trained on.
    assert stratified_split(torch.arange(20) % 2, 0.3, seed=0).test.tolist() == [4, 5, 7, 8, 12, 19]
