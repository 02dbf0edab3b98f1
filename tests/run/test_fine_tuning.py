"""Fine-tuning of a pretrained network: kept where it is better, in the model file, and nowhere else."""

import json
import signal

import pytest
import torch
from starlette.testclient import TestClient

from polylogit import Classifier
from polylogit.cli.train import _print_result
from polylogit.data.pictures.pretrained.architecture import empty_network
from polylogit.data.pictures.pretrained.catalogue import BACKBONES
from polylogit.data.pictures.pretrained.weights import packaged_weights, weights_digest
from polylogit.errors import RecipeError
from polylogit.export import export_model
from polylogit.fitting.callbacks import TrainingCallback
from polylogit.fitting.loop import fit_network
from polylogit.recipes import recipe_from_entries
from polylogit.run import check_labels, evaluate, fine_tuning, predict, train
from polylogit.serve.app import create_app
from polylogit.serve.settings import ServeSettings

STRONG_PENALTY = {"C": 1e-3}  # far from the optimum, so that more training pays
UNCALIBRATED = {"calibration": {"method": "none"}}


def recipe(finetune="last", *, model=None, data=None, training=None, **sections):
    training = {"finetune": finetune, "finetune_epochs": 4, "finetune_learning_rate": 1e-3, **(training or {})}
    data = {"picture_size": 32, **(data or {})}
    return recipe_from_entries(
        {"model": {"kind": "pretrained", **(model or {})}, "data": data, "training": training, **sections}
    )


@pytest.fixture(scope="module")
def tuned(shapes, tmp_path_factory):
    out = tmp_path_factory.mktemp("tuned") / "tuned.safetensors"
    return train(str(shapes), recipe(training=STRONG_PENALTY, **UNCALIBRATED), out=out)


def changed_tensors(classifier):
    found = classifier.preprocessing.backbone.module.network.state_dict()
    return {name for name, tensor in packaged_weights().tensors.items() if not torch.equal(tensor, found[name])}


def test_better_weights_of_the_last_block_are_kept(tuned):
    assert "Then the last block was fine-tuned: log loss of 10 validation pictures 0.0" in tuned.fit_message
    last = BACKBONES["efficientnet_lite0"].last_block
    changed = changed_tensors(tuned.classifier)
    assert {name.split(".")[0] for name in changed} == {"blocks", "conv_head", "bn2"}
    assert all(name.startswith(last) and "running" not in name for name in changed)  # statistics stay


def test_the_whole_network_can_be_fine_tuned(shapes, tmp_path):
    run = train(
        str(shapes),
        recipe("all", training=STRONG_PENALTY | {"finetune_learning_rate": 3e-4, "finetune_epochs": 3}, **UNCALIBRATED),
        out=tmp_path / "m.safetensors",
    )
    assert "Then the whole network was fine-tuned" in run.fit_message
    assert "conv_stem.weight" in changed_tensors(run.classifier)
    assert not any("running" in name for name in changed_tensors(run.classifier))


def test_the_model_file_has_the_changed_weights_with_digest_source_and_licence(tuned, shapes):
    loaded = Classifier.load(tuned.model_path)
    weights = loaded.preprocessing.backbone.weights
    assert weights.digest == weights_digest(weights.tensors) != packaged_weights().digest
    assert weights.source == f"{packaged_weights().source}, the last block fine-tuned"
    assert (weights.licence, loaded.model_kind) == ("Apache-2.0", "pretrained")
    expected = tuned.classifier.predict_probabilities(str(shapes))
    assert torch.equal(loaded.predict_probabilities(str(shapes)), expected)


def test_the_figures_of_the_run_are_those_of_the_file(tuned, shapes):
    evaluated = evaluate(tuned.model_path, str(shapes))
    assert evaluated.test.rows == 12
    assert evaluated.test.log_loss == pytest.approx(tuned.test.log_loss, abs=1e-5)
    assert tuned.cross_validation is None  # the folds would be those of the network as it was


