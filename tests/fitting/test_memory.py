import pytest
import torch
from torch import nn

from polylogit.errors import RecipeError
from polylogit.estimators.networks import SoftmaxClassifier
from polylogit.fitting import memory
from polylogit.fitting.loop import fit_network
from polylogit.fitting.memory import available_memory, refuse_network_too_big, weights_memory
from polylogit.fitting.options import TrainingOptions
from polylogit.recipe import Recipe
from polylogit.run import train

CPU = torch.device("cpu")
MIB = 2**20


def system(folder, *, available, groups):
    """A kernel's word on its memory: what is available, and for each control group limit, usage and file cache."""
    proc, cgroups = folder / "proc", folder / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text(f"MemTotal: 999999999 kB\nMemAvailable: {available // 1024} kB\n")
    for path, (limit, usage, cached) in groups.items():
        (cgroups / path).mkdir(parents=True, exist_ok=True)
        (cgroups / path / "memory.max").write_text(f"{limit}\n")
        (cgroups / path / "memory.current").write_text(f"{usage}\n")
        (cgroups / path / "memory.stat").write_text(f"anon 1\ninactive_file {cached}\n")
    return {"proc": proc, "cgroups": cgroups}


@pytest.mark.parametrize(
    ("available", "groups", "free"),
    [
        (900 * MIB, {}, 900 * MIB),
        (900 * MIB, {"a/b": ("max", 100 * MIB, 0)}, 900 * MIB),
        (900 * MIB, {"a/b": (500 * MIB, 100 * MIB, 30 * MIB)}, 430 * MIB),
        (900 * MIB, {"a": (300 * MIB, 100 * MIB, 0), "a/b": ("max", 100 * MIB, 0)}, 200 * MIB),
        (900 * MIB, {".": (250 * MIB, 50 * MIB, 0)}, 200 * MIB),
        (900 * MIB, {"a/b": (100 * MIB, 150 * MIB, 0)}, 0),
        (50 * MIB, {"a/b": (500 * MIB, 100 * MIB, 0)}, 50 * MIB),
    ],
)
def test_the_least_of_the_system_and_of_every_control_group_above_counts(tmp_path, available, groups, free):
    places = system(tmp_path, available=available, groups=groups)
    (places["proc"] / "self" / "cgroup").write_text("0::/a/b\n")
    assert available_memory(CPU, **places) == free


def test_the_first_version_of_control_groups_is_read_too(tmp_path):
    places = system(tmp_path, available=900 * MIB, groups={})
    (places["proc"] / "self" / "cgroup").write_text("5:cpu:/x\n4:memory:/job\n0::/\n")
    job = places["cgroups"] / "memory" / "job"
    job.mkdir(parents=True)
    (job / "memory.limit_in_bytes").write_text(f"{400 * MIB}\n")
    (job / "memory.usage_in_bytes").write_text(f"{100 * MIB}\n")
    (job / "memory.stat").write_text(f"total_inactive_file {20 * MIB}\n")
    (job.parent / "memory.limit_in_bytes").write_text(f"{2**63 - 4096}\n")  # the word for no limit
    (job.parent / "memory.usage_in_bytes").write_text("1\n")
    assert available_memory(CPU, **places) == 320 * MIB


def test_what_the_system_does_not_tell_is_not_guessed(tmp_path):
    (tmp_path / "proc").mkdir()
    assert available_memory(CPU, proc=tmp_path / "proc", cgroups=tmp_path) is None
    assert available_memory(torch.device("mps")) is None


@pytest.mark.parametrize(
    ("options", "times"),
    [({"optimizer": "sgd"}, 4), ({}, 5), ({"averaging": 0.9}, 6), ({"averaging": 0.9, "patience": 3}, 7)],
)
def test_the_estimate_is_what_the_fit_holds(options, times):
    assert weights_memory(nn.Linear(9, 10), TrainingOptions(**options)).total == 400 * times


def test_a_huge_network_is_refused_before_it_is_made(monkeypatch, tmp_path):
    recipe = Recipe.from_entries({"model": {"kind": "mlp", "hidden": [4_000_000]}})
    monkeypatch.setattr(memory, "available_memory", lambda device: 300 * MIB)
    with pytest.raises(RecipeError) as fault:
        train("zoo", recipe, out=tmp_path / "model.safetensors")
    for words in ("model mlp: ", "96,000,007 parameters need 1.8 ", "GiB to be fitted", "300.0 MiB are free", "of adamw's moments"):
        assert words in str(fault.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("width", [2 * 10**9, 4 * 10**18])
def test_no_machine_is_asked_for_what_none_has(width):
    with pytest.raises(RecipeError, match=r"hidden = \(\d+,\): .*Take a smaller network"):
        SoftmaxClassifier(hidden=(width,)).fit([[0.0], [1.0]], [0, 1])


def test_what_fits_is_let_through(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda device: 2000)
    refuse_network_too_big(lambda: nn.Linear(9, 10), TrainingOptions(), CPU, "model")
    with pytest.raises(RecipeError, match=r"100 parameters need 2\.3 KiB to be fitted"):
        refuse_network_too_big(lambda: nn.Linear(9, 10), TrainingOptions(averaging=0.9), CPU, "model")


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
