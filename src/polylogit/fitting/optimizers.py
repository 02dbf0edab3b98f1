"""Optimisers and learning-rate schedules: the closed sets that options may name."""

import math
from typing import Any, Literal

import torch
from torch import nn

from polylogit.fitting.adam import HAS_KERNELS, Adam
from polylogit.fitting.muon import Muon

__all__ = ["OptimizerName", "ScheduleName", "build_optimizer", "learning_rate_factor"]

OptimizerName = Literal["sgd", "adam", "adamw", "muon"]
ScheduleName = Literal["constant", "one-cycle", "cosine"]

_LAST_FACTOR = 0.002
_FIRST_FACTOR = 0.05


def build_optimizer(
    network: nn.Module, name: OptimizerName, *, learning_rate: float, momentum: float, weight_decay: float
) -> torch.optim.Optimizer:
    """The optimiser of a network's parameters.

    Weight decay pulls on matrices and kernels only; biases and the parameters of normalisation are left alone, as
    shrinking them weakens no function.

    Args:
        network: Its parameters that require a gradient are updated.
        name: "sgd" (with Nesterov momentum where momentum is not 0), "adam", "adamw", or "muon": orthogonal steps for
            every matrix and kernel but the network's first and last, AdamW for all else.
        learning_rate: Step length before the schedule's factor.
        momentum: Of SGD, or beta_1 of Adam and AdamW.
        weight_decay: For SGD and Adam the factor of the penalty |w|^2 / 2 in the gradient, for AdamW the decay apart
            from the gradient.

    Returns:
        The optimiser.

    Example:
        >>> optimizer = build_optimizer(nn.Linear(2, 3), "adamw", learning_rate=0.1, momentum=0.9, weight_decay=0.01)
        >>> [group["weight_decay"] for group in optimizer.param_groups]
        [0.01, 0.0]

    Source: Loshchilov and Hutter (2019), Decoupled Weight Decay Regularization, algorithm 2; Kingma and Ba (2015),
    Adam, algorithm 1; Sutskever et al. (2013), On the importance of initialization and momentum, section 2.
    """
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if name == "muon":
        return Muon(_muon_groups(trained, weight_decay), lr=learning_rate, momentum=momentum)
    decayed = [parameter for parameter in trained if parameter.ndim > 1 and weight_decay > 0]
    spared = [parameter for parameter in trained if parameter.ndim <= 1 or weight_decay == 0]
    groups = [
        {"params": parameters, "weight_decay": decay}
        for parameters, decay in ((decayed, weight_decay), (spared, 0.0))
        if parameters  # each group costs a call a step: small networks feel it
    ]
    devices = {parameter.device.type for parameter in trained}
    fused = devices <= {"cpu", "cuda", "mps"}
    if name == "sgd":
        return torch.optim.SGD(groups, lr=learning_rate, momentum=momentum, nesterov=momentum > 0, fused=fused)
    if devices == {"cpu"} and HAS_KERNELS and all(parameter.dtype == torch.float32 for parameter in trained):
        return Adam(groups, lr=learning_rate, betas=(momentum, 0.999), decoupled=name == "adamw")
    kind = torch.optim.AdamW if name == "adamw" else torch.optim.Adam
    return kind(groups, lr=learning_rate, betas=(momentum, 0.999), fused=fused)


def _muon_groups(trained: list[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    kernels = [parameter for parameter in trained if parameter.ndim > 1]
    inner, outer = kernels[1:-1], kernels[:1] + kernels[1:][-1:]
    spared = [parameter for parameter in trained if parameter.ndim <= 1]
    groups = (
        {"params": inner, "orthogonal": True, "weight_decay": weight_decay},
        {"params": outer, "orthogonal": False, "weight_decay": weight_decay},
        {"params": spared, "orthogonal": False, "weight_decay": 0.0},
    )
    return [group for group in groups if group["params"]]


def learning_rate_factor(schedule: ScheduleName, step: int, steps: int, warmup_fraction: float) -> float:
    """What the learning rate is multiplied with at a step.

    "constant": 1. "one-cycle": a line from 1/20 up to 1 over the warm-up, then a line down to 1/500 at the last step.
    "cosine": the same warm-up, then half a cosine down to 0.

    Args:
        schedule: The name.
        step: Steps taken so far, from 0.
        steps: Steps in the whole training.
        warmup_fraction: The share of the steps in which the rate rises, in [0, 1).

    Returns:
        The factor, in [0, 1].

    Example:
        >>> [round(learning_rate_factor("one-cycle", step, 11, 0.2), 3) for step in (0, 1, 2, 6, 10)]
        [0.05, 0.525, 1.0, 0.501, 0.002]

    Source: Smith and Topin (2018), Super-Convergence, section 4; Loshchilov and Hutter (2017), SGDR, equation 5.
    """
    if schedule == "constant":
        return 1.0
    last = max(steps - 1, 1)
    rising = warmup_fraction * last
    if step < rising:
        return _FIRST_FACTOR + (1 - _FIRST_FACTOR) * step / rising
    progress = (step - rising) / max(last - rising, 1)
    if schedule == "one-cycle":
        return 1 - (1 - _LAST_FACTOR) * progress
    return 0.5 * (1 + math.cos(math.pi * progress))
