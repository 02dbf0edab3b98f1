"""How much memory a fit needs, and how much there is: known before the fit begins, so that none dies half way.

Owns the estimate and the refusal. The estimate counts what is certain: weights, their gradients, the optimiser's
moments, the copies that are kept, and what a batch leaves for the backward pass. Scratch memory inside an operation is
not in it.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from polylogit.errors import RecipeError
from polylogit.fitting.options import TrainingOptions

__all__ = [
    "FitMemory",
    "available_memory",
    "in_words",
    "refuse_batch_too_big",
    "refuse_network_too_big",
    "values_in_a_row",
    "weights_memory",
]

_MOMENTS = {"sgd": 1, "adam": 2, "adamw": 2, "muon": 2}
_UNLIMITED = 2**60


@dataclass(frozen=True)
class FitMemory:
    """Bytes that a fit needs beside its data.

    Args:
        weights: The network itself.
        gradients: One for each weight.
        moments: Of the optimiser.
        copies: Averaged weights, the last good ones and the best ones.
    """

    weights: int
    gradients: int
    moments: int
    copies: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.gradients + self.moments + self.copies


def available_memory(
    device: torch.device, *, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Bytes that this process can still take on a device; None where the system does not tell.

    On Linux's CPU the least of: what the kernel calls available, and what the limit of each control group above the
    process leaves, as in a container. Memory that only caches files counts as free.

    Args:
        device: The CPU or a GPU.
        proc: Where the kernel tells of processes.
        cgroups: Where the kernel tells of control groups.

    Returns:
        The bytes.

    Example:
        >>> available_memory(torch.device("cpu")) is None or available_memory(torch.device("cpu")) > 0
        True

    Source: Linux kernel documentation, proc(5) "MemAvailable" and "Control Group v2", memory.max and memory.current.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type != "cpu":
        return None
    known = [*_of_the_system(proc), *_of_control_groups(proc, cgroups)]
    return max(min(known), 0) if known else None


def _of_the_system(proc: Path) -> Iterator[int]:
    for line in _read(proc / "meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            yield int(value.split()[0]) * 1024
            return
    if "SC_PHYS_PAGES" in os.sysconf_names and not proc.exists():  # not Linux: all that there is, at most
        yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _of_control_groups(proc: Path, cgroups: Path) -> Iterator[int]:
    """What the limits of the process's control groups leave, in version 2 and in version 1 of the interface."""
    for line in _read(proc / "self" / "cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            root, limit, usage = cgroups, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            root, limit, usage = cgroups / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        inner = root / group.strip("/")
        # In a container the path may be that of the host; the container's own limit then stands at the root.
        for folder in dict.fromkeys([inner, *inner.parents, root]):
            most, taken = _read(folder / limit).strip(), _read(folder / usage).strip()
            if most.isdigit() and taken.isdigit() and int(most) < _UNLIMITED:
                yield int(most) - int(taken) + _cached(folder)
            if folder == root:
                break


def _cached(folder: Path) -> int:
    """Bytes of a control group that only cache files that nobody reads now; the kernel gives them up on demand."""
    for line in _read(folder / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            return int(value)
    return 0


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def weights_memory(network: nn.Module, options: TrainingOptions) -> FitMemory:
    """What the weights of a network cost in a fit.

    Args:
        network: May stand on the meta device, where it takes no memory itself.
        options: Say which optimiser there is, and which copies are kept.

    Returns:
        The bytes.

    Example:
        >>> weights_memory(nn.Linear(9, 10), TrainingOptions(optimizer="adamw")).total  # 100 parameters of 4 bytes
        2000
    """
    weights = sum(tensor.nbytes for tensor in [*network.parameters(), *network.buffers()])
    trained = sum(parameter.nbytes for parameter in network.parameters() if parameter.requires_grad)
    copies = 1 + (options.averaging is not None) + (options.patience is not None)
    return FitMemory(weights, trained, _MOMENTS[options.optimizer] * trained, copies * weights)


def refuse_network_too_big(
    build: Callable[[], nn.Module], options: TrainingOptions, device: torch.device, what: str
) -> None:
    """Refuse a network whose weights, gradients, moments and copies do not fit into memory.

    Args:
        build: Makes the network; it is made on the meta device, where it takes no memory.
        options: How it will be fitted.
        device: Where.
        what: What messages call it, with the option that makes it smaller.

    Raises:
        RecipeError: It does not fit; the message says how far, and what to do.
    """
    free = available_memory(device)
    try:
        with torch.device("meta"):
            network = build()
        needed = weights_memory(network, options)
    except RuntimeError as fault:  # more bytes than a number of 64 bits can count
        raise RecipeError(f"{what}: no machine has the memory for it ({fault}). Take a smaller network.") from fault
    if free is None or needed.total <= free:
        return
    parameters = sum(parameter.numel() for parameter in network.parameters())
    raise RecipeError(
        f"{what}: {parameters:,} parameters need {in_words(needed.total)} to be fitted, and {in_words(free)} are free: "
        f"{in_words(needed.weights)} of weights, {in_words(needed.gradients)} of gradients, "
        f"{in_words(needed.moments)} of {options.optimizer}'s moments, {in_words(needed.copies)} of copies that are "
        "kept. Take a smaller network" + (', or training.optimizer = "sgd".' if options.optimizer != "sgd" else ".")
    )


@contextmanager
def values_in_a_row(network: nn.Module) -> Iterator[list[int]]:
    """Count the values that the layers of a network give for a row, while it is shown one.

    Args:
        network: Its innermost modules are watched.

    Yields:
        A list that gets the count of each layer's values.

    Example:
        >>> network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
        >>> with values_in_a_row(network) as counts:
        ...     _ = network(torch.zeros(1, 4))
        >>> counts
        [6, 6, 3]
    """
    counts: list[int] = []

    def count(module: nn.Module, given: object, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim:
            counts.append(output.numel() // max(len(output), 1))

    hooks = [module.register_forward_hook(count) for module in network.modules() if not list(module.children())]
    try:
        yield counts
    finally:
        for hook in hooks:
            hook.remove()


def refuse_batch_too_big(
    network: nn.Module,
    values: int,
    rows: int,
    options: TrainingOptions,
    device: torch.device,
    *,
    bfloat16: bool,
) -> None:
    """Refuse a batch whose intermediate values do not fit into memory beside the fit of the network.

    Args:
        network: As it stands in memory.
        values: That its layers give for one row.
        rows: In the largest batch.
        options: How it is fitted; a batch is worked through in `accumulation` parts.
        device: Where.
        bfloat16: Whether the values take two bytes and not four.

    Raises:
        RecipeError: They do not fit; the message says how far, and what to do.
    """
    together = -(-rows // options.accumulation)
    weights = weights_memory(network, options)
    needed = values * together * (2 if bfloat16 else 4)
    free = available_memory(device)
    others = weights.total - weights.weights  # the weights themselves are there already
    if free is None or needed + others <= free:
        return
    raise RecipeError(
        f"training.batch_size: {together:,} rows at a time leave {in_words(needed)} of values for the backward pass, "
        f"beside {in_words(others)} for the network's gradients, moments and copies, and {in_words(free)} are free. "
        f"Take a smaller training.batch_size, or work a batch through in more parts: training.accumulation = "
        f"{options.accumulation * max(2, -(-needed // max(free - others, 1)))}."
        if free > others
        else f"the network needs {in_words(others)} for its gradients, moments and copies, and {in_words(free)} are "
        "free. Take a smaller network."
    )


def in_words(size: int) -> str:
    """Bytes in the unit that suits them.

    Example:
        >>> in_words(999), in_words(5 * 2**20), in_words(3 * 2**30)
        ('999 bytes', '5.0 MiB', '3.0 GiB')
    """
    for power, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 2**power:
            return f"{size / 2**power:,.1f} {unit}"
    return f"{size} bytes"
