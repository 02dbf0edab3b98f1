"""JavaScript: onnxruntime-web under node takes an exported model with texts, numbers and dates."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.export.conftest import CALIBRATIONS, classifier_of

from polylogit.export.check_rows import check_rows
from polylogit.export.onnx_target import onnx_artifact
from polylogit.export.parity import expected_answers

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
PACKAGE = "onnxruntime-web@1.30.0"


def script_of_the_page():
    """The program that the page shows."""
    (script,) = re.findall(r"^```js\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return script


@pytest.mark.slow
def test_onnxruntime_web_predicts_the_same(mixed_encoder, tmp_path):
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    words = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE]
    installed = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    if installed.returncode:
        pytest.skip(f"{PACKAGE} cannot be installed here")
    classifier = classifier_of(mixed_encoder, calibration=CALIBRATIONS["quadratic"], names=("a", "ÿ", "c"))
    (tmp_path / "model.onnx").write_bytes(onnx_artifact(classifier).content({}))
    rows = check_rows(classifier)
    json_rows = rows.with_columns(pl.col(pl.Date).dt.strftime("%Y-%m-%d")).to_dicts()
    (tmp_path / "rows.json").write_text(json.dumps(json_rows), encoding="utf-8")
    (tmp_path / "predict.js").write_text(script_of_the_page(), encoding="utf-8")
    words = ["node", "predict.js", "model.onnx", "rows.json"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True, encoding="utf-8")
    found, expected = json.loads(done.stdout), expected_answers(classifier, rows)
    assert [row["class"] for row in found] == list(expected.class_names)
    np.testing.assert_allclose(
        [row["probabilities"] for row in found], expected.probabilities, rtol=0, atol=1e-5, equal_nan=True
    )
