import datetime as dt

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from polylogit.data.tables.column_types import Reading
from polylogit.data.tables.encoder import TableEncoder
from polylogit.data.tables.unseen import UnseenCounts
from polylogit.errors import DataError

ANIMALS = pl.DataFrame(
    {"legs": ["4", "2", "0", "4"], "skin": ["fur", "feathers", "scales", "fur"], "weight": ["70", "0.5", "3", "4.25"]}
)


def test_features_are_those_of_scikit_learn():
    numbers = ANIMALS.with_columns(pl.col("legs", "weight").cast(pl.Float64)).to_pandas()
    reference = ColumnTransformer(
        [
            ("legs", StandardScaler(), ["legs"]),
            ("skin", OneHotEncoder(), ["skin"]),
            ("w", StandardScaler(), ["weight"]),
        ],
        sparse_threshold=0,
    ).fit_transform(numbers)
    encoded = TableEncoder.fit(ANIMALS).encode(ANIMALS)
    np.testing.assert_allclose(encoded.numpy(), reference.astype(np.float32), rtol=1e-6)


def test_columns_come_in_any_order_and_others_are_passed_over():
    encoder = TableEncoder.fit(ANIMALS)
    shuffled = ANIMALS.select("weight", pl.lit("x").alias("name"), "skin", "legs")
    assert torch.equal(encoder.encode(shuffled), encoder.encode(ANIMALS))
    assert encoder.other_columns(shuffled) == ("name",)


def test_typed_frames_encode_as_text_does():
    typed = ANIMALS.with_columns(pl.col("legs").cast(pl.Int64), pl.col("weight").cast(pl.Float64))
    assert torch.equal(TableEncoder.fit(typed).encode(typed), TableEncoder.fit(ANIMALS).encode(ANIMALS))


def test_an_unseen_level_counts_as_none_and_is_counted():
    encoder = TableEncoder.fit(ANIMALS)
    new = pl.DataFrame({"legs": ["4", "2"], "skin": ["wool", "fur"], "weight": ["1", "1"]})
    features, unseen = encoder.encode_counting(new)
    assert features[0, 1:4].tolist() == [0, 0, 0]
    assert unseen == UnseenCounts(unseen={"skin": 1}, rows=2)


def test_a_constant_column_becomes_zeros_also_after_rounding():
    frame = pl.DataFrame({"a": [0.1] * 10, "b": list(range(10))})
    assert TableEncoder.fit(frame).encode(frame)[:, 0].abs().max() < 1e-6


def test_a_scale_far_from_one_is_standardised():
    frame = pl.DataFrame({"a": [1e-9, 3e-9], "b": [1e9, 3e9]})
    torch.testing.assert_close(TableEncoder.fit(frame).encode(frame), torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))


def test_the_state_is_plain_data():
    encoder = TableEncoder.fit(ANIMALS)
    again = TableEncoder.from_state(encoder.as_json(), encoder.tensors())
    assert again.feature_names == encoder.feature_names
    assert torch.equal(again.encode(ANIMALS), encoder.encode(ANIMALS))


def test_a_text_in_a_number_column_is_named():
    with pytest.raises(DataError, match='column "legs", row 2: expected a number, got "two"'):
        TableEncoder.fit(ANIMALS).encode(ANIMALS[:2].with_columns(legs=pl.Series(["4", "two"])))


def test_gaps_get_a_feature_and_the_average(tmp_path):
    frame = pl.DataFrame({"a": [1.0, None, 3.0, float("nan")], "b": ["x", "", None, "y"]})
    encoder = TableEncoder.fit(frame)
    assert encoder.feature_names == ("a", "a=(missing)", "b=x", "b=y", "b=(missing)")
    assert encoder.encode(frame).tolist() == [[-1, 0, 1, 0, 0], [0, 1, 0, 0, 1], [1, 0, 0, 0, 1], [0, 1, 0, 1, 0]]


def test_markers_of_missing_values_count_in_numbers_but_not_in_categories():
    frame = pl.DataFrame({"a": ["1", "NA", "?", "3"], "b": ["NA", "DE", "NA", "DE"]})
    assert TableEncoder.fit(frame).feature_names == ("a", "a=(missing)", "b=DE", "b=NA")


