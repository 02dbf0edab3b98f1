"""Softmax regression on the features of a pretrained network: from a folder of pictures to a model file and back."""

import json
import shutil

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from polylogit import Classifier
from polylogit.data.pictures.pretrained import features as features_module
from polylogit.data.pictures.pretrained.backbone import Backbone, FeatureNetwork
from polylogit.data.pictures.pretrained.encoder import BackboneEncoder
from polylogit.data.pictures.pretrained.weights import BackboneWeights
from polylogit.errors import DataError, ModelFileError, PolylogitError, RecipeError
from polylogit.export import export_model
from polylogit.fitting.callbacks import TrainingCallback
from polylogit.recipes import recipe_from_entries
from polylogit.run import check_labels, compare, evaluate, predict, train
from polylogit.run.task_reading import read_task


def recipe(side=64, *, model=None, **sections):
    sections = {"data": {}, **sections}
    sections["data"] = {"picture_size": side, **sections["data"]}
    return recipe_from_entries({"model": {"kind": "pretrained", **(model or {})}, **sections})


@pytest.fixture(scope="module")
def run(shapes, tmp_path_factory):
    return train(str(shapes), recipe(), out=tmp_path_factory.mktemp("shapes_model") / "shapes.safetensors")


def test_few_pictures_are_enough(run):
    """Sixteen drawings a class; by chance a third would be right."""
    assert run.classifier.model_kind == "pretrained"
    assert run.cross_validation.rows == 60
    assert run.cross_validation.summary.accuracy > 0.85
    assert run.fit_message.startswith(f"{run.epochs} iterations: the certified relative gap")


def test_the_file_says_what_gives_the_features(run):
    with safe_open(run.model_path, framework="pt") as file:
        entry = json.loads(file.metadata()["polylogit"])["preprocessing"]
    assert (entry["kind"], entry["channels"], entry["height"], entry["width"]) == ("picture", 3, 64, 64)
    backbone = run.classifier.preprocessing.backbone
    assert entry["backbone"] == {
        "name": "efficientnet_lite0",
        "digest": backbone.weights.digest,
        "source": backbone.weights.source,
        "licence": "Apache-2.0",
        "embedded": True,
        "mirror": False,
    }


def test_a_loaded_model_predicts_the_same_and_a_picture_alone_as_among_others(run, shapes):
    loaded = Classifier.load(run.model_path)
    together = loaded.predict_probabilities(str(shapes))
    assert torch.equal(together, run.classifier.predict_probabilities(str(shapes)))
    alone = loaded.predict_probabilities(str(shapes / "discs" / "0.png"))
    torch.testing.assert_close(alone[0], together[0], rtol=0, atol=1e-6)
    assert loaded.schema.input.height == 64


def test_the_features_of_a_run_are_those_of_its_predictions(run, shapes):
    """The fit sees features from the cache, a prediction computes them: the metrics agree."""
    evaluated = evaluate(run.model_path, str(shapes))
    assert evaluated.test.rows == 12
    assert evaluated.test.log_loss == pytest.approx(run.test.log_loss, abs=1e-5)
    assert "only the 12 held-out ones" in evaluated.notes[0]


def test_features_are_computed_once(shapes, tmp_path, monkeypatch):
    seen = []

    class Progress(TrainingCallback):
        def features_done(self, done, total):
            seen.append((done, total))

    monkeypatch.setenv("POLYLOGIT_CACHE", str(tmp_path))
    monkeypatch.setattr(features_module, "BLOCK", 32)
    first = read_task(str(shapes), recipe(32), None, callbacks=[Progress()])[1]
    assert seen == [(32, 60), (60, 60)]
    again = read_task(str(shapes), recipe(32), None, callbacks=[Progress()])[1]
    assert len(seen) == 2
    assert torch.equal(first.rows.inputs, again.rows.inputs)
    moved = tmp_path / "moved"
    shutil.copytree(shapes, moved)
    Image.new("RGB", (40, 40), "red").save(moved / "discs" / "new.png")
    read_task(str(moved), recipe(32), None, callbacks=[Progress()])
    assert seen[2:] == [(1, 1)]  # by content, wherever the file is


def test_weights_may_stay_outside_the_model_file(run, shapes, tmp_path, monkeypatch):
    path = tmp_path / "small.safetensors"
    train(str(shapes), recipe(model={"embed_weights": False}), out=path)
    assert path.stat().st_size < 100_000 < run.model_path.stat().st_size
    expected = run.classifier.predict_probabilities(str(shapes / "discs"))
    assert torch.equal(Classifier.load(path).predict_probabilities(str(shapes / "discs")), expected)

    def other(*_):
        return "0" * 64

    monkeypatch.setattr("polylogit.data.pictures.pretrained.weights.weights_digest", other)
    with pytest.raises(ModelFileError, match=r"have the digest 0{16}…, the model was trained with f44627eac3d3e3e8"):
        Classifier.load(path)


