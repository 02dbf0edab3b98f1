"""Classifiers of every kind, made without training."""

from datetime import date, timedelta

import polars as pl
import pytest
import torch

from polylogit import Classifier
from polylogit.calibration import Calibration, QuadraticMap, StructuredScaling, VectorScaling
from polylogit.data.pictures.encoder import PictureEncoder
from polylogit.data.tables.column_types import Reading
from polylogit.data.tables.encoder import TableEncoder
from polylogit.model_header import NetworkSpec, TrainedOn
from polylogit.networks import build_network

TRAINED_ON = TrainedOn(data="drawn", target="kind", fingerprint="0" * 64, rows_train=60, rows_test=0)
READINGS = {
    "n": Reading("number"),
    "big": Reading("number"),
    "flag": Reading("boolean"),
    "skin": Reading("category"),
    "code": Reading("category"),
    "day": Reading("date"),
}
CALIBRATIONS = {
    "none": Calibration(),
    "temperature": Calibration(temperature=1.7),
    "mixing": Calibration(temperature=0.8, uniform_share=0.03),
    "quadratic": Calibration(quadratic=QuadraticMap(0.9, 0.1), temperature=1.2, uniform_share=0.01),
    "vector": Calibration(vector_scaling=VectorScaling((1.1, 0.9, 1.3), (0.1, -0.2, 0.0))),
    "structured": Calibration(temperature=1.1, structured_scaling=StructuredScaling((1.1, 0.9, 1.3), (0.1, -0.2, 0.0))),
    "matrix": Calibration(
        structured_scaling=StructuredScaling(
            (1.1, 0.9, 1.3), (0.1, -0.2, 0.0), ((0.0, 0.1, 0.2), (-0.1, 0.0, 0.1), (0.3, 0.2, 0.0))
        )
    ),
}


def mixed_frame(rows=60):
    """Every type of column, with gaps in most of them."""
    return pl.DataFrame(
        {
            "n": [None if row == 3 else float(row % 9) for row in range(rows)],
            "big": [1e6 + 1000.0 * (row % 7) for row in range(rows)],
            "flag": [None if row == 5 else row % 3 == 0 for row in range(rows)],
            "skin": [(None, "fur", "scales", "feathers")[row % 4] for row in range(rows)],
            "code": [str(row % 5) for row in range(rows)],
            "day": [None if row == 7 else date(2020, 1, 31) + timedelta(days=37 * row) for row in range(rows)],
        }
    )


def classifier_of(encoder, kind="linear", *, classes=3, calibration=None, names=None, **options):
    """A classifier with weights as drawn."""
    torch.manual_seed(0)
    shape = {"features": encoder.features}
    if kind in ("cnn", "residual"):
        shape = dict(zip(("channels", "height", "width"), encoder.input_shape, strict=True))
    spec = NetworkSpec(kind=kind, options={**shape, "classes": classes, **options})
    return Classifier(
        preprocessing=encoder,
        network=build_network(spec.kind, spec.options),
        network_spec=spec,
        class_names=tuple(names or [f"class {place}" for place in range(classes)]),
        trained_on=TRAINED_ON,
        calibration=calibration or Calibration(),
    )


@pytest.fixture(scope="session")
def mixed_encoder():
    frame = mixed_frame()
    return TableEncoder.fit(frame, readings=READINGS, most_levels=4).with_ranges(frame)


@pytest.fixture(scope="session")
def picture_encoder():
    return PictureEncoder.fit(torch.randint(256, (8, 1, 12, 12), dtype=torch.uint8))


@pytest.fixture
def saved(tmp_path):
    """Save a classifier and give its path."""

    def save(classifier):
        path = tmp_path / "model.safetensors"
        classifier.save(path)
        return path

    return save
