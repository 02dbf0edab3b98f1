"""The memory estimate before training: a fit that cannot fit into memory is refused before it begins.

The estimate counts weights, gradients, the moments of the optimiser, copies, and the values that a batch keeps for the
backward pass. Scratch memory inside an operation is not included. See also: `polylogit.system.available_memory`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from polylogit.errors import RecipeError
from polylogit.fitting.options import TrainingOptions
from polylogit.system.available_memory import available_memory, in_words
from polylogit.system.heap_memory import LARGEST_BLOCK_OF_THE_HEAP

__all__ = [
    "FitMemory",
    "check_batch_fits_memory",
    "check_network_fits_memory",
    "keeps_freed_memory",
    "values_in_a_row",
    "weights_memory",
]

_MOMENTS = {"sgd": 1, "adam": 2, "adamw": 2, "muon": 2}


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


def check_network_fits_memory(
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


def check_batch_fits_memory(
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


def keeps_freed_memory(
    network: nn.Module,
    values: Sequence[int],
    rows: int,
    options: TrainingOptions,
    device: torch.device,
    *,
    bfloat16: bool,
) -> bool:
    """Whether the steps of a fit keep the memory that they free: where they pay for large blocks, and much is free.

    Blocks of several sizes leave gaps: the fit of a residual network held 1.4 times as much (docs/speed.md).

    Args:
        network: As it stands in memory.
        values: That each layer gives for one row.
        rows: In the largest batch.
        options: How it is fitted; a batch is worked through in `accumulation` parts.
        device: Where.
        bfloat16: Whether the values take two bytes and not four.

    Example:
        >>> network = nn.Linear(2, 3)
        >>> keeps_freed_memory(network, [3], 256, TrainingOptions(), torch.device("cpu"), bfloat16=False)
        False
    """
    together = -(-rows // options.accumulation)
    width = 2 if bfloat16 else 4
    if device.type != "cpu" or max(values, default=0) * together * width <= LARGEST_BLOCK_OF_THE_HEAP:
        return False
    free = available_memory(device)
    needed = sum(values) * together * width + weights_memory(network, options).total
    return free is None or 2 * needed <= free
