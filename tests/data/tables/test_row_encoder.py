"""Single rows are encoded as a frame of them is."""

import math
from datetime import date, datetime

import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polylogit.data.tables import row_encoder
from polylogit.data.tables.column_types import Reading
from polylogit.data.tables.encoder import TableEncoder
from polylogit.data.tables.row_encoder import RowEncoder
from polylogit.errors import DataError

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=64).filter(lambda number: abs(number) < 1e30)
TEXTS = st.sampled_from(["fur", "scales", "wool", " fur ", "", "1", "1.0", "NA", "ÿ", "true"])
DATES = st.dates(date(1, 1, 1), date(9999, 12, 31))
ISO_DATES = st.one_of(DATES.map(str), st.sampled_from(["2024-02-29T10:30", "", "?"]))
CELLS = {  # what one column of a frame can hold
    "number": [NUMBERS, st.integers(-(2**62), 2**62), st.sampled_from(["4", " 4.5 ", "1e5", "", "NA", "?"])],
    "boolean": [st.booleans(), st.sampled_from(["yes", "No", "1", "0", "TRUE", "-", ""]), st.integers(0, 1)],
    "category": [TEXTS, st.integers(-3, 3), NUMBERS, st.booleans()],
    "date": [DATES, st.datetimes(), ISO_DATES],
}


def one_type(kind):
    """Cells of one type, with gaps."""
    return st.one_of([st.lists(st.one_of(st.none(), cells), min_size=1, max_size=6) for cells in CELLS[kind]])


@st.composite
def tables(draw):
    """Training cells and new cells of some columns."""
    kinds = draw(st.lists(st.sampled_from(sorted(CELLS)), min_size=1, max_size=5))
    rows = draw(st.integers(1, 4))
    columns, new = {}, {}
    for place, kind in enumerate(kinds):
        name = f"{kind}-{place}"
        train = [cell for cell in draw(one_type(kind)) if cell is not None]
        columns[name] = (kind, pl.Series(name, (train * 6)[:6] if train else [None] * 6))
        cells = draw(one_type(kind))
        new[name] = (cells * rows)[:rows]
    return columns, new


@settings(max_examples=60, deadline=None)
@given(tables())
def test_rows_are_encoded_as_a_frame_of_them(table):
    columns, new = table
    readings = {name: Reading(kind) for name, (kind, _) in columns.items()}
    encoder = TableEncoder.fit(pl.DataFrame([cells for _, cells in columns.values()]), readings=readings)
    frame = pl.DataFrame([pl.Series(name, cells) for name, cells in new.items()])
    expected, counts = encoder.encode_counting(frame)
    rows = frame.to_dicts()
    for _ in range(2):  # the second time cells are remembered
        features, unseen = RowEncoder(encoder).encode(rows)
        assert torch.equal(features, expected)
    found = {name: sum(name in columns for columns in unseen) for name in columns}
    assert found == {name: counts.unseen.get(name, 0) + counts.filled.get(name, 0) for name in columns}


@pytest.fixture
def encoder():
    frame = pl.DataFrame(
        {"legs": [4, 2, None], "skin": ["fur", "feathers", "fur"], "seen": [date(2024, 1, 1), date(2025, 5, 6), None]}
    )
    return TableEncoder.fit(frame)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"legs": "four"}, 'the rows, column "legs", row 2: expected a number, got "four"'),
        ({"legs": math.inf}, 'the rows, column "legs", row 2: expected a finite number, got inf'),
        ({"legs": [4]}, 'column "legs", row 2'),
        ({"seen": "06.05.2025"}, 'column "seen", row 2: expected a date'),
        ({"seen": "2025-13-01"}, 'column "seen", row 2: expected a date'),
    ],
)
def test_a_cell_that_cannot_be_read_is_named(encoder, cells, words):
    good = {"legs": 4, "skin": "fur", "seen": datetime(2024, 1, 1, 12)}
    with pytest.raises(DataError) as fault:
        RowEncoder(encoder).encode([good, good | cells])
    assert words in str(fault.value)


def test_a_row_without_a_column_is_named(encoder):
    good = {"legs": 4, "skin": "fur", "seen": None}
    with pytest.raises(DataError, match=r'row 2: the column "legs" is not there\. Did you mean "leg"'):
        RowEncoder(encoder).encode([good, {"leg": 4, "skin": "fur", "seen": None}])
    with pytest.raises(DataError, match="row 1: expected a mapping from column names to cells, got list"):
        RowEncoder(encoder).encode([[4, "fur", None]])


def test_only_so_many_cells_are_remembered(encoder, monkeypatch):
    monkeypatch.setattr(row_encoder, "MOST_REMEMBERED", 2)
    rows = [{"legs": 4, "skin": skin, "seen": None} for skin in ("a", "fur", "b", "feathers", "fur")]
    features, unseen = RowEncoder(encoder).encode(rows)
    assert torch.equal(features, encoder.encode(pl.DataFrame(rows, schema_overrides={"seen": pl.Date})))
    assert unseen == [("skin",), (), ("skin",), (), ()]