def test_only_weights_that_a_prediction_finds_may_stay_outside(run, shapes, tmp_path):
    """Else the training would end in a model file that cannot be loaded."""
    weights = dict(run.classifier.preprocessing.backbone.weights.tensors)
    save_file(weights, tmp_path / "same.safetensors")
    weights["conv_stem.weight"] = weights["conv_stem.weight"] * 2
    save_file(weights, tmp_path / "other.safetensors")
    model = {"embed_weights": False, "weights": str(tmp_path / "other.safetensors")}
    with pytest.raises(RecipeError, match=r"model\.embed_weights: .* \(the file other\.safetensors\).* Set it to true"):
        train(str(shapes), recipe(model=model), out=tmp_path / "m.safetensors")
    train(
        str(shapes),
        recipe(model=model | {"weights": str(tmp_path / "same.safetensors")}),
        out=tmp_path / "m.safetensors",
    )
    assert Classifier.load(tmp_path / "m.safetensors").model_kind == "pretrained"


def test_a_file_without_the_weights_of_another_network_says_so(run, tmp_path):
    def outside(header, tensors):
        header["preprocessing"]["backbone"] |= {"name": "resnet18", "embedded": False}
        for name in [name for name in tensors if name.startswith("preprocessing.backbone.")]:
            del tensors[name]

    path = tmp_path / "changed.safetensors"
    shutil.copy(run.model_path, path)
    changed(path, outside)
    with pytest.raises(ModelFileError, match="has no weights of resnet18, only their digest, and no installed package"):
        Classifier.load(path)


@pytest.mark.penalty_chosen
def test_the_penalty_is_chosen_and_kept_in_the_recipe(shapes, tmp_path):
    run = train(str(shapes), recipe(32), out=tmp_path / "m.safetensors")
    assert run.penalty.C == run.recipe.training.C
    assert len(run.penalty.path) > 3


def test_a_model_with_the_mirror_image_does_not_see_sides(shapes, tmp_path):
    run = train(str(shapes), recipe(32, model={"mirror": True}), out=tmp_path / "m.safetensors")
    pixels = torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = Classifier.load(tmp_path / "m.safetensors").predict_probabilities(pixels)
    torch.testing.assert_close(run.classifier.predict_probabilities(pixels.flip(3)), found, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["torch", "onnx"])
def test_it_is_exported_with_the_network_inside(shapes, tmp_path, target):
    train(str(shapes), recipe(32), out=tmp_path / "m.safetensors")
    export = export_model(tmp_path / "m.safetensors", target)
    assert export.largest_difference < 1e-4
    assert export.size > 13_000_000


def test_it_is_not_exported_to_sql(run):
    with pytest.raises(PolylogitError, match="a model of pictures cannot be exported to SQL"):
        export_model(run.model_path, "sql")


def test_labels_are_checked_with_its_features(shapes, tmp_path):
    folder = tmp_path / "wrong"
    shutil.copytree(shapes, folder)
    (folder / "discs" / "3.png").rename(folder / "stripes" / "wrong.png")
    found = check_labels(str(folder), recipe())
    assert [suspect.file for suspect in found.suspects][:1] == ["stripes/wrong.png"]
    assert found.suspects[0].suggested == "discs"


def test_predictions_name_their_files(run, shapes, tmp_path):
    predict(run.model_path, str(shapes / "discs"), out=tmp_path / "found.csv")
    lines = (tmp_path / "found.csv").read_text().splitlines()
    assert lines[0].startswith("file,class,probability_discs")
    assert len(lines) == 21