def test_a_gap_where_training_had_none_counts_as_average_and_is_counted():
    encoder = TableEncoder.fit(ANIMALS)
    features, unseen = encoder.encode_counting(pl.DataFrame({"legs": [None], "skin": [""], "weight": ["NA"]}))
    assert features.tolist() == [[0, 0, 0, 0, 0]]
    assert unseen == UnseenCounts(filled={"legs": 1, "skin": 1, "weight": 1}, rows=1)
    assert len(encoder.notes(unseen + unseen)) == 3
    assert (unseen + unseen).filled == {"legs": 2, "skin": 2, "weight": 2}


@pytest.mark.parametrize("words", [("true", "false"), ("YES", "no"), (True, False)])
def test_booleans_are_one_feature(words):
    frame = pl.DataFrame({"a": [words[0], words[1], words[1], words[0]]})
    assert TableEncoder.fit(frame).encode(frame).tolist() == [[1], [-1], [-1], [1]]


def test_dates_become_year_age_month_and_weekday():
    texts = ["2024-01-31", "2020-02-29", "2024-01-30T23:59:59Z"]
    frame = pl.DataFrame({"seen": texts})
    encoder = TableEncoder.fit(frame)
    names = np.array(encoder.feature_names)
    features = encoder.encode(frame)
    flags = [set(names[2:][row[2:] == 1]) for row in features.numpy()]
    assert flags[0] == {"seen:month=1", "seen:weekday=wednesday"}
    assert flags[1] == {"seen:month=2", "seen:weekday=saturday"}
    assert flags[2] == {"seen:month=1", "seen:weekday=tuesday"}
    assert features[1, 1] > features[2, 1] > features[0, 1]  # the oldest has the greatest age
    dates = pl.DataFrame({"seen": [dt.date(2024, 1, 31), dt.date(2020, 2, 29), dt.date(2024, 1, 30)]})
    assert torch.equal(encoder.encode(dates), features)
    assert torch.equal(encoder.encode(dates.cast(pl.Datetime)), features)
    missing = encoder.encode(pl.DataFrame({"seen": ["NA"]}))
    assert not missing.any()


def test_rare_levels_are_pooled_and_unseen_ones_join_them():
    names = [f"n{index:03}" for index in range(105)]
    frame = pl.DataFrame({"a": names + names[5:] * 2})
    encoder = TableEncoder.fit(frame, most_levels=100)
    assert encoder.feature_names == (*(f"a={name}" for name in names[5:]), "a=(rare)")
    assert encoder.columns[0].rare_levels == 5
    assert encoder.columns[0].rare_share == 5 / frame.height
    rare = encoder.encode(pl.DataFrame({"a": ["n000", "never seen", None]}))
    assert rare[:, :-1].count_nonzero() == 0
    assert rare[:, -1].tolist() == [1, 1, 0]
    features, unseen = encoder.encode_counting(pl.DataFrame({"a": ["n000", "never seen"]}))
    assert unseen == UnseenCounts(unseen={"a": 2}, rows=2)
    assert "these count as one" in encoder.notes(unseen)[0]
    assert features[:, -1].tolist() == [1, 1]


def test_all_levels_are_kept_even_those_that_occur_once():
    encoder = TableEncoder.fit(pl.DataFrame({"a": ["x"] * 300 + [f"n{index}" for index in range(200)]}))
    assert encoder.features == 201
    assert not encoder.columns[0].pooled


def test_a_limit_keeps_the_most_frequent_levels():
    encoder = TableEncoder.fit(pl.DataFrame({"a": ["x", "x", "y", "y", "y", "z"]}), most_levels=2)
    assert encoder.feature_names == ("a=x", "a=y", "a=(rare)")


def test_levels_are_limited_where_their_features_would_not_fit_memory(monkeypatch):
    wide = [f"n{index % 300}" for index in range(900)]
    frame = pl.DataFrame({"a": wide, "b": [f"m{index % 130}" for index in range(900)], "c": ["x", "y"] * 450})
    assert TableEncoder.fit(frame).features == 300 + 130 + 2
    monkeypatch.setattr("polylogit.data.tables.fitted_columns.MOST_FEATURE_CELLS", 900 * 332)
    limited = TableEncoder.fit(frame)
    assert [len(column.levels) for column in limited.columns] == [200, 130, 2]
    assert [column.pooled for column in limited.columns] == [True, False, False]


