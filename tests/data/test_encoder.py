import numpy as np
import polars as pl
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from polylogit.data.encoder import TableEncoder
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
    assert encoder.encode(new)[0, 1:4].tolist() == [0, 0, 0]
    assert encoder.unseen_levels(new) == {"skin": 1}


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
