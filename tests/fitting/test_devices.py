import pytest
import torch
from torch import nn

from polylogit.errors import RecipeError
from polylogit.fitting.devices import choose_device, uses_bfloat16

CPU = torch.device("cpu")
WIDE, CONVOLUTION, SMALL = nn.Linear(784, 256), nn.Conv2d(1, 4, 3), nn.Linear(784, 32)


def test_auto_is_a_device_that_works():
    device = choose_device("auto")
    assert torch.ones(2, device=device).sum().item() == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_device_that_is_not_there_is_refused_by_name():
    with pytest.raises(RecipeError, match=r"--device cuda: .* none\. There is: .*cpu"):
        choose_device("cuda")


@pytest.mark.parametrize("ability", ["avx512_bf16", "amx_bf16", "bf16"])
def test_bfloat16_is_taken_where_the_processor_has_it(monkeypatch, ability):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {ability: True}, raising=False)
    assert uses_bfloat16("auto", CPU, WIDE, pictures=True)
    assert uses_bfloat16("auto", CPU, CONVOLUTION, pictures=True)
    assert not uses_bfloat16("auto", CPU, WIDE, pictures=False)
    assert not uses_bfloat16("float32", CPU, WIDE, pictures=True)


def test_small_matrices_stay_in_float32_on_a_processor(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    assert not uses_bfloat16("auto", CPU, SMALL, pictures=True)
    assert uses_bfloat16("bfloat16", CPU, SMALL, pictures=True)


def test_bfloat16_is_left_alone_where_it_would_be_emulated(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    assert not uses_bfloat16("auto", CPU, WIDE, pictures=True)
    assert uses_bfloat16("bfloat16", CPU, WIDE, pictures=False)


def test_a_torch_that_does_not_list_the_abilities_stays_in_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not uses_bfloat16("auto", CPU, WIDE, pictures=True)
