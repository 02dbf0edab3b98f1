"""The layers of a multilayer perceptron as nn.Module has them, computed faster while they are fitted on a CPU.

`DenseLayer` is `nn.Linear` and `DropoutLayer` is `nn.Dropout`: same parameters, same names, same function. In training
on a CPU the first multiplies as `polylogit.system.matrix_product` does and the second draws 8 or 16 random bits a
value. In evaluation mode both are torch's own, so that what a model predicts rests on nothing here; and so they are on
other devices, the first under autocast too.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from polylogit.system.matrix_product import linear
from polylogit.system.sparse_rows import SparseRows

__all__ = ["DenseLayer", "DropoutLayer"]


class DenseLayer(nn.Linear):
    """A linear map.

    outputs = inputs weight' + bias

    Args:
        in_features: I.
        out_features: O.
        bias: Whether each output has one.

    Example:
        >>> layer = DenseLayer(3, 2)
        >>> layer(torch.zeros(4, 3)).shape, sorted(layer.state_dict())
        (torch.Size([4, 2]), ['bias', 'weight'])
    """

    def forward(self, input: Float[Tensor, "N I"] | SparseRows) -> Float[Tensor, "N O"]:  # noqa: A002 - nn.Linear's
        """The outputs; of sparse rows in training a weighted sum of columns of the weight, as in `nn.EmbeddingBag`."""
        if isinstance(input, SparseRows):
            return self._of_sparse(input)
        if self.training and input.is_cpu and not torch.is_autocast_enabled("cpu"):
            return linear(input, self.weight, self.bias)
        return super().forward(input)

    def _of_sparse(self, rows: SparseRows) -> Float[Tensor, "N O"]:
        if not self.training:
            return rows.product(self.weight, self.bias)
        outputs = functional.embedding_bag(
            rows.columns, self.weight.T, rows.starts[:-1].int(), mode="sum", per_sample_weights=rows.values
        )
        return outputs if self.bias is None else outputs + self.bias


class DropoutLayer(nn.Dropout):
    """Values set to zero at random in training, the others scaled up so that the mean stays.

    outputs = inputs * kept / (1 - share),   kept ~ Bernoulli(1 - share), drawn from torch's global generator

    On a CPU the share is rounded to a multiple of 1/65,536. `Tensor.bernoulli_`, which `nn.Dropout` draws with, takes
    11 milliseconds for a million values on an AMD EPYC, this half a millisecond.

    Args:
        p: The share.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> outputs = DropoutLayer(0.25)(torch.ones(100, 100))
        >>> outputs.unique().tolist(), round(outputs.mean().item(), 1)
        ([0.0, 1.3333333730697632], 1.0)

    Source: Srivastava et al. (2014), Dropout, JMLR 15, section 4.
    """

    def forward(self, input: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:  # noqa: A002 - nn.Dropout's own name
        """The values that are left."""
        if not self.training or not input.is_cpu or self.p in (0.0, 1.0):
            return super().forward(input)
        # Eight random bits a value where they give the share exactly (a half, a quarter), else sixteen.
        draw = torch.int8 if (self.p * (1 << 8)).is_integer() else torch.int16
        draws = 1 << 8 * draw.itemsize
        dropped = round(self.p * draws)
        words = torch.empty(-(-input.numel() * draw.itemsize // 8), dtype=torch.int64).random_(-(2**63), None)
        drawn = words.view(draw)[: input.numel()].view(input.shape)
        # Numbers, not truth values: a product by those runs value by value.
        kept = drawn.to(torch.float32).ge_(dropped - draws / 2).mul_(draws / max(draws - dropped, 1))
        return input * kept.to(input.dtype)
