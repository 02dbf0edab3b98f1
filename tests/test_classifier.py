from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import torch

from polylogit import Classifier
from polylogit.calibration import Calibration, QuadraticMap, VectorScaling
from polylogit.data.tables.encoder import TableEncoder
from polylogit.data.tables.sources import open_source
from polylogit.model_header import NetworkSpec, TrainedOn, read_header
from polylogit.networks import LinearNetwork

ZOO = open_source("zoo").frame


def test_a_saved_classifier_predicts_the_same_bits(zoo_run):
    again = Classifier.load(zoo_run.model_path)
    assert torch.equal(again.predict_probabilities(ZOO), zoo_run.classifier.predict_probabilities(ZOO))
    assert again.class_names == zoo_run.classifier.class_names
    assert again.recipe == zoo_run.recipe.as_entries()


def test_saving_again_gives_the_same_bytes(zoo_run, tmp_path):
    Classifier.load(zoo_run.model_path).save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == zoo_run.model_path.read_bytes()


def test_probabilities_sum_to_one_and_lead_to_the_predicted_class(zoo_run):
    probabilities = zoo_run.classifier.predict_probabilities(ZOO)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(101))
    names = [zoo_run.classifier.class_names[index] for index in probabilities.argmax(dim=1)]
    assert names == zoo_run.classifier.predict(ZOO)


def test_data_may_be_a_name_a_path_or_a_frame(zoo_run, tmp_path):
    ZOO.write_csv(tmp_path / "animals.csv")
    classifier = zoo_run.classifier
    expected = classifier.predict_logits(ZOO)
    for data in ("zoo", tmp_path / "animals.csv", str(tmp_path / "animals.csv")):
        assert torch.equal(classifier.predict_logits(data), expected)


def test_the_temperature_divides_the_logits(zoo_run):
    cooler = replace(zoo_run.classifier, calibration=Calibration(temperature=2.0))
    plain = replace(zoo_run.classifier, calibration=Calibration())
    torch.testing.assert_close(cooler.predict_logits(ZOO), plain.predict_logits(ZOO) / 2)
    assert cooler.predict(ZOO) == plain.predict(ZOO)


def test_the_temperature_survives_the_file(zoo_run, tmp_path):
    replace(zoo_run.classifier, calibration=Calibration(temperature=1.75)).save(tmp_path / "m.safetensors")
    assert Classifier.load(tmp_path / "m.safetensors").temperature == 1.75


def test_vector_scaling_and_mixing_survive_the_file_and_follow_the_temperature(zoo_run, tmp_path):
    plain = zoo_run.classifier.uncalibrated
    scaling = VectorScaling(tuple(1.0 + 0.1 * k for k in range(7)), tuple(0.2 * k for k in range(7)))
    calibration = Calibration(temperature=2.0, uniform_share=0.07, vector_scaling=scaling)
    replace(plain, calibration=calibration).save(tmp_path / "m.safetensors")
    loaded = Classifier.load(tmp_path / "m.safetensors")
    assert loaded.calibration == calibration
    assert loaded.calibrated
    assert not plain.calibrated
    scaled = plain.predict_logits(ZOO) / 2 * torch.tensor(scaling.scale) + torch.tensor(scaling.bias)
    torch.testing.assert_close(loaded.predict_probabilities(ZOO), 0.93 * scaled.softmax(1) + 0.01)
    torch.testing.assert_close(loaded.uncalibrated.predict_logits(ZOO), plain.predict_logits(ZOO))


def test_a_quadratic_map_survives_the_file_and_comes_before_the_temperature(zoo_run, tmp_path):
    plain = zoo_run.classifier.uncalibrated
    calibration = Calibration(temperature=0.5, quadratic=QuadraticMap(slope=0.4, curvature=0.3))
    replace(plain, calibration=calibration).save(tmp_path / "m.safetensors")
    loaded = Classifier.load(tmp_path / "m.safetensors")
    assert loaded.calibrated
    scores = plain.predict_logits(ZOO).log_softmax(1)
    torch.testing.assert_close(loaded.predict_probabilities(ZOO), ((0.4 * scores - 0.3 * scores**2) / 0.5).softmax(1))
    assert loaded.predict(ZOO) == plain.predict(ZOO)
    torch.testing.assert_close(loaded.uncalibrated.predict_logits(ZOO), plain.predict_logits(ZOO))


def test_a_file_without_them_is_as_before(zoo_run, tmp_path):
    zoo_run.classifier.uncalibrated.save(tmp_path / "m.safetensors")
    entries = read_header(tmp_path / "m.safetensors").model_dump(exclude_none=True)
    assert not {"curve", "floor", "vector_scaling"} & set(entries)
    assert not Classifier.load(tmp_path / "m.safetensors").calibrated


