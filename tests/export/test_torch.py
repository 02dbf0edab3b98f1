"""torch: the program predicts the same, and torch loads it where polylogit cannot be imported."""

import subprocess
import sys

import jaxtyping
import pytest
import torch
from tests.export.conftest import CALIBRATIONS, classifier_of

from polylogit.errors import ExportError
from polylogit.export import export_model
from polylogit.export.check_rows import check_rows
from polylogit.export.parity import expected_answers

SCRIPT = """
import json, sys
sys.modules["polylogit"] = None
import torch
extra = {"polylogit.json": ""}
program = torch.export.load(sys.argv[1], extra_files=extra)
about = json.loads(extra["polylogit.json"])
probabilities = program.module()(torch.load(sys.argv[2], weights_only=True))
print(json.dumps([about["schema"]["class_names"], about["features"][:2], about["mean"][0], probabilities.tolist()]))
"""


@pytest.fixture(autouse=True)
def _without_shape_checks():
    """torch follows a network with sizes that are symbols, which the shape checks of tests cannot compare."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.parametrize(("kind", "options"), [("linear", {}), ("mlp", {"hidden": (5,), "activation": "gelu"})])
def test_tables(mixed_encoder, saved, kind, options):
    classifier = classifier_of(mixed_encoder, kind, calibration=CALIBRATIONS["matrix"], **options)
    result = export_model(saved(classifier), "torch")
    assert result.path.suffix == ".pt2"
    assert result.largest_difference < 1e-6


def test_pictures_are_pixels(picture_encoder, saved):
    network = {"widths": (4,), "kernel_sizes": 3, "strides": 1, "pools": 2, "views": "mirror"}
    classifier = classifier_of(picture_encoder, "cnn", calibration=CALIBRATIONS["mixing"], **network)
    result = export_model(saved(classifier), "torch")
    assert result.largest_difference < 1e-6
    program = torch.export.load(result.path).module()
    pixels = check_rows(classifier)
    expected = torch.tensor(expected_answers(classifier, pixels).probabilities, dtype=torch.float32)
    torch.testing.assert_close(program(pixels[:5]), expected[:5], rtol=0, atol=1e-6)


def test_a_batch_larger_than_the_blocks_of_oriented_gradients(picture_encoder, saved, monkeypatch):
    """The number of blocks of the example must not become part of the program."""
    monkeypatch.setattr("polylogit.networks.oriented_gradients._VALUES_AT_ONCE", 8 * 12 * 12 * 50)
    network = {"widths": (4,), "kernel_sizes": 3, "strides": 1, "pools": 1, "orientations": 8}
    classifier = classifier_of(picture_encoder, "cnn", **network)
    result = export_model(saved(classifier), "torch")
    assert result.parity[0].rows == 300
    assert result.largest_difference < 1e-5


def test_a_program_that_cannot_be_run_is_an_error(mixed_encoder, saved, monkeypatch):
    path = saved(classifier_of(mixed_encoder))

    class Broken:
        def module(self):
            return lambda _: 1 / 0

    monkeypatch.setattr("torch.export.load", lambda _: Broken())
    with pytest.raises(ExportError, match="no rows: the export cannot be run: division by zero Nothing was written"):
        export_model(path, "torch")
    assert not path.with_suffix(".pt2").exists()


def test_it_is_loaded_without_polylogit(mixed_encoder, saved, tmp_path):
    import json

    classifier = classifier_of(mixed_encoder)
    result = export_model(saved(classifier), "torch")
    rows = check_rows(classifier)[:4]
    torch.save(mixed_encoder.encode(rows), tmp_path / "rows.pt")
    words = [sys.executable, "-c", SCRIPT, str(result.path), str(tmp_path / "rows.pt")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    names, features, mean, probabilities = json.loads(done.stdout.splitlines()[-1])
    assert (tuple(names), tuple(features)) == (classifier.class_names, mixed_encoder.feature_names[:2])
    assert mean == mixed_encoder.mean[0].item()
    expected = torch.tensor(expected_answers(classifier, rows).probabilities)
    torch.testing.assert_close(torch.tensor(probabilities, dtype=torch.float64), expected, rtol=0, atol=1e-6)
