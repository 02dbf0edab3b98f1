"""The calibration within a run: on by default, kept in the file, applied in the one inference path."""

import pytest
import torch
from sklearn.datasets import load_iris

from polylogit import Classifier
from polylogit.data.tables.sources import open_source
from polylogit.recipes import recipe_from_entries
from polylogit.run import evaluate, predict, train


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    """A table whose probabilities a temperature improves: the default penalty makes them underconfident."""
    folder = tmp_path_factory.mktemp("iris")
    load_iris(as_frame=True).frame.to_csv(folder / "iris.csv", index=False)
    return folder / "iris.csv"


@pytest.fixture(scope="module")
def calibrated(iris):
    recipe = recipe_from_entries({"data": {"target": "target"}, "calibration": {"method": "temperature"}})
    return train(str(iris), recipe, out=iris.parent / "model.safetensors")


def test_the_calibration_is_in_the_file_and_in_the_probabilities(calibrated, iris):
    assert calibrated.calibration.method == "temperature"
    loaded = Classifier.load(calibrated.model_path)
    assert loaded.calibration == calibrated.calibration.calibration
    assert loaded.temperature != 1
    frame = open_source(str(iris)).frame
    inputs = loaded.preprocessing.encode(frame)
    with torch.inference_mode():
        expected = (loaded.network(inputs) / loaded.temperature).softmax(1)
    torch.testing.assert_close(loaded.predict_probabilities(frame), expected)


def test_a_temperature_changes_the_probabilities_and_not_the_classes(calibrated):
    assert calibrated.test.accuracy == calibrated.test_uncalibrated.accuracy
    assert calibrated.test.log_loss < calibrated.test_uncalibrated.log_loss
    entries = calibrated.as_json()
    assert entries["calibration"]["temperature"] == entries["temperature"]
    assert entries["calibration"]["candidates"][0]["name"] == "temperature"
    assert entries["test_uncalibrated"]["log_loss"] == calibrated.test_uncalibrated.log_loss


def test_the_calibration_is_fitted_on_training_rows_alone(calibrated):
    assert calibrated.calibration.rows <= calibrated.train.rows


def test_none_leaves_the_probabilities_of_the_network(calibrated, iris, tmp_path):
    recipe = recipe_from_entries({"data": {"target": "target"}, "calibration": {"method": "none"}})
    plain = train(str(iris), recipe, out=tmp_path / "model.safetensors")
    assert plain.calibration is None
    assert plain.classifier.calibration.is_identity
    assert plain.test.log_loss == pytest.approx(calibrated.test_uncalibrated.log_loss, rel=1e-6)


def test_the_rows_do_not_support_a_calibration_of_the_zoo(zoo_run):
    assert zoo_run.classifier.calibration.is_identity
    assert "within its standard error" in zoo_run.as_json()["calibration"]["reason"]


def test_structured_scaling_is_kept_in_the_file_and_in_the_one_path(tmp_path):
    """Balanced classes in the fit make the rare class too likely; a bias for each class corrects it."""
    draw = torch.Generator().manual_seed(0)
    labels = (torch.rand(1500, generator=draw) < 0.12).long()
    values = torch.randn(1500, generator=draw) + labels
    table = tmp_path / "rare.csv"
    table.write_text(
        "x,kind\n" + "".join(f"{x:.4f},{'ab'[k]}\n" for x, k in zip(values.tolist(), labels.tolist(), strict=True))
    )
    entries = {
        "data": {"target": "kind"},
        "training": {"class_weight": "balanced"},
        "calibration": {"method": "vector"},
    }
    run = train(str(table), recipe_from_entries(entries), out=tmp_path / "model.safetensors")
    assert run.calibration.method == "structured vector scaling"
    assert run.test.log_loss < 0.8 * run.test_uncalibrated.log_loss
    loaded = Classifier.load(run.model_path)
    assert loaded.calibration == run.classifier.calibration == run.calibration.calibration
    scaling = loaded.calibration.structured_scaling
    assert run.as_json()["structured_scaling"] == scaling.as_json()
    assert run.as_json()["calibration"]["vector"]["bias"] == list(scaling.bias)
    evaluated = evaluate(run.model_path, str(table), report=tmp_path / "report.html")
    assert evaluated.test == run.test
    assert "each class have a scale and a bias" in evaluated.report_path.read_text(encoding="utf-8")
    frame = predict(run.model_path, str(table)).frame
    expected = loaded.predict_probabilities(table)
    torch.testing.assert_close(torch.tensor(frame["probability_b"].to_list()), expected[:, 1])


def test_too_few_rows_give_no_calibration_and_the_reason(tmp_path):
    table = tmp_path / "few.csv"
    table.write_text("height,kind\n" + "".join(f"{n % 7},{'ab'[n % 2]}\n" for n in range(30)))
    few = train(str(table), recipe_from_entries({"data": {"target": "kind"}}), out=tmp_path / "model.safetensors")
    assert few.classifier.temperature == 1
    assert "24 rows were held out, and 50 are needed" in few.as_json()["calibration"]["reason"]


def test_rows_of_a_group_are_held_out_together(tmp_path):
    """Every row stands twice: only if both copies are held out together are the logits those of unseen rows."""
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(60, 40, generator=draw).repeat(2, 1)
    labels = torch.randint(2, (60,), generator=draw).repeat(2)  # nothing to learn
    lines = [",".join([f"{x:.4f}" for x in row] + [str(n % 60), "ab"[label]]) for n, (row, label) in
             enumerate(zip(features.tolist(), labels.tolist(), strict=True))]  # fmt: skip
    table = tmp_path / "twice.csv"
    header = ",".join([f"x{n}" for n in range(40)] + ["patient", "kind"])
    table.write_text("\n".join([header, *lines]) + "\n")
    entries = {"data": {"target": "kind", "drop": ["patient"], "duplicate_rows": "independent"}}
    blind = train(str(table), recipe_from_entries(entries), out=tmp_path / "blind.safetensors")
    entries = {"data": {"target": "kind", "group": "patient"}}
    grouped = train(str(table), recipe_from_entries(entries), out=tmp_path / "grouped.safetensors")
    assert grouped.calibration.log_loss_before > 2 * blind.calibration.log_loss_before
