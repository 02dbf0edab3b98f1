"""The piecewise-linear features of numbers and dates, and what becomes of values outside of the training range."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from polylogit.data.tables import fitted_columns as fitting
from polylogit.data.tables.bins import find_bin_edges, ramp, ramps_of
from polylogit.data.tables.column_types import Reading
from polylogit.data.tables.encoder import TableEncoder
from polylogit.data.tables.feature_scales import LEAST_RAMP_DEVIATION, RAMP_DEVIATION
from polylogit.data.tables.row_encoder import RowEncoder

FRAME = pl.DataFrame({"x": np.linspace(-1.0, 3.0, 200), "skin": ["fur", "scales"] * 100})
DAYS = pl.DataFrame({"day": [dt.date(2020, 1, 1) + dt.timedelta(days=9 * day) for day in range(60)]})
NUMBERS = arrays.arrays(np.float64, st.integers(1, 80), elements=st.floats(-1e100, 1e100))


@given(NUMBERS, st.integers(1, 20))
def test_edges_ascend_from_the_least_to_the_greatest_number(values, most_bins):
    edges = find_bin_edges(values, most_bins)
    assert edges[0] == values.min()
    assert edges[-1] == values.max()
    assert list(edges) == sorted(set(edges))
    assert len(ramps_of(edges)) <= most_bins


@given(NUMBERS, st.integers(2, 20))
def test_ramps_add_up_to_the_number_of_the_bin(values, most_bins):
    edges = find_bin_edges(values, most_bins)
    total = sum(ramp(values, low, high) for low, high in ramps_of(edges))
    if len(edges) > 2:
        expected = np.interp(values, edges, np.arange(len(edges)))
        np.testing.assert_allclose(total, expected, atol=1e-9)


def test_bins_have_about_equally_many_rows_and_a_common_value_does_not_use_them_up():
    edges = find_bin_edges(np.random.default_rng(0).exponential(size=4000), 16)
    rows, _ = np.histogram(np.random.default_rng(0).exponential(size=4000), edges)
    assert len(edges) == 17
    assert rows.min() > 230
    assert rows.max() < 270
    mostly_zero = np.concatenate([np.zeros(3000), np.arange(1.0, 1001.0)])
    assert len(find_bin_edges(mostly_zero, 16)) == 16  # the rows of 0 are as many as those of a bin


def test_few_rows_and_few_values_have_few_bins():
    assert len(find_bin_edges(np.arange(100.0), 16)) == 6
    assert find_bin_edges(np.tile([1.0, 2.0, 4.0], 500), 16) == (1.0, 2.0, 4.0)
    assert ramps_of(find_bin_edges(np.tile([1.0, 2.0], 500), 16)) == ()
    assert find_bin_edges(np.full(9, 7.0), 16) == (7.0,)
    assert find_bin_edges(np.full(9, np.nan), 16) == ()


def test_features_rise_over_their_bin_and_are_centred():
    encoder = TableEncoder.fit(FRAME, most_bins=4)
    assert encoder.feature_names[:3] == (
        "x",
        "x:-1.0..-0.015075376884422065",
        "x:-0.015075376884422065..0.9899497487437185",
    )
    features = encoder.encode(FRAME).double()
    edges = encoder.columns[0].bin_edges
    assert (edges[0], edges[-1], len(edges)) == (-1.0, 3.0, 5)
    for place, (low, high) in enumerate(encoder.columns[0].ramps):
        shares = torch.tensor(np.clip((FRAME["x"].to_numpy() - low) / (high - low), 0, 1))
        expected = RAMP_DEVIATION * (shares - shares.mean()) / shares.std(correction=0)
        torch.testing.assert_close(features[:, 1 + place], expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(features[:, :5].mean(0), torch.zeros(5, dtype=torch.float64), atol=1e-6, rtol=0)


def test_the_feature_of_few_rows_is_not_blown_up():
    values = np.concatenate([np.linspace(0.0, 1.0, 999), [1e9]])
    encoder = TableEncoder.fit(pl.DataFrame({"x": values}), most_bins=4)
    assert encoder.scale[1:].min() == LEAST_RAMP_DEVIATION / RAMP_DEVIATION
    assert encoder.encode(pl.DataFrame({"x": [1e9]}))[0, 1:].max() <= RAMP_DEVIATION / LEAST_RAMP_DEVIATION


def test_beyond_the_training_range_features_stay_and_nothing_overflows():
    encoder = TableEncoder.fit(FRAME, most_bins=8)
    ends = encoder.encode(pl.DataFrame({"x": [-1.0, 3.0], "skin": ["fur", "fur"]}))
    outside = encoder.encode(pl.DataFrame({"x": [-1e99, 1e100], "skin": ["fur", "fur"]}))
    assert torch.equal(outside, ends)
    assert not encoder.is_too_far("x", pl.Series([1e100, None])).any()


def test_a_column_of_two_values_or_one_is_constant_outside_too():
    frame = pl.DataFrame({"two": [0.0, 1.0] * 30, "one": [5.0] * 60})
    encoder = TableEncoder.fit(frame, most_bins=16)
    assert encoder.feature_names == ("two", "one")
    ends = encoder.encode(pl.DataFrame({"two": [0.0, 1.0], "one": [5.0, 5.0]}))
    assert torch.equal(encoder.encode(pl.DataFrame({"two": [-7.0, 9.0], "one": [-1e50, 8.0]})), ends)


def test_a_gap_counts_as_the_average_of_every_feature():
    frame = pl.DataFrame({"x": [None, *np.linspace(0.0, 1.0, 99)]})
    encoder = TableEncoder.fit(frame, most_bins=4)
    assert encoder.encode(frame)[0].tolist() == [0.0] * 5 + [1.0]
    assert encoder.gaps_count_as == {"x": "average"}


def test_of_raw_numbers_a_gap_counts_as_zero_in_every_feature():
    frame = pl.DataFrame({"x": np.linspace(-1.0, 3.0, 101)})
    encoder = TableEncoder.fit(frame, most_bins=4, standardise=False)
    gap = encoder.encode(pl.DataFrame({"x": [None]}, schema={"x": pl.Float64}))
    torch.testing.assert_close(gap, encoder.encode(pl.DataFrame({"x": [0.0]})), atol=1e-7, rtol=0)
    assert encoder.gaps_count_as == {"x": "0"}


def test_dates_have_bins_of_days_and_count_as_the_nearest_end():
    encoder = TableEncoder.fit(DAYS, most_bins=3)
    assert encoder.feature_names[:3] == ("day:year", "day:age", "day:2020-01-01..2020-06-20")
    known = encoder.encode(pl.DataFrame({"day": [DAYS["day"].max()]}))
    later = encoder.encode(pl.DataFrame({"day": [dt.date(2035, 6, 15)]}))
    assert torch.equal(later[:, :5], known[:, :5])
    assert later[0, 5:].sum() == 2
    assert later[0, 5 + 5] == 1


def test_single_rows_have_the_same_bits():
    frame = pl.concat([FRAME.head(60), DAYS], how="horizontal")
    encoder = TableEncoder.fit(frame, most_bins=6)
    new = pl.DataFrame(
        {"x": [0.37, -1e80, None, 2.5e9], "skin": ["fur"] * 4, "day": [dt.date(1950, 1, 2), None, *DAYS["day"][7:9]]}
    )
    rows = new.to_dicts()
    rows[0]["x"] = "0.37"
    expected = encoder.encode(new)
    assert torch.equal(RowEncoder(encoder).encode(rows)[0], expected)
    each = RowEncoder(encoder).encode_each([*rows, {"x": "many", "skin": "fur", "day": None}])
    assert torch.equal(each.inputs[:4], expected)
    assert [fault.column for fault in each.faults] == ["x"]


def test_the_state_gives_the_same_features_again():
    encoder = TableEncoder.fit(pl.concat([FRAME.head(60), DAYS], how="horizontal"), most_bins=6)
    again = TableEncoder.from_state(encoder.as_json(), encoder.tensors())
    frame = pl.concat([FRAME.tail(60), DAYS], how="horizontal")
    assert torch.equal(again.encode(frame), encoder.encode(frame))
    assert again.features == len(again.feature_names)


def test_where_memory_is_short_there_are_fewer_bins(monkeypatch):
    frame = pl.DataFrame({f"x{place}": np.random.default_rng(place).normal(size=400) for place in range(10)})
    monkeypatch.setattr(fitting, "MOST_FEATURE_CELLS", 400 * 60)
    assert TableEncoder.fit(frame, most_bins=16).features == 10 * (1 + 5)
    monkeypatch.setattr(fitting, "MOST_FEATURE_CELLS", 400 * 12)
    assert TableEncoder.fit(frame, most_bins=16).features == 10


@pytest.mark.parametrize("kind", ["boolean", "category"])
def test_other_columns_have_no_bins(kind):
    values = pl.Series("c", ["yes", "no"] * 50)
    plain, binned = (
        TableEncoder.fit(values.to_frame(), readings={"c": Reading(kind)}, most_bins=most) for most in (None, 8)
    )
    assert plain.as_json() == binned.as_json()
