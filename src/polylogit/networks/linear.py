"""The linear network: softmax regression as a module.

See also: `polylogit.solver`, which finds its weights.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from polylogit.system.sparse_rows import SparseRows

__all__ = ["LinearNetwork"]


class LinearNetwork(nn.Module):
    """Logits that are linear in the features.

    logits[n, k] = sum_d weight[k, d] * inputs[n, d] + bias[k]

    Parameters: K * D weights and K biases. Pictures are flattened, row by row.

    Args:
        features: D, the number of features (C * H * W for pictures).
        classes: K, the number of classes.

    Example:
        >>> network = LinearNetwork(features=16, classes=7)
        >>> network(torch.zeros(2, 16)).shape
        torch.Size([2, 7])
        >>> sum(parameter.numel() for parameter in network.parameters())
        119

    Source: Bishop (2006), Pattern Recognition and Machine Learning, section 4.3.4.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, classes)

    @classmethod
    def with_weights(cls, weight: Float[Tensor, "K D"], bias: Float[Tensor, " K"]) -> "LinearNetwork":
        """The network that has these weights, in float32."""
        with torch.device("meta"):  # weights that are replaced at once are not drawn: that would move the generator
            network = cls(features=weight.shape[1], classes=weight.shape[0])
        network.load_state_dict({"linear.weight": weight.float(), "linear.bias": bias.float()}, assign=True)
        return network

    def forward(self, inputs: Float[Tensor, "N ..."] | SparseRows) -> Float[Tensor, "N K"]:
        """Logits of the inputs; in evaluation mode sums are float64, so that the rows beside a row hardly matter."""
        if isinstance(inputs, SparseRows):
            return inputs.product(self.linear.weight, self.linear.bias)
        inputs = inputs.flatten(1)
        if self.training or inputs.dtype != torch.float32 or inputs.device.type == "mps":  # which has no float64
            logits: Tensor = self.linear(inputs)
            return logits
        return functional.linear(inputs.double(), self.linear.weight.double(), self.linear.bias.double()).float()
