"""Exact copies of rows, and whether chance explains them."""

import numpy as np
import polars as pl
import pytest

from polylogit.data.tables.audit import audit_table
from polylogit.data.tables.copies import find_copies
from polylogit.data.tables.sources import open_source


def drawn(rows=300, decimals=6, columns=4):
    values = np.random.default_rng(0).normal(size=(rows, columns)).round(decimals)
    return pl.DataFrame(values, schema=[f"x{n}" for n in range(columns)])


def classes(frame):
    return (frame["x0"].to_numpy() > 0).astype(np.int64)


def test_rows_that_were_written_twice_are_no_chance():
    frame = pl.concat([drawn(), drawn().head(30)])
    copies = find_copies(frame, classes(frame))
    assert copies.repeats == 30
    assert not copies.by_chance
    assert copies.groups[-30:].tolist() == list(range(30))


@pytest.mark.parametrize("frame", [drawn(columns=2, decimals=1), drawn(decimals=0), drawn(columns=1, decimals=2)])
def test_coarse_numbers_agree_by_chance(frame):
    copies = find_copies(frame, classes(frame))
    assert copies.repeats
    assert copies.by_chance


def test_animals_of_the_bundled_table_agree_by_chance():
    source = open_source("zoo")
    audited = audit_table(source.frame, target=source.target)
    assert (audited.copies.repeats, audited.copies.by_chance) == (42, True)


def test_copied_rows_of_many_coarse_columns_are_no_chance():
    values = np.random.default_rng(0).integers(0, 5, size=(300, 40))
    frame = pl.DataFrame(np.concatenate([values, values[:3]]))
    assert not find_copies(frame, None).by_chance


def test_a_row_of_another_class_or_of_none_is_no_copy():
    frame = pl.concat([drawn(), drawn().head(2)])
    of = classes(frame)
    of[-2], of[-1] = 1 - of[-2], -1
    copies = find_copies(frame, of)
    assert copies is None


def test_there_may_be_no_copies():
    assert find_copies(drawn(), None) is None