@pytest.mark.parametrize(("trained", "came"), [(["1", "2", "10"], ["1.0", "2.00", "10"]), (["1.0", "2.0"], ["1", "2"])])
def test_codes_are_compared_by_value(trained, came):
    encoder = TableEncoder.fit(pl.DataFrame({"a": trained * 3}), readings={"a": Reading("category")})
    features, unseen = encoder.encode_counting(pl.DataFrame({"a": came}))
    assert not unseen.unseen
    assert features.tolist() == encoder.encode(pl.DataFrame({"a": trained})).tolist()
    assert encoder.encode_counting(pl.DataFrame({"a": [float(code) for code in came]}))[1].unseen == {}
    assert encoder.encode_counting(pl.DataFrame({"a": ["01", "1.5", "1e0", None]}))[1].unseen == {"a": 3}


def test_a_code_written_in_two_ways_is_one_level():
    encoder = TableEncoder.fit(pl.DataFrame({"a": ["1", "1.0", "2", "3.0"]}), readings={"a": Reading("category")})
    assert encoder.feature_names == ("a=1", "a=2", "a=3.0")
    assert encoder.encode(pl.DataFrame({"a": ["1.0", "1"]})).tolist() == [[1, 0, 0]] * 2


def test_codes_are_the_same_codes_as_integers_floats_and_text():
    readings = {"code": Reading("category")}
    frames = [pl.DataFrame({"code": values}) for values in ([3, 10, 3], [3.0, 10.0, 3.0], ["3", "10", " 3 "])]
    encoder = TableEncoder.fit(frames[0], readings=readings)
    assert encoder.feature_names == ("code=10", "code=3")
    for frame in frames:
        assert encoder.encode(frame).tolist() == [[0, 1], [1, 0], [0, 1]]


def test_levels_and_means_come_from_the_training_rows_alone():
    frame = pl.DataFrame({"a": [0.0, 2.0, 99.0, None], "b": ["x", "y", "z", "x"]})
    encoder = TableEncoder.fit(frame, rows=torch.tensor([0, 1]))
    assert encoder.feature_names == ("a", "b=x", "b=y")
    assert encoder.encode(frame)[:2, 0].tolist() == [-1, 1]


def test_a_row_gives_the_same_bits_alone_and_among_others():
    draw = np.random.default_rng(0)
    frame = pl.DataFrame({"a": draw.normal(size=300), "b": draw.choice(["x", "y"], 300), "c": draw.normal(size=300)})
    encoder = TableEncoder.fit(frame)
    whole = encoder.encode(frame)
    for row in (0, 7, 299):
        assert torch.equal(encoder.encode(frame[row : row + 1]), whole[row : row + 1])


def test_fitting_and_encoding_at_once_is_the_same_as_one_after_the_other():
    rows = torch.tensor([0, 1, 3])
    encoder, features = TableEncoder.fit_encode(ANIMALS, rows=rows)
    apart = TableEncoder.fit(ANIMALS, rows=rows)
    assert encoder.as_json() == apart.as_json()
    assert torch.equal(features, apart.encode(ANIMALS))


def test_raw_numbers_stay_as_they_are_and_dates_do_not():
    frame = pl.DataFrame({"legs": [4, 2], "milk": [True, False], "seen": ["2024-01-31", "2020-02-29"]})
    encoder = TableEncoder.fit(frame, standardise=False)
    features = encoder.encode(frame)
    assert features[:, :2].tolist() == [[4, 1], [2, 0]]
    assert features[:, 2:4].tolist() == TableEncoder.fit(frame.select("seen")).encode(frame)[:, :2].tolist()
    again = TableEncoder.from_state(encoder.as_json(), encoder.tensors())
    assert torch.equal(again.encode(frame), features)


def test_a_gap_among_raw_numbers_counts_as_zero_and_says_so():
    frame = pl.DataFrame({"legs": [4, 2], "skin": ["fur", "scales"], "seen": ["2024-01-31", "2020-02-29"]})
    encoder = TableEncoder.fit(frame, standardise=False)
    _, unseen = encoder.encode_counting(pl.DataFrame({"legs": [None], "skin": [None], "seen": [None]}))
    assert [note.rpartition(" counts as ")[2] for note in encoder.notes(unseen)] == ["0.", "none.", "average."]
