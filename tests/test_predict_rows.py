"""`Classifier.predict_rows` answers as `predict` does for a frame of the same rows, whatever the columns and cells."""

import warnings

import polars as pl
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.data.tables.test_row_encoder import tables
from tests.export.conftest import classifier_of

from polylogit.data.tables.column_types import Reading
from polylogit.data.tables.encoder import TableEncoder
from polylogit.errors import DataError

EXTREME = st.sampled_from([0.0, -0.0, 5e-324, 1e30, -1e30, 3.4e38, 1e99, -1e99, float("nan"), None])


def refused(call):
    """What a call gives, and the message of its error from the column on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unseen categories and missing values
        try:
            return call(), None
        except DataError as fault:
            return None, str(fault).partition(", ")[2]


def same_answers(classifier, frame):
    """Compare the classes and the probabilities of the two ways."""
    answers, refusal = refused(lambda: classifier.predict_rows(frame.to_dicts()))
    expected, expected_refusal = refused(lambda: classifier.predict_probabilities(frame))
    assert (refusal is None) == (expected_refusal is None)  # of several faults, either may be named
    if expected is None:
        return
    found = torch.tensor([list(answer.probabilities.values()) for answer in answers])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6, equal_nan=True)
    assert [answer.class_name for answer in answers] == refused(lambda: classifier.predict(frame))[0]


@settings(max_examples=40, deadline=None)
@given(tables(), st.sampled_from(["linear", "mlp"]))
def test_random_schemas_and_cells(table, kind):
    columns, new = table
    readings = {name: Reading(of_type) for name, (of_type, _) in columns.items()}
    encoder = TableEncoder.fit(pl.DataFrame([cells for _, cells in columns.values()]), readings=readings)
    assume(encoder.features)
    frame = pl.DataFrame([pl.Series(name, cells) for name, cells in new.items()])
    same_answers(classifier_of(encoder, kind), frame)


@settings(max_examples=40, deadline=None)
@given(st.lists(EXTREME, min_size=1, max_size=5), st.sampled_from(["linear", "mlp"]))
def test_extreme_numbers(cells, kind):
    encoder = TableEncoder.fit(pl.DataFrame({"n": [0.0, 1.0, 2.0], "m": [1e6, 1e6 + 1, 1e6 + 3]}))
    frame = pl.DataFrame({"n": cells, "m": cells[::-1]}, schema={"n": pl.Float64, "m": pl.Float64})
    same_answers(classifier_of(encoder, kind), frame)
