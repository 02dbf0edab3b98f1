"""The forward pass of rows through a network, for training, calibration, evaluation and prediction alike."""

from collections.abc import Callable
from typing import overload

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn

from polylogit.data.pictures.stored import StoredPictures, blocks_of_rows
from polylogit.system.sparse_rows import SparseRows

__all__ = ["NetworkForward", "network_logits", "prepare_batch"]

ROWS_AT_ONCE = 1000


def network_logits(
    network: nn.Module,
    inputs: Num[Tensor, "N ..."] | StoredPictures | SparseRows,
    *,
    prepare: Callable[[Tensor], Tensor] | None = None,
    rows_at_once: int = ROWS_AT_ONCE,
) -> Float[Tensor, "N K ..."]:
    """Logits of rows, in evaluation mode and float32, a block of rows at a time.

    Args:
        network: The mode of each of its modules is restored.
        inputs: Rows in memory, or pictures in files; each block is moved to the network's device.
        prepare: From a block of inputs to the network's inputs.
        rows_at_once: Rows in a block.

    Returns:
        The logits, on the CPU.

    Example:
        >>> network_logits(nn.Linear(2, 3), torch.zeros(5, 2)).shape
        torch.Size([5, 3])
    """
    return NetworkForward(network, prepare).logits(inputs, rows_at_once)


class NetworkForward:
    """`network_logits` of one network many times: its modules and its parameter of reference are listed once.

    Listing them takes 20 to 100 microseconds, as long as a small network needs for a picture.

    Args:
        network: Modules that are added to it later are not put into evaluation mode.
        prepare: From a block of inputs to the network's inputs.

    Example:
        >>> NetworkForward(nn.Linear(2, 3)).logits(torch.zeros(5, 2)).shape
        torch.Size([5, 3])
    """

    def __init__(self, network: nn.Module, prepare: Callable[[Tensor], Tensor] | None = None) -> None:
        self._network = network
        self._prepare = prepare
        self._modules = tuple(network.modules())
        self._parameter = next(network.parameters(), None)

    def logits(
        self, inputs: Num[Tensor, "N ..."] | StoredPictures | SparseRows, rows_at_once: int = ROWS_AT_ONCE
    ) -> Float[Tensor, "N K ..."]:
        """Logits of rows: see `network_logits`."""
        device = torch.device("cpu") if self._parameter is None else self._parameter.device
        training = [module for module in self._modules if module.training]
        if training:
            self._network.eval()
        try:
            with torch.inference_mode():
                blocks = [
                    self._network(prepare_batch(block.to(device), self._prepare)).float().cpu()
                    for block in blocks_of_rows(inputs, rows_at_once)
                ]
        finally:
            for module in training:  # each in its own mode: a frozen normalisation stays in evaluation mode
                module.training = True
        return torch.cat(blocks)  # outside inference mode, so that the result may be changed in place


@overload
def prepare_batch(inputs: Num[Tensor, "N ..."], prepare: Callable[[Tensor], Tensor] | None) -> Num[Tensor, "N ..."]: ...
@overload
def prepare_batch(
    inputs: Num[Tensor, "N ..."] | SparseRows, prepare: Callable[[Tensor], Tensor] | None
) -> Num[Tensor, "N ..."] | SparseRows: ...
def prepare_batch(
    inputs: Num[Tensor, "N ..."] | SparseRows, prepare: Callable[[Tensor], Tensor] | None
) -> Num[Tensor, "N ..."] | SparseRows:
    """The network's inputs for a batch: prepared, and pictures in channels-last memory format."""
    if isinstance(inputs, SparseRows):
        return inputs
    inputs = inputs if prepare is None else prepare(inputs)
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.ndim == 4 else inputs
