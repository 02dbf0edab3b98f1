"""ONNX: every type of column, network and calibration predicts what the classifier predicts."""

import json
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
import torch
from tests.export.conftest import CALIBRATIONS, READINGS, classifier_of, mixed_frame

from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.tables.column_types import Reading
from polylogit.data.tables.encoder import TableEncoder
from polylogit.errors import ExportError
from polylogit.export import export_model
from polylogit.export.check_rows import check_rows
from polylogit.export.onnx_target import onnx_artifact, onnx_inputs
from polylogit.export.parity import compare, expected_answers

onnxruntime = pytest.importorskip("onnxruntime")


def parity(classifier, rows=None):
    ((engine, run),) = onnx_artifact(classifier).runners.items()
    return compare(run, engine, classifier, check_rows(classifier) if rows is None else rows)


def test_the_rows_that_are_compared_hold_every_edge(mixed_encoder):
    rows = check_rows(classifier_of(mixed_encoder))
    assert any(all(cell is None for cell in row) for row in rows.rows())
    assert {1e30, -1e30} <= set(rows["n"])
    assert {"fur", "scales", "feathers"} <= set(rows["skin"])
    assert any(level and "never seen" in level for level in rows["skin"])
    assert "1.0" in set(rows["code"])
    assert {date(1, 1, 1), date(9999, 12, 31), date(2000, 2, 29)} <= set(rows["day"])


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_each_calibration_is_inside(mixed_encoder, calibration):
    found = parity(classifier_of(mixed_encoder, calibration=CALIBRATIONS[calibration]))
    assert found.rows > 200
    assert found.largest_difference < 2e-6
    assert found.not_finite == 0


@pytest.mark.parametrize(
    "options",
    [
        {"hidden": (5,)},
        {"hidden": (4, 3), "activation": "gelu", "dropout": 0.2},
        {"hidden": (4,), "activation": "silu", "bias": False},
        {"hidden": (4,), "activation": "tanh", "reference_class": True},
        {"hidden": (), "reference_class": True},
    ],
)
def test_each_option_of_a_perceptron(mixed_encoder, options):
    assert parity(classifier_of(mixed_encoder, "mlp", **options)).largest_difference < 5e-6


@pytest.mark.parametrize("name", list(READINGS))
def test_a_table_of_one_column(name):
    frame = mixed_frame().select(name)
    encoder = TableEncoder.fit(frame, readings={name: READINGS[name]})
    assert parity(classifier_of(encoder, classes=2)).largest_difference < 1e-6


def test_dates_are_taken_apart_as_polars_does(mixed_encoder):
    first = date(1, 1, 1)
    days = [first + timedelta(days=day) for day in range(0, 3_652_059, 997)]
    frame = check_rows(classifier_of(mixed_encoder))[:1]
    rows = pl.concat([frame.drop("day")] * len(days)).with_columns(day=pl.Series(days)).select(frame.columns)
    assert parity(classifier_of(mixed_encoder), rows).rows == len(days)


def test_whole_numbers_are_levels_however_they_are_written(mixed_encoder):
    classifier = classifier_of(mixed_encoder)
    row = check_rows(classifier)[:1]
    (run,) = onnx_artifact(classifier).runners.values()
    written = [run(row.with_columns(code=pl.lit(text))).probabilities for text in ("1", "1.0")]
    np.testing.assert_array_equal(*written)


@pytest.mark.parametrize(
    ("column", "value"), [("n", np.inf), ("n", -1e200), ("flag", 2.0), ("day", 3_000_000), ("day", -800_000)]
)
def test_a_cell_that_the_model_refuses_gives_no_class(mixed_encoder, column, value):
    classifier = classifier_of(mixed_encoder, names=("a", "b", "c"))
    content = onnx_artifact(classifier).content({})
    session = onnxruntime.InferenceSession(content)
    inputs = onnx_inputs(check_rows(classifier)[:3])
    inputs[column] = inputs[column].copy()
    inputs[column][1] = value
    names, probabilities = session.run(["class", "probabilities"], inputs)
    assert names[1] == ""
    assert np.isnan(probabilities[1]).all()
    assert set(names[[0, 2]]) <= {"a", "b", "c"}
    assert np.isfinite(probabilities[[0, 2]]).all()


HOSTILE = ["a/b", 'quote "', "'; DROP TABLE x; --", "new\nline", "class.1", "constant.1", "MatMul.3", "ÿ 名", " "]


def test_names_are_only_names():
    frame = pl.DataFrame({name: [0.0, 1.0, 2.0] for name in HOSTILE})
    classifier = classifier_of(TableEncoder.fit(frame), names=HOSTILE[:3])
    assert parity(classifier).largest_difference < 1e-6
    session = onnxruntime.InferenceSession(onnx_artifact(classifier).content({}))
    assert [each.name for each in session.get_inputs()] == HOSTILE


