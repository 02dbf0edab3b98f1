"""Tables of many columns: numbers are read, standardised and written as matrices, with the same results as alone."""

import numpy as np
import polars as pl
import pytest
import torch

from polylogit.data.tables.audit import audit_table
from polylogit.data.tables.column_types import NumberMarks, Reading
from polylogit.data.tables.encoder import TableEncoder
from polylogit.data.tables.limits import Limits, reading_limits
from polylogit.data.tables.type_inference import find_reading, find_readings
from polylogit.errors import DataError

ROWS, COLUMNS = 12, 1030  # more columns than are worked on as one matrix


@pytest.fixture(scope="module")
def wide():
    """Numbers of very different sizes, some columns with gaps, one constant and one empty in the training rows."""
    draw = np.random.default_rng(0)
    numbers = draw.normal(size=(ROWS, COLUMNS)) * 10.0 ** draw.integers(-6, 6, COLUMNS)
    numbers[:, 3] = 7.0
    frame = pl.DataFrame(numbers, schema=[f"x{place}" for place in range(COLUMNS)])
    gaps = {f"x{place}": pl.when(pl.int_range(pl.len()) != 2).then(pl.col(f"x{place}")) for place in (5, 1027)}
    return frame.with_columns(**gaps, x8=pl.when(pl.int_range(pl.len()) > 7).then(pl.col("x8")))


def test_each_column_is_encoded_as_it_is_alone(wide):
    train = torch.arange(8)
    encoder, features = TableEncoder.fit_encode(wide, rows=train)
    alone = [TableEncoder.fit_encode(wide.select(name), rows=train) for name in wide.columns]
    assert torch.equal(features, torch.cat([part for _, part in alone], dim=1))
    assert torch.equal(encoder.mean, torch.cat([each.mean for each, _ in alone]))
    assert torch.equal(encoder.scale, torch.cat([each.scale for each, _ in alone]))
    assert encoder.features == COLUMNS + 3
    assert torch.equal(encoder.encode(wide.select(reversed(wide.columns))), features)


def test_columns_of_other_types_between_the_numbers_keep_their_places(wide):
    kinds = pl.Series("kind", ["a", "b"] * (ROWS // 2))
    mixed = wide.select(*wide.columns[:4], kinds, *wide.columns[4:7], pl.col("x10") > 0)
    names = ["x0", "x1", "x2", "x3", "kind=a", "kind=b", "x4", "x5", "x5=(missing)", "x6", "x10"]
    encoder, features = TableEncoder.fit_encode(mixed)
    assert list(encoder.feature_names) == names
    numbers = mixed.select(pl.col("x0", "x4", "x6", "x10").cast(pl.Float64)).to_numpy()
    expected = ((numbers - numbers.mean(axis=0)) / numbers.std(axis=0)).astype(np.float32)
    np.testing.assert_array_equal(features[:, [0, 6, 9, 10]].numpy(), expected)


def test_a_number_beyond_single_precision_is_named_in_the_middle_of_a_matrix(wide):
    encoder = TableEncoder.fit(wide)
    far = wide.with_columns(x1029=pl.when(pl.int_range(pl.len()) == 4).then(1e60).otherwise(pl.col("x1029")))
    with pytest.raises(DataError, match='column "x1029", row 5: expected a number of the magnitude'):
        encoder.encode(far)


@pytest.mark.parametrize(
    "cells",
    [
        *(["1", "2.5", " -3e4 "], ["1", "NA", "2"], ["1", "", "2"], ["1", None, "2"], ["nan", "1", "2"]),
        *(["inf", "1", "2"], ["20210305", "20210306", "20210307"], ["1,5", "2,5", "3,5"], ["1.000", "2.000", "3.500"]),
        *(["true", "false", "true"], ["a", "b", "a"], ["007", "008", "009"], [None, None, None], ["5%", "6%", "7%"]),
        *(["1,5", "-1,5", "+1,5"], ["1,5", "NA", "2,5"], ["1,234", "2,345", "3,456"], ["1,234", "2,345", "0,5"]),
        *(
            ["1,5", "2.5", "3"],
            ["1,5", "2,5", "x"],
            ["12345,678", "1", "-2"],
            [",5", "1,5", "2,5"],
            ["1,5", "2,5", "1e5"],
        ),
        *(["1,5 ", "+2,5", "3,25"], ["1,234,567", "1,5", "2"], ["1,5", "2,5", "20210305"], ["(1,5)", "2,5", "3,5"]),
    ],
)
def test_columns_of_text_are_read_together_as_they_are_alone(cells):
    series = pl.Series("x", cells, dtype=pl.String)
    beside = pl.DataFrame({"plain": ["1", "2", "3"], "x": series, "comma": ["0,5", "-1", "22,75"], "other": [1, 2, 3]})
    for marks in (None, NumberMarks(",", ".")):
        assert find_readings(beside, marks=marks)["x"] == find_reading(series, marks)
    assert find_readings(beside)["plain"] == Reading("number")
    assert find_readings(beside)["comma"] == Reading("number", "1234,5")


def test_numbers_with_decimal_commas_count_as_numbers_where_columns_are_many():
    frame = pl.DataFrame({f"x{place}": ["0,5", "1,25", "-3"] for place in range(5)})
    with reading_limits(Limits(other_columns=1)):
        audited = audit_table(frame.with_columns(kind=pl.Series(["a", "b", "a"])), target="kind")
        assert {reading.format for reading in audited.readings.values()} == {"1234,5"}
        assert audited.features["x4"].to_list() == [0.5, 1.25, -3.0]
        with pytest.raises(DataError, match="2 columns that are not all numbers; at most 1"):
            find_readings(frame.with_columns(x0=pl.Series(["0,5", "1,25", "?"]), x1=pl.Series(["1,234", "2,345", "3"])))
    notes = [finding for finding in audited.audit.findings if finding.code == "number-format"]
    assert [finding.column for finding in notes] == frame.columns
    assert notes[0].message == "the texts are read as numbers in which 1234.5 is written 1234,5."
