"""Ranges and typical values of columns, over the training rows only."""

from datetime import date

import polars as pl
import torch

from polylogit.data.tables.column_types import Reading
from polylogit.data.tables.encoder import TableEncoder

FRAME = pl.DataFrame(
    {
        "^n.*$": [4.0, 2.0, None, 2.0, 100.0],
        "flag": [True, True, False, None, False],
        "level": ["fur", "wool", "fur", None, "scales"],
        "day": [date(2024, 1, 1), None, date(1969, 7, 20), date(2020, 2, 29), date(2050, 1, 1)],
        "empty": pl.Series([None, None, None, None, 1.0], dtype=pl.Float64),
    }
)
READINGS = {
    "^n.*$": Reading("number"),
    "flag": Reading("boolean"),
    "level": Reading("category"),
    "day": Reading("date"),
    "empty": Reading("number"),
}


def test_ranges_and_typical_values_come_from_the_training_rows():
    rows = torch.arange(4)
    encoder = TableEncoder.fit(FRAME, rows=rows, readings=READINGS).with_ranges(FRAME, rows)
    found = {column.name: (column.minimum, column.maximum, column.example) for column in encoder.columns}
    assert found == {
        "^n.*$": (2.0, 4.0, 2.0),
        "flag": (None, None, True),
        "level": (None, None, "fur"),
        "day": ("1969-07-20", "2024-01-01", "2020-02-29"),
        "empty": (None, None, None),
    }


def test_features_do_not_depend_on_them():
    encoder = TableEncoder.fit(FRAME, readings=READINGS)
    assert torch.equal(encoder.with_ranges(FRAME).encode(FRAME), encoder.encode(FRAME))


def test_they_survive_the_state():
    encoder = TableEncoder.fit(FRAME, readings=READINGS).with_ranges(FRAME)
    again = TableEncoder.from_state(encoder.as_json(), encoder.tensors())
    assert again.columns == encoder.columns