@pytest.mark.parametrize("name", ["class", "probabilities"])
def test_a_column_that_is_called_like_an_output_is_named(name, saved):
    frame = pl.DataFrame({name: [0.0, 1.0, 2.0]})
    path = saved(classifier_of(TableEncoder.fit(frame)))
    with pytest.raises(ExportError, match=f'column "{name}": an output of the ONNX model has this name'):
        export_model(path, "onnx")
    assert not path.with_suffix(".onnx").exists()


def test_half_a_surrogate_pair_is_an_error():
    frame = pl.DataFrame({"x": [0.0, 1.0]})
    with pytest.raises(ExportError, match="not valid Unicode"):
        onnx_artifact(classifier_of(TableEncoder.fit(frame), names=("a", "\ud800", "c")))


def test_a_column_of_another_type_is_named(monkeypatch, mixed_encoder):
    monkeypatch.delitem(vars(__import__("polylogit.export.onnx_table", fromlist=["INPUTS"]))["INPUTS"], "date")
    with pytest.raises(ExportError, match=r'column "day": a column of type date cannot be exported to ONNX\. Train'):
        onnx_artifact(classifier_of(mixed_encoder))


@pytest.mark.parametrize(("kind", "options"), [("linear", {}), ("mlp", {"hidden": (6,)})])
def test_pictures_of_dense_networks(picture_encoder, kind, options):
    assert parity(classifier_of(picture_encoder, kind, **options)).largest_difference < 1e-6


@pytest.fixture
def without_shape_checks():
    """torch follows a network with sizes that are symbols, which the shape checks of tests cannot compare."""
    import jaxtyping

    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("without_shape_checks")
@pytest.mark.parametrize(
    "first", [{"pools": 2}, {"pools": 1, "orientations": 4, "cell": 3, "colours": True}], ids=["pixels", "gradients"]
)
def test_colour_pictures_with_several_views(first):
    encoder = PictureEncoder.fit(torch.randint(256, (8, 3, 12, 12), dtype=torch.uint8))
    network = {"widths": (4,), "kernel_sizes": 3, "strides": 1, "views": "mirror", "hidden": (5,), **first}
    classifier = classifier_of(encoder, "cnn", calibration=CALIBRATIONS["quadratic"], **network)
    assert parity(classifier).largest_difference < 1e-6


def test_the_file_says_what_it_holds(mixed_encoder, saved):
    path = saved(classifier_of(mixed_encoder))
    result = export_model(path, "onnx")
    session = onnxruntime.InferenceSession(result.path)
    metadata = json.loads(session.get_modelmeta().custom_metadata_map["polylogit"])
    assert metadata["parity"][0]["rows"] > 200
    assert len(metadata["model_digest"]) == 64
    assert metadata["schema"]["class_names"] == ["class 0", "class 1", "class 2"]
    assert metadata["inputs"]["day"].startswith("days since 1970-01-01")
    kinds = {each.name: each.type for each in session.get_inputs()}
    assert kinds["n"] == "tensor(double)"
    assert kinds["skin"] == "tensor(string)"
    assert kinds["day"] == "tensor(int64)"
    assert export_model(path, "onnx", path.with_name("b.onnx")).path.read_bytes() == result.path.read_bytes()


def test_an_export_that_differs_is_not_written(mixed_encoder, saved, monkeypatch):
    path = saved(classifier_of(mixed_encoder, calibration=CALIBRATIONS["temperature"]))
    monkeypatch.setattr("polylogit.export.onnx_target.calibrated", lambda graph, logits, *_: (logits, logits))
    with pytest.raises(
        ExportError, match=r"onnxruntime .*, the first row alone, row 1: the export predicts .* Nothing"
    ):
        export_model(path, "onnx")
    assert not path.with_suffix(".onnx").exists()


def test_a_near_tie_may_have_either_class():
    frame = pl.DataFrame({"x": [0.0, 1.0, 2.0]})
    classifier = classifier_of(TableEncoder.fit(frame), classes=2)
    for parameter in classifier.network.parameters():
        torch.nn.init.zeros_(parameter)
    rows = check_rows(classifier)
    found = parity(classifier, rows)
    assert found.near_ties == found.rows == len(rows)
    assert expected_answers(classifier, rows).class_names[0] == "class 0"


def test_readings_of_number_formats_take_numbers():
    frame = pl.DataFrame({"price": ["1.000,5", "2.000,5", "3.000,25"] * 3})
    encoder = TableEncoder.fit(frame, readings={"price": Reading("number", "1.234,5")})
    assert parity(classifier_of(encoder)).largest_difference < 1e-6


def test_markers_of_missing_values_are_refused(mixed_encoder, saved):
    from dataclasses import replace

    classifier = replace(classifier_of(mixed_encoder), recipe={"data": {"missing": ["-999", "--"]}})
    assert classifier.schema.input.columns[0].missing_values[-2:] == ("-999", "--")
    path = saved(classifier)
    for target in ("onnx", "sql"):
        with pytest.raises(ExportError, match=r'takes "-999", "--" for missing values \(data\.missing\), which'):
            export_model(path, target)
        assert not path.with_suffix(f".{target}").exists()
