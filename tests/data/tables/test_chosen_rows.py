"""Rows of a table, copied a few columns at a time."""

import polars as pl
import torch

from polylogit.data.tables import chosen_rows
from polylogit.data.tables.chosen_rows import ChosenRows
from polylogit.data.tables.columns import read_columns
from polylogit.data.tables.encoder import TableEncoder
from polylogit.data.tables.type_inference import find_readings

FRAME = pl.DataFrame(
    {
        "a": pl.Series([1.5, None, 2.25, 0.1, 7.0] * 9, dtype=pl.Float32),
        "b": ["x", "y", "x", None, "z"] * 9,
        "c": [True, False, True, True, None] * 9,
        "d": [3.0, 4.0, 5.0, 9.0, 1.0] * 9,
    }
)
ROWS = torch.arange(0, 45, 2)


def test_columns_come_in_their_order_and_all_together(monkeypatch):
    monkeypatch.setattr(chosen_rows, "_CELLS_AT_ONCE", 2 * len(ROWS))
    parts = list(ChosenRows(FRAME, ROWS).by_columns())
    assert [part.columns for part in parts] == [["a", "b"], ["c", "d"]]
    assert pl.concat(parts, how="horizontal").equals(FRAME[ROWS.numpy()])


def test_an_encoder_is_the_same_however_few_cells_are_copied_at_once(monkeypatch):
    whole, features = TableEncoder.fit_encode(FRAME, rows=ROWS)
    monkeypatch.setattr(chosen_rows, "_CELLS_AT_ONCE", 1)
    monkeypatch.setattr("polylogit.data.tables.encoder.ROWS_A_BLOCK", 7)
    monkeypatch.setattr("polylogit.data.tables.encoder._FLAGS_AT_ONCE", 1)
    split, encoded = TableEncoder.fit_encode(FRAME, rows=ROWS)
    assert split.as_json() == whole.as_json()
    assert torch.equal(split.mean, whole.mean)
    assert torch.equal(split.scale, whole.scale)
    assert torch.equal(encoded, features)
    assert split.encode_counting(FRAME)[1] == whole.encode_counting(FRAME)[1]


def test_single_precision_columns_keep_the_memory_of_the_table():
    frame = FRAME.select(pl.col("a").fill_null(0.0))
    read = read_columns(frame, find_readings(frame))
    assert read["a"].dtype == pl.Float32
    assert read["a"].to_numpy(allow_copy=False).ctypes.data == frame["a"].to_numpy(allow_copy=False).ctypes.data


def test_single_precision_and_double_precision_give_the_same_features():
    numbers = FRAME.select("a", "d")
    wide = numbers.with_columns(pl.col("a").cast(pl.Float64))
    (narrow, few), (same, many) = TableEncoder.fit_encode(numbers), TableEncoder.fit_encode(wide)
    assert narrow.as_json() == same.as_json()
    assert torch.equal(narrow.mean, same.mean)
    assert torch.equal(few, many)
