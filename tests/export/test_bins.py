"""Exports of numbers and dates with bins: at the edges, between them and beyond the training range."""

from datetime import date, timedelta

import polars as pl
import pytest
import torch
from tests.export.conftest import READINGS, classifier_of, mixed_frame

from polylogit.data.tables.encoder import TableEncoder
from polylogit.export import export_model
from polylogit.export.check_rows import check_rows
from polylogit.export.onnx_target import onnx_artifact
from polylogit.export.parity import compare
from polylogit.export.sql_target import sql_artifact


def binned(frame, **options):
    return TableEncoder.fit(frame, readings={name: READINGS[name] for name in frame.columns}, most_bins=5, **options)


def differences(classifier, rows):
    artifacts = (sql_artifact(classifier, dialect="duckdb", table="data", carry=()), onnx_artifact(classifier))
    engines = {engine: run for artifact in artifacts for engine, run in artifact.runners.items()}
    return {engine.split()[0]: compare(run, engine, classifier, rows) for engine, run in engines.items()}


def rows_at_edges(encoder):
    """A row for each edge of each column, between edges, and beyond the ends."""
    cells = {}
    for column in encoder.columns:
        edges = [float(edge) for edge in column.bin_edges]
        middle = [(low + high) / 2 for low, high in column.ramps]
        ends = [edges[0] - 100, edges[-1] + 100] if edges else []
        cells[column.name] = [*edges, *middle, *ends]
        if column.type == "date":
            cells[column.name] = [date(1970, 1, 1) + timedelta(days=day) for day in cells[column.name]]
    most = max(map(len, cells.values()))
    frame = {name: (values * most)[:most] or [None] * most for name, values in cells.items()}
    kinds = {"number": pl.Float64, "boolean": pl.Boolean, "category": pl.String, "date": pl.Date}
    return pl.DataFrame(frame, schema={column.name: kinds[column.type] for column in encoder.columns})


@pytest.mark.parametrize("options", [{}, {"standardise": False}])
def test_every_engine_agrees(options):
    encoder = binned(mixed_frame(200), **options).with_ranges(mixed_frame(200))
    classifier = classifier_of(encoder)
    rows = pl.concat([check_rows(classifier), rows_at_edges(encoder)])
    found = differences(classifier, rows)
    assert set(found) == {"DuckDB", "SQLite", "onnxruntime"}
    assert max(each.largest_difference for each in found.values()) < 2e-6
    assert {each.not_finite for each in found.values()} == {0}


@pytest.mark.parametrize("name", ["n", "big", "day"])
def test_a_table_of_one_column(name):
    encoder = binned(mixed_frame(200).select(name))
    assert encoder.columns[0].ramps
    found = differences(classifier_of(encoder, classes=2), rows_at_edges(encoder))
    assert max(each.largest_difference for each in found.values()) < 1e-6


def test_a_perceptron_takes_bins_too():
    classifier = classifier_of(binned(mixed_frame(200)), "mlp", hidden=(4,))
    (run,) = onnx_artifact(classifier).runners.values()
    rows = rows_at_edges(classifier.preprocessing)
    assert compare(run, "onnxruntime", classifier, rows).largest_difference < 5e-6


def test_a_number_that_the_model_refuses_has_no_class():
    classifier = classifier_of(binned(mixed_frame(200).select("n", "big")), names=("a", "b", "c"))
    (run,) = onnx_artifact(classifier).runners.values()
    assert run(pl.DataFrame({"n": [1e200], "big": [1e6]})).class_names == [None]


def test_the_torch_program_says_where_the_bins_are(saved):
    classifier = classifier_of(binned(mixed_frame(200)))
    path = export_model(saved(classifier), "torch").path
    extra = {"polylogit.json": ""}
    torch.export.load(path, extra_files=extra)
    assert '"bin_edges": {"n": [0.0,' in extra["polylogit.json"]
