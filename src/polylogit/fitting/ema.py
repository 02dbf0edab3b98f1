"""An exponential moving average (EMA) of the weights, kept in a second network."""

import copy

import torch
from torch import nn

__all__ = ["AveragedWeights"]


class AveragedWeights:
    """Exponential moving average of a network's weights and of its normalisation's statistics.

    average <- d average + (1 - d) weights, with d = min(decay, (1 + t) / (10 + t)) at the t-th update, so that the
    start, which is not worth keeping, is forgotten soon.

    Args:
        network: Is followed; its copy is `network` of this object, in evaluation mode.
        decay: In (0, 1); the average reaches back about 1 / (1 - decay) updates.

    Example:
        >>> network = nn.Linear(1, 2)
        >>> average = AveragedWeights(network, decay=0.9)
        >>> _ = network.weight.data.add_(1.0)
        >>> average.update(network)
        >>> bool(torch.allclose(average.network.weight, network.weight - 2 / 11))
        True

    Source: Polyak and Juditsky (1992), Acceleration of Stochastic Approximation by Averaging; the growing decay as in
    Tan and Le (2019), EfficientNet, section 5.2.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0

    def update(self, network: nn.Module) -> None:
        """Take the network's present weights into the average."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        with torch.no_grad():
            following = self.network.state_dict()
            for name, value in network.state_dict().items():
                if value.is_floating_point():
                    following[name].lerp_(value, 1 - decay)
                else:
                    following[name].copy_(value)