@pytest.mark.parametrize(
    ("data", "entries", "message"),
    [
        ("zoo", {}, "takes picture files, and this is a table"),
        ("mnist", {}, "takes picture files, and this is a picture data set"),
        (None, {"data": {"picture_size": 16}}, "takes pictures from 32 to 1024 pixels only, got 16"),
        (None, {"data": {"picture_values": "unit"}}, "has a normalisation of its own"),
        (None, {"model": {"backbone": "resnet50"}}, "no installed package has the weights of resnet50"),
    ],
)
def test_what_does_not_fit_is_refused(shapes, tmp_path, data, entries, message):
    with pytest.raises(RecipeError, match=message):
        train(str(data or shapes), recipe(**entries), out=tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_network_of_a_fixed_size_takes_no_other():
    nothing = BackboneWeights({}, "0" * 64, "nowhere", "none")
    backbone = Backbone("vit_small_patch14_dinov2", FeatureNetwork(torch.nn.Identity()), nothing)
    with pytest.raises(RecipeError, match=r"vit_small_patch14_dinov2 takes pictures of 518 pixels only, got 64"):
        BackboneEncoder(backbone, 64)


def test_a_broken_picture_is_named(shapes, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(shapes, folder)
    (folder / "discs" / "7.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"discs/7\.png: no picture can be read"):
        train(str(folder), recipe(32), out=tmp_path / "m.safetensors")
    skipped = train(str(folder), recipe(32, data={"broken": "skip"}), out=tmp_path / "m.safetensors")
    assert "1 picture cannot be read and was skipped" in skipped.notes[0]


def changed(path, change):
    """The model file with its header or tensors changed, and a digest that fits."""
    from polylogit.model_tensors import content_digest

    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["polylogit"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(header, tensors)
    text = json.dumps(header)
    save_file(tensors, path, metadata={"polylogit": text, "digest": content_digest(text, tensors)})


def renamed(header, tensors):
    header["preprocessing"]["backbone"]["name"] = "x" * 10_000


def enlarged(header, tensors):
    header["preprocessing"] |= {"height": 4096, "width": 4096}


def another(header, tensors):
    header["preprocessing"]["backbone"]["name"] = "resnet50"


def lighter(header, tensors):
    del tensors["preprocessing.backbone.conv_head.weight"]


def heavier(header, tensors):
    tensors["preprocessing.backbone.more"] = torch.zeros(3)


def shifted(header, tensors):
    tensors["preprocessing.mean"] += 0.5


def poisoned(header, tensors):
    tensors["preprocessing.backbone.conv_head.weight"][0] += 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (renamed, r"preprocessing\.picture\.backbone\.name: Input should be 'efficientnet_lite0'"),
        (enlarged, "equal sides of at most 1024 pixels, got 3 x 4096 x 4096"),
        (another, r"the tensor preprocessing\.backbone\.conv1\.weight is missing"),
        (lighter, r"the tensor preprocessing\.backbone\.conv_head\.weight is missing"),
        (heavier, r"tensors that belong to no part of the model: preprocessing\.backbone\.more"),
        (shifted, "mean and scale are not those of efficientnet_lite0"),
        (poisoned, "the model was trained with f44627eac3d3e3e8"),
    ],
)
def test_a_hostile_or_damaged_file_gives_a_clear_error(run, tmp_path, change, message):
    path = tmp_path / "changed.safetensors"
    shutil.copy(run.model_path, path)
    changed(path, change)
    with pytest.raises(ModelFileError, match=message):
        Classifier.load(path)


def test_without_the_extra_the_message_says_how_to_install_it(run, monkeypatch):
    from polylogit.errors import MissingExtraError

    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'polylogit\[pretrained\]'"):
        Classifier.load(run.model_path)


def test_the_encoder_gives_features_of_one_size(run):
    encoder = run.classifier.preprocessing
    assert isinstance(encoder, BackboneEncoder)
    assert encoder.prepared_shape == (1280,)
    found = encoder.prepare(torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8))
    torch.testing.assert_close(found.square().mean(dim=1), torch.ones(2))
    assert encoder.prepare(found) is found


def test_the_service_answers_as_predict_does(run, shapes):
    pytest.importorskip("starlette")
    from starlette.testclient import TestClient

    from polylogit.serve.app import create_app
    from polylogit.serve.settings import ServeSettings

    place = shapes / "discs" / "3.png"
    expected = predict(run.model_path, str(place)).frame
    with TestClient(
        create_app(ServeSettings((run.model_path,), log_requests=False)), base_url="http://127.0.0.1"
    ) as client:
        answer = client.post("/predict", content=place.read_bytes(), headers={"content-type": "image/png"}).json()
    assert answer["class"] == expected["class"][0]
    assert answer["probabilities"]["discs"] == pytest.approx(expected["probability_discs"][0], abs=1e-6)


def test_it_is_compared_with_a_linear_model_of_pixels_and_files_are_named(run, shapes, tmp_path):
    pixels = recipe_from_entries({"model": {"kind": "linear"}, "data": {"picture_size": 8}})
    plain = train(str(shapes), pixels, out=tmp_path / "pixels.safetensors")
    found = compare([run.model_path, plain.model_path], str(shapes))
    assert found.units == 12
    assert [model.kind for model in found.models] == ["pretrained", "linear"]
    assert found.models[0].metrics["accuracy"] > found.models[1].metrics["accuracy"]
    assert found.disagreements
    assert all((shapes / row.file).parent.name == row.true for row in found.disagreements)
