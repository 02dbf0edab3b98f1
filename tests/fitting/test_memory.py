from contextlib import contextmanager

import pytest
import torch
from torch import nn

from polylogit.errors import RecipeError
from polylogit.estimators.networks import SoftmaxClassifier
from polylogit.fitting import memory, running_fit
from polylogit.fitting.loop import fit_network
from polylogit.fitting.memory import check_network_fits_memory, keeps_freed_memory, weights_memory
from polylogit.fitting.options import TrainingOptions
from polylogit.recipes.recipe import recipe_from_entries
from polylogit.run import train

CPU = torch.device("cpu")
MIB = 2**20


@pytest.mark.parametrize(
    ("options", "times"),
    [({"optimizer": "sgd"}, 4), ({}, 5), ({"averaging": 0.9}, 6), ({"averaging": 0.9, "patience": 3}, 7)],
)
def test_the_estimate_is_what_the_fit_holds(options, times):
    assert weights_memory(nn.Linear(9, 10), TrainingOptions(**options)).total == 400 * times


def test_a_huge_network_is_refused_before_it_is_made(monkeypatch, tmp_path):
    recipe = recipe_from_entries({"model": {"kind": "mlp", "hidden": [4_000_000]}})
    monkeypatch.setattr(memory, "available_memory", lambda device: 300 * MIB)
    with pytest.raises(RecipeError) as fault:
        train("zoo", recipe, out=tmp_path / "model.safetensors")
    for words in ("mlp: 96,000,007 parameters need 1.8 GiB to be fitted", "300.0 MiB are free", "of adamw's moments"):
        assert words in str(fault.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("width", [2 * 10**9, 4 * 10**18])
def test_no_machine_is_asked_for_what_none_has(width):
    with pytest.raises(RecipeError, match=r"hidden = \(\d+,\): .*Take a smaller network"):
        SoftmaxClassifier(hidden=(width,)).fit([[0.0], [1.0]], [0, 1])


def test_what_fits_is_let_through(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda device: 2000)
    check_network_fits_memory(lambda: nn.Linear(9, 10), TrainingOptions(), CPU, "model")
    with pytest.raises(RecipeError, match=r"100 parameters need 2\.3 KiB to be fitted"):
        check_network_fits_memory(lambda: nn.Linear(9, 10), TrainingOptions(averaging=0.9), CPU, "model")


def test_a_batch_that_does_not_fit_is_refused_with_what_would(monkeypatch):
    network = nn.Sequential(nn.Linear(4, 1000), nn.ReLU(), nn.Linear(1000, 2))
    rows = torch.randn(400, 4), torch.arange(400) % 2
    free = 400_000
    monkeypatch.setattr(memory, "available_memory", lambda device: free)
    options = {"epochs": 1, "optimizer": "sgd", "batch_size": 400}
    with pytest.raises(
        RecipeError, match=r"400 rows at a time leave 3\.1 MiB .* training\.accumulation = (\d+)"
    ) as fault:
        fit_network(network, *rows, options=TrainingOptions(**options))
    parts = int(str(fault.value).split("accumulation = ")[1].rstrip("."))
    assert fit_network(network, *rows, options=TrainingOptions(**options, accumulation=parts)).ended == "finished"


@pytest.mark.parametrize(
    ("values", "accumulation", "bfloat16", "free", "kept"),
    [
        ([40_000, 10], 1, False, None, True),
        ([40_000, 10], 1, True, None, False),
        ([30_000, 30_000], 1, False, None, False),
        ([40_000, 10], 2, False, None, False),
        ([40_000, 10], 1, False, 100 * MIB, True),
        ([40_000, 10], 1, False, 70 * MIB, False),
    ],
)
def test_freed_memory_is_kept_for_large_maps_where_much_is_free(
    *, values, accumulation, bfloat16, free, kept, monkeypatch
):
    monkeypatch.setattr(memory, "available_memory", lambda device: free)
    options = TrainingOptions(accumulation=accumulation)
    assert keeps_freed_memory(nn.Linear(2, 3), values, 256, options, CPU, bfloat16=bfloat16) is kept


def test_a_fit_keeps_freed_memory_in_its_steps_alone(monkeypatch):
    events = []

    @contextmanager
    def noted(*, wanted):
        events.append(wanted)
        yield
        events.append("ended")

    monkeypatch.setattr(running_fit, "keeping_freed_memory", noted)
    rows = torch.zeros(4, 2_200_000), torch.arange(4) % 2
    network = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool1d(2), nn.Linear(2, 2))
    options = TrainingOptions(epochs=2, batch_size=4)
    fit_network(network, *rows, options=options, check_misuse=False, on_epoch=lambda record: events.append("epoch"))
    assert events == [True, "ended", "epoch"] * 2