def test_more_rows_than_go_through_at_once(zoo_run, monkeypatch):
    whole = zoo_run.classifier.predict_logits(ZOO)
    monkeypatch.setattr("polylogit.classifier.ROWS_AT_ONCE", 10)
    torch.testing.assert_close(zoo_run.classifier.predict_logits(ZOO), whole)


def test_categories_survive_the_file(tmp_path, polylogit):
    frame = pl.DataFrame({"skin": ["fur", "scales"] * 20, "legs": [4, 0, 4, 2] * 10, "kind": ["mammal", "fish"] * 20})
    frame.write_csv(tmp_path / "a.csv")
    assert polylogit("train", "a.csv", "--target", "kind", "--out", "m.safetensors").exit_code == 0
    assert Classifier.load(Path("m.safetensors")).predict(frame[:2]) == ["mammal", "fish"]


def test_a_file_that_is_not_there_is_a_model_file_error(tmp_path):
    from polylogit import ModelFileError

    with pytest.raises(ModelFileError, match="cannot be read"):
        Classifier.load(tmp_path / "none.safetensors")


def linear_classifier(weight, bias, calibration=None):
    weight, bias = torch.tensor(weight), torch.tensor(bias)
    classes, features = weight.shape
    frame = pl.DataFrame({f"x{place}": [0.0, 1.0] for place in range(features)})
    return Classifier(
        preprocessing=TableEncoder.fit(frame, standardise=False),
        network=LinearNetwork.with_weights(weight, bias),
        network_spec=NetworkSpec(kind="linear", options={"features": features, "classes": classes}),
        class_names=tuple("abc"[:classes]),
        trained_on=TrainedOn(data="t", target="k", fingerprint="0" * 64, rows_train=2, rows_test=0),
        calibration=calibration or Calibration(),
    )


class Unsteady(LinearNetwork):
    """A network whose rounding, made large here, exchanges the classes of near ties between one row and many."""

    def forward(self, inputs):
        return super().forward(inputs) + (0 if len(inputs) == 1 else torch.tensor([3e-5, 0.0]))


@pytest.mark.parametrize(
    "calibration", [Calibration(), Calibration(vector_scaling=VectorScaling((1.0, 1.0), (-2.0, 0.0)))]
)
def test_the_class_of_a_near_tie_is_that_of_the_row_alone(calibration):
    steady = linear_classifier([[1.0], [0.0]], [0.0, 0.0], calibration)
    network = Unsteady(1, 2)
    network.load_state_dict(steady.network.state_dict())
    classifier = replace(steady, network=network)
    frame = pl.DataFrame({"x0": [-1e-5, 2 - 1e-5, 1.0, -1.0, 5.0]})
    alone = [classifier.predict(frame[row : row + 1])[0] for row in range(5)]
    assert classifier.predict(frame) == alone
    scores, _ = classifier.score_frame(frame)
    assert torch.equal(scores.logits.argmax(1), torch.tensor([classifier.class_names.index(name) for name in alone]))
    assert torch.equal(calibration.apply(scores.network_logits), scores.logits)


def test_a_linear_model_gives_a_row_the_same_logits_alone_and_among_others():
    draw = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 33, generator=draw)
    classifier = linear_classifier(weight.tolist(), [0.0, 0.1, 0.2])
    frame = pl.DataFrame(torch.randn(700, 33, generator=draw).numpy(), schema=[f"x{place}" for place in range(33)])
    together = classifier.predict_logits(frame)
    for row in range(0, 700, 97):
        torch.testing.assert_close(classifier.predict_logits(frame[row : row + 1])[0], together[row], rtol=2e-7, atol=0)


def test_making_a_linear_network_leaves_the_random_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    LinearNetwork.with_weights(torch.zeros(2, 2), torch.zeros(2))
    assert torch.equal(torch.rand(1), expected)


def test_rows_are_predicted_as_a_frame_of_them(zoo_run):
    classifier = zoo_run.classifier
    predictions = classifier.predict_rows(ZOO.to_dicts())
    assert [prediction.class_name for prediction in predictions] == classifier.predict(ZOO)
    probabilities = torch.tensor([list(prediction.probabilities.values()) for prediction in predictions])
    torch.testing.assert_close(probabilities, classifier.predict_probabilities(ZOO), rtol=0, atol=1e-7)
    assert list(predictions[0].probabilities) == list(classifier.class_names)
    assert {prediction.unseen for prediction in predictions} == {()}
    assert classifier.predict_rows([ZOO.row(3, named=True)])[0].class_name == predictions[3].class_name
    assert classifier.predict_rows([]) == []
