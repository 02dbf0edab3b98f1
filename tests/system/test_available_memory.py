import pytest
import torch

from polylogit.system.available_memory import available_memory

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


def test_what_the_system_does_not_report_is_not_guessed(tmp_path):
    (tmp_path / "proc").mkdir()
    assert available_memory(CPU, proc=tmp_path / "proc", cgroups=tmp_path) is None
    assert available_memory(torch.device("mps")) is None
