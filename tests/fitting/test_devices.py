import pytest
import torch

from polylogit.errors import RecipeError
from polylogit.fitting.devices import choose_device, uses_bfloat16

CPU = torch.device("cpu")


def test_auto_is_a_device_that_works():
    device = choose_device("auto")
    assert torch.ones(2, device=device).sum().item() == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_device_that_is_not_there_is_refused_by_name():
    with pytest.raises(RecipeError, match=r"--device cuda: .* none\. There is: .*cpu"):
        choose_device("cuda")


@pytest.mark.parametrize("ability", ["avx512_bf16", "amx_bf16", "bf16"])
def test_bfloat16_is_taken_where_the_processor_has_it(monkeypatch, ability):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {ability: True})
    assert uses_bfloat16("auto", CPU, pictures=True)
    assert not uses_bfloat16("auto", CPU, pictures=False)
    assert not uses_bfloat16("float32", CPU, pictures=True)


def test_bfloat16_is_left_alone_where_it_would_be_emulated(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert not uses_bfloat16("auto", CPU, pictures=True)
    assert uses_bfloat16("bfloat16", CPU, pictures=False)