def test_the_history_has_the_epochs_of_the_fine_tuning(tuned):
    lines = [json.loads(line) for line in tuned.history_path.read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    assert lines[-1]["validation_loss"] < lines[0]["validation_loss"]


def test_weights_that_are_no_better_are_not_kept(shapes, tmp_path):
    run = train(str(shapes), recipe(training={"finetune_epochs": 1}), out=tmp_path / "m.safetensors")
    assert "The last block stays as it was: log loss of 10 validation pictures" in run.fit_message
    frozen = train(str(shapes), recipe("none"), out=tmp_path / "frozen.safetensors")
    assert not changed_tensors(run.classifier)
    for name, tensor in frozen.classifier.network.state_dict().items():
        assert torch.equal(run.classifier.network.state_dict()[name], tensor)
    assert run.calibration.calibration == frozen.calibration.calibration


def test_fine_tuning_is_the_same_each_time_and_depends_on_no_thread_state(tuned, shapes, tmp_path):
    torch.manual_seed(7)
    again = train(str(shapes), recipe(training=STRONG_PENALTY, **UNCALIBRATED), out=tmp_path / "again.safetensors")
    assert again.classifier.preprocessing.backbone.weights.digest == (
        tuned.classifier.preprocessing.backbone.weights.digest
    )


def test_it_predicts_and_is_served_with_its_changed_weights(tuned, shapes):
    picture = shapes / "discs" / "3.png"
    expected = predict(tuned.model_path, str(picture)).frame.row(0, named=True)
    app = create_app(ServeSettings((tuned.model_path,), log_requests=False))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        answer = client.post("/predict", content=picture.read_bytes(), headers={"content-type": "image/png"}).json()
    assert answer["class"] == expected["class"]
    for name, probability in answer["probabilities"].items():
        assert probability == pytest.approx(expected[f"probability_{name}"], abs=1e-6)


def test_the_conclusion_says_why_there_are_no_prediction_sets(tuned, shapes, capsys):
    _print_result(str(shapes), tuned, printed=(), as_json=False)
    assert "Prediction sets: none, because no rows are held out to set their threshold." in capsys.readouterr().out


def test_an_interrupt_keeps_the_network_as_it_was(shapes, tmp_path, capsys):
    class Impatient(TrainingCallback):
        def epoch_done(self, record):
            signal.raise_signal(signal.SIGINT)

    run = train(
        str(shapes),
        recipe(training=STRONG_PENALTY, **UNCALIBRATED),
        out=tmp_path / "m.safetensors",
        callbacks=[Impatient()],
    )
    assert "The fine-tuning was interrupted after 1 epoch, so that the network stays as it was." in run.fit_message
    assert not run.whole
    assert not changed_tensors(run.classifier)
    _print_result(str(shapes), run, printed=(), as_json=False)
    conclusion = " ".join(capsys.readouterr().out.split())
    assert "The fine-tuning was interrupted after 1 epoch" in conclusion
    assert "stopped after" not in conclusion


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"model": {"embed_weights": False}}, r"training\.finetune: changed weights are in no installed package"),
        ({"cross_validation": {"folds": 2}}, r"cross_validation\.folds: 2, but a network that is fine-tuned"),
    ],
)
def test_what_does_not_go_with_it_is_refused(shapes, tmp_path, entries, message):
    with pytest.raises(RecipeError, match=message):
        train(str(shapes), recipe(**entries), out=tmp_path / "m.safetensors")


def test_labels_are_not_checked_with_it(shapes):
    with pytest.raises(RecipeError, match=r"training\.finetune: a network is not fine-tuned for each of \d+ folds"):
        check_labels(str(shapes), recipe())


@pytest.mark.slow
@pytest.mark.parametrize("target", ["torch", "onnx"])
def test_it_is_exported_with_its_changed_weights(tuned, target):
    assert export_model(tuned.model_path, target).largest_difference < 1e-4


@pytest.mark.parametrize("name", BACKBONES)
def test_each_network_has_the_parameters_of_its_last_block(name):
    pytest.importorskip("timm")
    names = [each for each, _ in empty_network(name).named_parameters()]
    for prefix in BACKBONES[name].last_block:
        assert any(each.startswith(prefix) for each in names)
    assert names[-1].startswith(BACKBONES[name].last_block)
    assert not names[0].startswith(BACKBONES[name].last_block)


def test_of_several_processes_the_first_fits_with_the_others(shapes, tmp_path, monkeypatch):
    class First:
        fits = 0

        def fit_network(self, *arguments, **options):
            self.fits += 1
            return fit_network(*arguments, **options)

    first = First()
    monkeypatch.setattr(fine_tuning, "first_process", lambda: first)
    train(str(shapes), recipe(training={"finetune_epochs": 1}, **UNCALIBRATED), out=tmp_path / "m.safetensors")
    assert first.fits == 1
