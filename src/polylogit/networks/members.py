"""Members: the hidden units of an MLP fitted as several networks side by side, which become one network afterwards.

See also: `polylogit.networks.mlp`, the network that they become.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polylogit.errors import RecipeError
from polylogit.networks.dense import DenseLayer
from polylogit.networks.mlp import MlpNetwork
from polylogit.system.sparse_rows import SparseRows

__all__ = ["MlpMembers"]


class MlpMembers(nn.Module):
    """M networks with a hidden layer of equal width each, fitted at once, each to its own loss.

    Member m has the m-th part of the hidden units. In training the logits of each member are given, so that a loss over
    all of them fits M independent networks in one matrix product; in evaluation their mean, as the network that
    `merged` gives. The mean of M networks has less variance than one network with all hidden units.

    Args:
        network: An MLP with one hidden layer, whose initial weights are taken; it is not changed before `merged`.
        members: M; divides the width of the hidden layer.

    Raises:
        RecipeError: There is not one hidden layer, or its width is no multiple of `members`.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> members = MlpMembers(MlpNetwork(features=4, classes=3, hidden=(8,)), 2)
        >>> members(torch.ones(5, 4)).shape
        torch.Size([5, 2, 3])
        >>> mean = members.eval()(torch.ones(5, 4))
        >>> torch.allclose(members.merged()(torch.ones(5, 4)), mean, atol=1e-6)
        True

    Source: after Gorishniy, Kotelnikov and Babenko (2025), TabM, arXiv 2410.24210, section 3, whose members share most
    weights; Lakshminarayanan, Pritzel and Blundell (2017), Simple and scalable predictive uncertainty estimation.
    """

    def __init__(self, network: MlpNetwork, members: int) -> None:
        super().__init__()
        widths = [layer.out_features for layer in network.layers if isinstance(layer, DenseLayer)][:-1]
        if len(widths) != 1 or widths[0] % members:
            raise RecipeError(
                f"model.members = {members} fits so many networks side by side: expected one hidden layer whose width "
                f"is a multiple of it, got model.hidden = {widths}."
            )
        *hidden, last = network.layers
        assert isinstance(last, DenseLayer)  # noqa: S101 - an MLP ends in one
        self.members, self.network = members, [network]  # in a list: its weights are not this module's
        self.hidden = nn.Sequential(*hidden)
        # A member's own layer has 1/M of the inputs, so its first weights are wider by sqrt(M).
        parts = last.weight.detach().T.reshape(members, -1, last.out_features) * math.sqrt(members)
        self.weight = nn.Parameter(parts.clone())
        self.bias = None if last.bias is None else nn.Parameter(last.bias.detach().repeat(members))

    def forward(self, inputs: Float[Tensor, "N ..."] | SparseRows) -> Float[Tensor, "N M K"] | Float[Tensor, "N K"]:
        """The logits of each member in training, else their mean."""
        values = self.hidden(inputs if isinstance(inputs, SparseRows) else inputs.flatten(1))
        parts = values.unflatten(1, (self.members, -1)).transpose(0, 1)
        of_members = torch.bmm(parts, self.weight).transpose(0, 1)
        if self.bias is not None:
            of_members = of_members + self.bias.view(self.members, -1)
        if self.network[0].reference_class:
            of_members = nn.functional.pad(of_members, (1, 0))
        return of_members if self.training else of_members.mean(dim=1)

    def merged(self) -> MlpNetwork:
        """The one network whose logits are the mean of the members', with their weights."""
        network = self.network[0]
        last = network.layers[-1]
        assert isinstance(last, DenseLayer)  # noqa: S101 - as above
        with torch.no_grad():
            last.weight.copy_(self.weight.flatten(0, 1).T / self.members)
            if self.bias is not None:
                last.bias.copy_(self.bias.view(self.members, -1).mean(dim=0))
        return network.eval()
