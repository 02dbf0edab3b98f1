"""The gradients of several processes, added up in one all-reduce a step."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from polylogit.system.processes import Processes

__all__ = ["sum_gradients"]


def sum_gradients(
    parameters: Sequence[nn.Parameter], numbers: Sequence[Tensor | float], processes: Processes
) -> list[Tensor]:
    """Replace the gradients of all processes by their sums, and add up some numbers on the way.

    Args:
        parameters: Those that require a gradient have one on every process or on none.
        numbers: Numbers of each process, added up in float32.
        processes: The processes.

    Returns:
        The sums of the numbers.

    Example:
        >>> from polylogit.system.processes import ONE_PROCESS
        >>> weight = nn.Parameter(torch.ones(2))
        >>> weight.sum().backward()
        >>> sum_gradients([weight], [3.0], ONE_PROCESS), weight.grad
        ([tensor(3.)], tensor([1., 1.]))
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    last = torch.stack([torch.as_tensor(number, device=parameters[0].device) for number in numbers]).float()
    flat = processes.total(torch.cat([*(gradient.flatten() for gradient in gradients), last]))
    *sums, totals = torch.split(flat, [*(gradient.numel() for gradient in gradients), len(numbers)])
    for gradient, total in zip(gradients, sums, strict=True):
        gradient.copy_(total.view(gradient.shape))
    return list(totals.unbind())
