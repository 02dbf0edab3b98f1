import polars as pl
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from polylogit.data.split import (
    Split,
    drawn_split,
    given_split,
    grouped_split,
    is_among,
    stratified_split,
    time_split,
)
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


@given(groups=st.lists(st.integers(0, 9), min_size=4, max_size=60), fraction=st.floats(0.1, 0.9))
def test_no_group_stands_in_both_parts(groups, fraction):
    targets, groups = torch.arange(len(groups)) % 2, torch.tensor(groups)
    smallest = min(groups.bincount()[groups.unique()].tolist())
    if smallest > round(fraction * len(groups)):
        with pytest.raises(DataError, match="groups can be held out"):
            grouped_split(targets, groups, fraction, seed=0)
        return
    assume(len(targets) - smallest > len(targets) // 2 + 1)  # else a group may hold the only rows of a class
    split = grouped_split(targets, groups, fraction, seed=0)
    assert not set(groups[split.train].tolist()) & set(groups[split.test].tolist())
    assert sorted(split.train.tolist() + split.test.tolist()) == list(range(len(groups)))
    assert 0 < len(split.test) <= round(fraction * len(groups))
    assert set(targets[split.train].tolist()) == {0, 1}


def test_time_holds_out_what_came_last():
    split = time_split(pl.Series([5, 1, 4, 2, 3, 3]), 0.4)
    assert split.test.tolist() == [0, 2]
    with pytest.raises(DataError, match="newest 25% of the rows are of one moment, and so is the row before"):
        time_split(pl.Series([1, 1, 2, 2]), 0.25)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "test", "tset"], 'column "part", row 3: expected train or test, got "tset"'),
        (["train", None], "row 2: expected train or test"),
        (["test", "test"], 'every row is "test"'),
    ],
)
def test_a_given_split_says_train_or_test(words, message):
    with pytest.raises(DataError, match=message):
        given_split(pl.Series("part", words), "t.csv")


def test_rows_of_no_class_stand_in_neither_part():
    targets = torch.tensor([0, 1, -1, 0, 1, -1] * 5)
    split = drawn_split(targets, 0.25, seed=0)
    assert sorted(split.train.tolist() + split.test.tolist()) == torch.nonzero(targets >= 0).flatten().tolist()
    assert targets[split.test].bincount().tolist() == [3, 2]
    alone = stratified_split(targets[targets >= 0], 0.25, seed=0)
    assert torch.equal(torch.nonzero(targets >= 0).flatten()[alone.test], split.test)


def test_nothing_is_held_out_where_that_is_wanted():
    split = drawn_split(torch.tensor([1, 0, -1]), 0.0, seed=0)
    assert (split.train.tolist(), split.test.tolist()) == ([0, 1], [])


def test_a_split_of_some_rows_only():
    split = Split(train=torch.tensor([0, 2, 3]), test=torch.tensor([1, 4]))
    within = split.within(torch.tensor([1, 2, 3]))
    assert (within.train.tolist(), within.test.tolist()) == ([2, 3], [1])
    of = split.of(torch.tensor([10, 11, 12, 13, 14]))
    assert (of.train.tolist(), of.test.tolist()) == ([10, 12, 13], [11, 14])


@given(st.lists(st.integers(0, 30)), st.lists(st.integers(0, 30)))
def test_numbers_among_others_are_those_of_isin(numbers, rows):
    some, others = torch.tensor(numbers, dtype=torch.int64), torch.tensor(rows, dtype=torch.int64)
    assert torch.equal(is_among(some, others), torch.isin(some, others))
