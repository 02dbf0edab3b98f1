"""Layers to which a batch is more than its rows one by one, where several processes compute a share of its rows each.

Dropout draws numbers for every row of the batch and uses those of the own rows. Batch normalisation takes mean and
variance over the rows of all processes. So both give what they give where one process computes the whole batch.

`nn.SyncBatchNorm` does the same for batch normalisation, on GPUs only.

See also: `batch_shares.py`, the rows of each process.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polylogit.errors import PolylogitError
from polylogit.fitting.batch_shares import BatchPart
from polylogit.system.processes import Processes

__all__ = ["WholeBatch", "layers_of_whole_batch"]

Forward = Callable[[Tensor], Tensor]
Dropout = nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d
BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


class WholeBatch:
    """The part of a batch that goes through the network, of which this process computes a share.

    Attributes:
        part: Is set before each forward pass in training.
    """

    part: BatchPart


@contextmanager
def layers_of_whole_batch(network: nn.Module, processes: Processes) -> Iterator[WholeBatch]:
    """Let dropout and batch normalisation act, in training, as on the whole batch.

    With one process nothing is changed. Evaluation mode is left as it is.

    Args:
        network: Its layers compute so within the block.
        processes: The processes that have a share of each batch. In a forward or backward pass all must take part,
            also those without rows.

    Yields:
        The object whose `part` says which rows of the batch go through the network.

    Raises:
        PolylogitError: In a forward pass in training: a batch normalisation has a forward pass of its own, as those
            that contain an activation have.

    Source: Ioffe and Szegedy (2015), Batch Normalization, algorithm 1 and section 3 (its gradients), with the sums over
        the batch all-reduced.
    """
    batch = WholeBatch()
    changed: list[nn.Module] = []
    if processes.size > 1:
        for name, module in network.named_modules():
            own: Forward = module.forward
            if isinstance(module, Dropout):
                vars(module)["forward"] = partial(_dropout, module, own, batch)
            elif isinstance(module, BatchNorm) and type(module).forward is nn.BatchNorm2d.forward:
                vars(module)["forward"] = partial(_batch_norm, module, own, processes)
            elif isinstance(module, BatchNorm):
                vars(module)["forward"] = partial(_refused, module, own, name)
            else:
                continue
            changed.append(module)
    try:
        yield batch
    finally:
        for module in changed:
            del vars(module)["forward"]  # which uncovers the method of its class


def _refused(module: BatchNorm, own: Forward, name: str, maps: Float[Tensor, "M C ..."]) -> Tensor:
    """What the layer gives in evaluation; in training an error, as it would see the own rows alone."""
    if not module.training:
        return own(maps)
    raise PolylogitError(
        f"layer {name} is a {type(module).__name__}, a batch normalisation with a forward pass of its own, which "
        "several processes cannot compute over the rows of all. Fit this network by one process, or put "
        "nn.BatchNorm2d and what follows it into its place."
    )


def _dropout(module: Dropout, own: Forward, batch: WholeBatch, inputs: Float[Tensor, "M ..."]) -> Tensor:
    """Own rows times what dropout makes of ones for the whole batch."""
    if not module.training or module.p == 0:
        return own(inputs)
    scales = own(inputs.new_ones((batch.part.rows, *inputs.shape[1:])))
    first = batch.part.own.start - batch.part.first
    return inputs * scales[first : first + len(inputs)]


def _batch_norm(module: BatchNorm, own: Forward, processes: Processes, maps: Float[Tensor, "M C ..."]) -> Tensor:
    """Batch normalisation over the rows of all processes, which updates the running statistics as PyTorch does."""
    if not module.training:
        return own(maps)
    mean, variance, count = _moments(maps, processes)
    if count == 1:
        raise ValueError("Expected more than 1 value per channel when training")  # PyTorch's message
    if module.track_running_stats and module.running_mean is not None and module.running_var is not None:
        assert module.num_batches_tracked is not None  # noqa: S101 - beside the other two
        module.num_batches_tracked.add_(1)
        share = 1 / float(module.num_batches_tracked) if module.momentum is None else module.momentum
        module.running_mean.lerp_(mean, share)
        module.running_var.lerp_(variance * (count / (count - 1)), share)
    normalised: Tensor = _Normalised.apply(
        maps, module.weight, module.bias, mean, variance, module.eps, count, processes
    )
    return normalised


def _moments(maps: Float[Tensor, "M C ..."], processes: Processes) -> tuple[Tensor, Tensor, float]:
    """Mean and variance of each channel over the rows of all processes, and the number of values of a channel."""
    channels = maps.shape[1]
    count = maps.numel() // channels
    mean, variance = maps.new_zeros(2, channels, dtype=torch.float32)
    if count > 1:  # PyTorch's kernel writes the two where the past counts for nothing; it refuses one value
        nn.functional.batch_norm(maps.detach(), mean, variance, training=True, momentum=1.0)
        variance *= (count - 1) / count
    elif count == 1:
        mean = maps.detach().flatten().float()
    sums = torch.cat([mean, mean.double().square() + variance, mean.new_ones(1)]).double() * count
    of_mean, of_squares, total = torch.split(processes.total(sums), [channels, channels, 1])
    of_mean, of_squares = of_mean / total, of_squares / total
    return of_mean.float(), (of_squares - of_mean.square()).clamp_min(0).float(), float(total)


class _Normalised(torch.autograd.Function):
    """(maps - mean) / sqrt(variance + eps) * weight + bias, where mean and variance depend on the maps of all.

    With g the gradient of the result, x the normalised maps, N values of a channel and sums over those of all
    processes:

        d maps = weight / sqrt(variance + eps) (g - sum g / N - x sum(g x) / N)

    The gradients of weight and bias are those of the own rows; their sum over the processes is taken with all others.
    """

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd takes no names
        ctx: Any,  # noqa: ANN401 - torch declares no attributes
        maps: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        eps: float,
        count: float,
        processes: Processes,
    ) -> Tensor:
        ctx.save_for_backward(maps, mean, variance)
        ctx.constants = eps, count, processes
        scale = (torch.ones_like(mean) if weight is None else weight.detach()).requires_grad_()
        shift = (torch.zeros_like(mean) if bias is None else bias.detach()).requires_grad_()
        with torch.enable_grad():  # PyTorch's own gradients of scale and shift are the sums over the own rows
            normalised = nn.functional.batch_norm(maps.detach(), mean, variance, scale, shift, training=False, eps=eps)
        ctx.own = normalised, scale, shift
        return normalised.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - as above
        maps, mean, variance = ctx.saved_tensors
        eps, count, processes = ctx.constants
        (gradient,) = gradients
        normalised, weight, bias = ctx.own
        if len(maps):
            of_weight, of_bias = torch.autograd.grad(normalised, (weight, bias), gradient)
        else:
            of_weight, of_bias = torch.zeros_like(mean), torch.zeros_like(mean)
        sum_of_products, sum_of_gradients = processes.total(torch.cat([of_weight, of_bias]).double()).chunk(2)
        scale = (variance.double() + eps).rsqrt()
        slope = scale * weight.detach()
        of_maps = -slope * scale * sum_of_products / count
        shift = -slope * sum_of_gradients / count - of_maps * mean
        form = (1, -1, *[1] * (maps.ndim - 2))
        constants = [values.float().view(form) for values in (shift, of_maps, slope)]
        moved = torch.addcmul(constants[0], maps, constants[1]).addcmul_(gradient, constants[2])
        needed = ctx.needs_input_grad
        return (
            moved.to(maps.dtype),
            of_weight if needed[1] else None,
            of_bias if needed[2] else None,
            *[None] * 5,
        )
